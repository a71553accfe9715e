/* hook_call.h: what the hook bodies share. */
#ifndef LASTCALL_HOOK_CALL_H
#define LASTCALL_HOOK_CALL_H

#include "hook/hook.h"

#include "shim.h"
#include "sys/libc.h"
#include "sys/syscall.h"

/* struct http1_span has the layout of struct iovec (checked in send.c). */
static inline const struct http1_span *as_chunks(const struct iovec *iov)
{
    return (const void *)iov;
}

static inline unsigned hook_runs(void)
{
    return eintr_runs();
}

/* Did the last call fail with an EINTR that lastcall's handler alone has caused? */
static inline bool hook_interrupted(unsigned runs)
{
    return *libc_errno() == EINTR && eintr_is_ours(runs);
}

/* The same, for a call that is then made again: handler runs until now count no more. */
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

/* ---- one accept, as both edges make it: enter, and then begin, the call, end, until end says that it is over ---- */
struct hook_accept {
    int lfd;
    unsigned runs;
    bool late, counted;
};

static INLINE void hook_accept_enter(struct hook_accept *a, int lfd)
{
    self_settle();
    if (UNLIKELY(slot_of(lfd) == 0 && !self_off()))
        shim_inherited(lfd); /* a process that waits for the first connection serves already */
    shim_waits(lfd);
    a->lfd = lfd;
    a->late = UNLIKELY(deferred_draining()) && drain_accept_is_late(lfd);
}

/* False: no call, the answer is ECONNABORTED. */
static INLINE bool hook_accept_begin(struct hook_accept *a)
{
    if (UNLIKELY(a->late) && drain_accept_wakes(a->lfd))
        return false;
    a->runs = hook_runs();
    a->counted = UNLIKELY(deferred_draining()) && drain_accept_begins(a->lfd);
    return true;
}

/* The call gave fd; below 0: *err (NULL: errno), which may be changed. True: again. */
static INLINE bool hook_accept_end(struct hook_accept *a, int fd, int *err)
{
    if (LIKELY(fd >= 0) && !self_off())
        shim_accepted(a->lfd, fd);
    if (UNLIKELY(a->counted))
        drain_accept_ends(a->lfd);
    if (LIKELY(fd >= 0) || !deferred_draining())
        return false;
    if (!err)
        err = libc_errno();
    return (*err == EINTR && eintr_is_ours(a->runs)) || drain_accept_failed(a->lfd, err);
}

/* ---- what the hooks of libc's functions do for the other edge (go/syscall6.c) ---- */

/* Any system call of the table, by number; -1 and errno (syscall.c). */
long syscall_dispatch(long nr, long a, long b, long c, long d, long e, long f);

/* Descriptors that have come, or will go, with a message (SCM_RIGHTS). */
void hook_adopt_rights(struct msghdr *msg);
void hook_share_rights(int channel, const struct msghdr *msg);

/* Bytes that a flag of recv makes not those of the stream (recv.c); those that no close option may touch (send.c). */
bool hook_off_stream(int flags);
bool hook_untouchable(int flags);

/* Send chunks with a close option in the right place. Returns false if there is none to say. `like` is the program's
 * message (its name and control data) or NULL for write and writev, which take no flags. *result: -1 and errno. */
bool hook_send_close_notice(struct io_call *call, int fd, const struct http1_span *chunks, size_t count,
                            const struct msghdr *like, int flags, ssize_t *result);

/* seccomp(2), which has no function in libc (sandbox.c). */
long hook_seccomp(long operation, long flags, const void *args);

/* A half-closed connection swallows a file's bytes: *offset, or the file's position, moves as if the bytes had been
 * sent. */
ssize_t hook_swallow_file(int in, off_t *offset, size_t n);
/* And what splice would have taken out of a pipe: the number of bytes, or -errno. */
long hook_swallow_pipe(int in, size_t n, unsigned flags);

/* A read of a signalfd: drain signals are deferred from it (signals.c). */
ssize_t hook_read_signalfd(int fd, void *buf, size_t n);

#endif
