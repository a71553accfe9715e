/* tracked.h: what the hook bodies share. */
#ifndef LASTCALL_TRACKED_H
#define LASTCALL_TRACKED_H

#include "hook.h"

#include "../shim.h"
#include "../sys/libc.h"
#include "../sys/syscall.h"

/* struct rewrite_chunk has the layout of struct iovec (checked in out.c). */
static inline const struct rewrite_chunk *as_chunks(const struct iovec *iov)
{
    return (const void *)iov;
}

static inline unsigned hook_runs(void)
{
    return __atomic_load_n(&shim.hidden_runs, __ATOMIC_RELAXED);
}

/* The last call failed: with an EINTR that only our own handler caused? */
static inline bool hook_interrupted(unsigned runs)
{
    return *libc_errno() == EINTR && shim_interrupted(runs);
}

/* The same, for a call that is then made again: what came until now counts no more. */
static INLINE bool hook_again(unsigned *runs)
{
    if (!hook_interrupted(*runs))
        return false;
    *runs = hook_runs();
    return true;
}

/* -errno of a raw call, as libc functions report it. */
static inline long hook_result(long ret)
{
    if (ret >= 0 || ret < -4095)
        return ret;
    *libc_errno() = (int)-ret;
    return -1;
}

/* Is this message of a master to its worker a drain signal by other means (channel.c)? Then the program does not get
 * it; the signal will come at release. */
bool hook_is_withheld_command(const struct msghdr *msg, ssize_t n);

/* A read of a signalfd: drain signals are withheld from it (signals.c). */
ssize_t hook_read_signalfd(int fd, void *buf, size_t n);

#endif
