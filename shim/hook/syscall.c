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
    SYS_bind,         SYS_listen,        SYS_accept,          SYS_accept4,
    SYS_getsockname,  SYS_read,          SYS_readv,           SYS_recvfrom,
    SYS_recvmsg,      SYS_recvmmsg,      SYS_write,           SYS_writev,
    SYS_sendto,       SYS_sendmsg,       SYS_sendmmsg,        SYS_sendfile,
    SYS_splice,       SYS_close,         SYS_close_range,     SYS_shutdown,
    SYS_dup,          SYS_dup3,          SYS_fcntl,           SYS_execve,
    SYS_execveat,     SYS_rt_sigaction,  SYS_rt_sigtimedwait, SYS_rt_sigsuspend,
    SYS_signalfd4,    SYS_epoll_ctl,     SYS_epoll_pwait,     SYS_epoll_pwait2,
    SYS_ppoll,        SYS_pselect6,      SYS_nanosleep,       SYS_clock_nanosleep,
    SYS_exit_group,   SYS_connect,       SYS_setsockopt,      SYS_semop,
    SYS_semtimedop,   SYS_msgsnd,        SYS_msgrcv,          SYS_futex,
    SYS_io_getevents, SYS_io_pgetevents, SYS_io_uring_enter,  SYS_prctl,
    SYS_seccomp,
#ifdef SYS_poll /* the newer architectures have only the calls that can say more */
    SYS_dup2,         SYS_fork,          SYS_signalfd,        SYS_epoll_wait,
    SYS_poll,         SYS_select,        SYS_pause,
#endif
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
static long retried(long nr, long a, long b, long c, long d, long e, long f)
{
    for (;;) {
        unsigned runs = hook_runs();
        long ret = real.syscall(nr, a, b, c, d, e, f);
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
        return retried(SYS_futex, args[0], args[1], args[2], args[3], args[4], args[5]);
    return retried_for_the_rest(SYS_futex, args, 3);
}

/* The real function of this row returns the error itself, not in errno. */
static long raw_clock_nanosleep(int clock, int flags, const struct timespec *want, struct timespec *rest)
{
    int err = hook_clock_nanosleep(clock, flags, want, rest);
    return hook_result(-(long)err);
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
#ifdef SYS_poll
    case SYS_dup2: return hook_dup2((int)a, (int)b);
    case SYS_fork: return raw_fork();
    case SYS_epoll_wait: return hook_epoll_wait((int)a, (void *)b, (int)c, (int)d);
    case SYS_poll: return hook_poll((void *)a, (unsigned long)b, (int)c);
    case SYS_select: return hook_select((int)a, (void *)b, (void *)c, (void *)d, (void *)e);
    case SYS_signalfd: return raw_signalfd(nr, a, b, c, d);
#endif
    case SYS_bind: return hook_bind((int)a, (void *)b, (unsigned)c);
    case SYS_listen: return hook_listen((int)a, (int)b);
    case SYS_accept: return hook_accept((int)a, (void *)b, (unsigned *)c);
    case SYS_accept4: return hook_accept4((int)a, (void *)b, (unsigned *)c, (int)d);
    case SYS_getsockname: return hook_getsockname((int)a, (void *)b, (unsigned *)c);
    case SYS_read: return hook_read((int)a, (void *)b, (size_t)c);
    case SYS_readv: return hook_readv((int)a, (void *)b, (int)c);
    case SYS_recvfrom: return hook_recvfrom((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (unsigned *)f);
    case SYS_recvmsg: return hook_recvmsg((int)a, (void *)b, (int)c);
    case SYS_recvmmsg: return hook_recvmmsg((int)a, (void *)b, (unsigned)c, (int)d, (void *)e);
    case SYS_write: return hook_write((int)a, (void *)b, (size_t)c);
    case SYS_writev: return hook_writev((int)a, (void *)b, (int)c);
    case SYS_sendto: return hook_sendto((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (unsigned)f);
    case SYS_sendmsg: return hook_sendmsg((int)a, (void *)b, (int)c);
    case SYS_sendmmsg: return hook_sendmmsg((int)a, (void *)b, (unsigned)c, (int)d);
    case SYS_sendfile: return hook_sendfile((int)a, (int)b, (off_t *)c, (size_t)d);
    case SYS_splice: return hook_splice((int)a, (off_t *)b, (int)c, (off_t *)d, (size_t)e, (unsigned)f);
    case SYS_close: return hook_close((int)a);
    case SYS_close_range: return hook_close_range((unsigned)a, (unsigned)b, (int)c);
    case SYS_shutdown: return hook_shutdown((int)a, (int)b);
    case SYS_dup: return hook_dup((int)a);
    case SYS_dup3: return hook_dup3((int)a, (int)b, (int)c);
    case SYS_fcntl: return hook_fcntl((int)a, (int)b, c);
    case SYS_execve: return hook_execve((void *)a, (void *)b, (void *)c);
    case SYS_execveat: return hook_execveat((int)a, (void *)b, (void *)c, (void *)d, (int)e);
    case SYS_rt_sigaction: return raw_sigaction(a, (void *)b, (void *)c, d);
    case SYS_rt_sigtimedwait:
        return d == 8 ? hook_sigtimedwait(widen((void *)a, &wide), (void *)b, (void *)c)
                      : real.syscall(nr, a, b, c, d, e, f);
    case SYS_signalfd4: return raw_signalfd(nr, a, b, c, d);
    case SYS_epoll_ctl: return hook_epoll_ctl((int)a, (int)b, (int)c, (void *)d);
    case SYS_nanosleep: return hook_nanosleep((void *)a, (void *)b);
    case SYS_clock_nanosleep: return raw_clock_nanosleep((int)a, (int)b, (void *)c, (void *)d);
    case SYS_epoll_pwait2: return retried_for_the_rest(nr, args, 3);
    case SYS_futex: return raw_futex(args);
    case SYS_io_getevents:
    case SYS_io_pgetevents: return retried_for_the_rest(nr, args, 4);
    case SYS_connect: return hook_connect((int)a, (void *)b, (unsigned)c);
    case SYS_setsockopt: return hook_setsockopt((int)a, (int)b, (int)c, (void *)d, (unsigned)e);
    case SYS_semtimedop: return retried_for_the_rest(nr, args, 3);
    case SYS_epoll_pwait:
        return e == 0 || f == 8 ? hook_epoll_pwait((int)a, (void *)b, (int)c, (int)d, widen((void *)e, &wide))
                                : real.syscall(nr, a, b, c, d, e, f);
    case SYS_prctl: return hook_prctl((int)a, (unsigned long)b, (unsigned long)c, (unsigned long)d, (unsigned long)e);
    case SYS_seccomp: return hook_seccomp(a, b, (void *)c);
    case SYS_exit_group: hook__exit((int)a); return 0;
    default: return retried(nr, a, b, c, d, e, f);
    }
}
