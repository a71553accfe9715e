/* syscall.c: the function syscall(2), for the numbers of the table. The entry (syscall_*.S) comes here
 * only for those; all others jump straight on, so that SYS_vfork and its kind keep their stack. */
#include "hook/waiting.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* One bit for each system call number with a hook; read by the entry. */
HIDDEN uint64_t syscall_ours[8];

static const uint16_t numbers[] = {
#define SYSCALL(name, call) SYS_##name,
#include "hook/syscalls.def"
#undef SYSCALL
};

extern void syscall_bind(void);

void syscall_bind(void)
{
    for (unsigned i = 0; i < COUNT(numbers); i++)
        syscall_ours[numbers[i] / 64] |= (uint64_t)1 << numbers[i] % 64;
}

/* A sigset_t of the libc's size from the kernel's eight bytes. */
static const sigset_t *widen(const uint64_t *kernel, sigset_t *out)
{
    if (!kernel)
        return NULL;
    memset(out, 0, sizeof *out);
    memcpy(out, kernel, sizeof *kernel);
    return out;
}

static long raw_sigaction(long sig, const struct ksigaction *act, struct ksigaction *old, long size)
{
    struct ksigaction before;
    if (!disposition_is_watched((int)sig) || size != 8 || !shim_sigaction((int)sig, act, &before))
        return real.syscall(SYS_rt_sigaction, sig, (long)act, (long)old, size, 0, 0);
    if (old)
        *old = before;
    return 0;
}

static long raw_signalfd(long nr, long fd, long mask, long size, long flags)
{
    long ret = real.syscall(nr, fd, mask, size, flags, 0, 0);
    if (ret >= 0 && !self_off())
        slots_mark((int)ret, SPECIAL_SIGNALFD);
    return ret;
}

/* ppoll and pselect6 write the remaining time into the caller's timespec: the wrappers of libc hide it, so the
 * raw calls are retried as they are. */
static long retried(long nr, const long *a)
{
    for (;;) {
        unsigned runs = hook_runs();
        long ret = real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (LIKELY(ret >= 0) || !hook_interrupted(runs))
            return ret;
    }
}

/* The same for a call whose argument number `at` is a relative time, which the kernel only reads. */
static long retried_for_the_rest(long nr, const long *args, unsigned at)
{
    const struct timespec *timeout = (const struct timespec *)args[at];
    struct timespec rest;
    struct waiting w = {arch_ticks(), hook_runs()};
    long a[6], ret;
    memcpy(a, args, sizeof a);
    do {
        ret = real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (LIKELY(ret >= 0) || !waiting_again(&w, -1))
            return ret;
        a[at] = (long)waiting_left_ts(&w, timeout, &rest);
    } while (true);
}

/* FUTEX_WAIT's time is relative; that of every other operation is absolute, or no time at all (futex(2)). */
static long raw_futex(const long *args)
{
    if (LIKELY((args[1] & FUTEX_CMD_MASK) != FUTEX_WAIT))
        return retried(SYS_futex, args);
    return retried_for_the_rest(SYS_futex, args, 3);
}

/* The real function of this row returns the error itself, not in errno. */
static long raw_clock_nanosleep(int clock, int flags, const struct timespec *want, struct timespec *rest)
{
    int err = hook_clock_nanosleep(clock, flags, want, rest);
    return hook_result(-(long)err);
}

static long raw_identity(long nr, const long *a)
{
    shim_leaves_root();
    return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#ifdef SYS_poll
static long raw_fork(void)
{
    int slot = shim_fork_begin();
    long pid = real.syscall(SYS_fork, 0, 0, 0, 0, 0, 0);
    if (pid == 0)
        shim_forked_child(slot);
    else
        shim_forked_parent(slot, (int)pid);
    return pid;
}
#endif

long syscall_dispatch(long nr, long a, long b, long c, long d, long e, long f)
{
    const long args[6] = {a, b, c, d, e, f};
    sigset_t wide;
    switch (nr) {
#define SYSCALL(name, call) \
    case SYS_##name:        \
        return call;
#include "hook/syscalls.def"
#undef SYSCALL
    default: return retried(nr, args);
    }
}
