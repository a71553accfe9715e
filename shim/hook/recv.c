/* recv.c: hooks of the calls that bring bytes in. */
#include "hook/waiting.h"

#include "compat/nginx_channel.h"
#include "compat/node_cluster.h"
#include "compat/node_primary.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* An untracked descriptor costs a look and a jump: a tracked one has functions of its own, so that the hooks need no
 * frame.
 *
 * One read of a tracked descriptor: `real_call` gives ssize_t; the bytes read are in chunks. An EINTR that
 * lastcall's handler alone has caused (with a receive time-out, reads do not restart: signal(7)) is not shown to the
 * program. */
#define READ_TRACKED(fd, slot, chunks, count, peeks, real_call) \
    do {                                                        \
        struct io_call call;                                    \
        ssize_t got;                                            \
        if (!io_read_begin(&call, fd, slot))                    \
            return 0;                                           \
        do                                                      \
            got = real_call;                                    \
        while (UNLIKELY(got < 0) && hook_again(&call.runs));    \
        if (UNLIKELY(got < 0 || (peeks))) {                     \
            io_read_none(&call);                                \
            return got;                                         \
        }                                                       \
        return io_read_end(&call, got, chunks, count);          \
    } while (0)

static NOINLINE ssize_t read_tracked(int fd, void *buf, size_t n, uint32_t slot)
{
    if (UNLIKELY(slot == fd_slot_make(FD_SPECIAL, SPECIAL_SIGNALFD)))
        return hook_read_signalfd(fd, buf, n);
    if (UNLIKELY(waiting_is_timed(slot)))
        WAITING_TIMED(ssize_t, fd, false, real.read(fd, buf, n));
    if (UNLIKELY(fd_slot_kind(slot) != FD_CONN))
        return real.read(fd, buf, n);
    struct http1_span chunk = {buf, n};
    READ_TRACKED(fd, slot, &chunk, 1, false, real.read(fd, buf, n));
}

ssize_t hook_read(int fd, void *buf, size_t n)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(slot == 0))
        return real.read(fd, buf, n);
    return read_tracked(fd, buf, n, slot);
}

ssize_t hook___read_chk(int fd, void *buf, size_t n, size_t size)
{
    if (slot_of(fd) == 0 || n > size)
        return real.__read_chk(fd, buf, n, size);
    return hook_read(fd, buf, n);
}

static NOINLINE ssize_t readv_tracked(int fd, const struct iovec *iov, int count, uint32_t slot)
{
    if (waiting_is_timed(slot))
        WAITING_TIMED(ssize_t, fd, false, real.readv(fd, iov, count));
    if (fd_slot_kind(slot) != FD_CONN || count < 0)
        return real.readv(fd, iov, count);
    READ_TRACKED(fd, slot, as_chunks(iov), (size_t)count, false, real.readv(fd, iov, count));
}

ssize_t hook_readv(int fd, const struct iovec *iov, int count)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(slot == 0))
        return real.readv(fd, iov, count);
    return readv_tracked(fd, iov, count, slot);
}

/* Bytes that are looked at only, or are not of the stream, or are thrown away in the kernel. */
enum { NOT_OF_STREAM = MSG_PEEK | MSG_OOB | MSG_ERRQUEUE };

bool hook_off_stream(int flags)
{
    return (flags & NOT_OF_STREAM) != 0;
}

static NOINLINE ssize_t recv_oddly(int fd, void *buf, size_t n, int flags, uint32_t slot)
{
    struct http1_span chunk = {buf, n};
    if (waiting_is_timed(slot))
        WAITING_TIMED(ssize_t, fd, false, real.recv(fd, buf, n, flags));
    if (fd_slot_kind(slot) != FD_CONN)
        return real.recv(fd, buf, n, flags);
    READ_TRACKED(fd, slot, &chunk, flags & MSG_TRUNC ? 0 : 1, flags & NOT_OF_STREAM, real.recv(fd, buf, n, flags));
}

/* MSG_WAITALL: all of it, if no signal comes (recv(2)). */
static NOINLINE ssize_t recv_all(int fd, void *buf, size_t n, int flags, uint32_t slot)
{
    unsigned runs = hook_runs();
    ssize_t got = recv_oddly(fd, buf, n, flags, slot);
    if (!waiting_cut_short(runs, fd, got, n, flags))
        return got;
    ssize_t more = hook_recv(fd, (char *)buf + got, n - (size_t)got, flags);
    return more > 0 ? got + more : got;
}

static NOINLINE ssize_t recv_tracked(int fd, void *buf, size_t n, int flags, uint32_t slot)
{
    struct http1_span chunk = {buf, n};
    if (UNLIKELY(flags & MSG_WAITALL))
        return recv_all(fd, buf, n, flags, slot);
    if (UNLIKELY(flags & (NOT_OF_STREAM | MSG_TRUNC)) || fd_slot_kind(slot) != FD_CONN)
        return recv_oddly(fd, buf, n, flags, slot);
    READ_TRACKED(fd, slot, &chunk, 1, false, real.recv(fd, buf, n, flags));
}

ssize_t hook_recv(int fd, void *buf, size_t n, int flags)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY((slot | ((unsigned)flags & MSG_WAITALL)) == 0))
        return real.recv(fd, buf, n, flags);
    return recv_tracked(fd, buf, n, flags, slot);
}

ssize_t hook___recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
    if (slot_of(fd) == 0 || n > size)
        return real.__recv_chk(fd, buf, n, size, flags);
    return hook_recv(fd, buf, n, flags);
}

ssize_t hook_recvfrom(int fd, void *buf, size_t n, int flags, void *addr, unsigned *len)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(slot == 0))
        return real.recvfrom(fd, buf, n, flags, addr, len);
    if (waiting_is_timed(slot))
        WAITING_TIMED(ssize_t, fd, false, real.recvfrom(fd, buf, n, flags, addr, len));
    if (fd_slot_kind(slot) != FD_CONN)
        return real.recvfrom(fd, buf, n, flags, addr, len);
    struct http1_span chunk = {buf, n};
    READ_TRACKED(fd, slot, &chunk, flags & MSG_TRUNC ? 0 : 1, flags & NOT_OF_STREAM,
                 real.recvfrom(fd, buf, n, flags, addr, len));
}

ssize_t hook___recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, void *addr, unsigned *len)
{
    if (slot_of(fd) == 0 || n > size)
        return real.__recvfrom_chk(fd, buf, n, size, flags, addr, len);
    return hook_recvfrom(fd, buf, n, flags, addr, len);
}

/* Connections that come over a unix socket (SCM_RIGHTS, unix(7)). */
void hook_adopt_rights(struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len < CMSG_LEN(0))
            continue;
        size_t fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < fds; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            shim_received(fd);
        }
    }
}

/* A message of nginx's master that stands for a drain signal, which is deferred. */
static bool is_deferred_command(const struct msghdr *msg, ssize_t n)
{
    siginfo_t info;
    int sig = nginx_channel_signal(msg, n, &info);
    return sig != 0 && signal_is_held(sig) && !shim_signal(sig, &info);
}

static NOINLINE ssize_t recvmsg_timed(int fd, struct msghdr *msg, int flags)
{
    WAITING_TIMED(ssize_t, fd, false, real.recvmsg(fd, msg, flags));
}

static ssize_t recvmsg_of(int fd, struct msghdr *msg, int flags)
{
    return UNLIKELY(waiting_is_timed(slot_of(fd))) ? recvmsg_timed(fd, msg, flags) : real.recvmsg(fd, msg, flags);
}

static ssize_t recv_rights(int fd, struct msghdr *msg, int flags)
{
    ssize_t n = recvmsg_of(fd, msg, flags);
    while (UNLIKELY(n > 0 && self_armed() && !(flags & MSG_PEEK)) && is_deferred_command(msg, n))
        n = recvmsg_of(fd, msg, flags);
    if (n >= 0 && msg->msg_controllen >= CMSG_LEN(sizeof(int)) && !(flags & MSG_PEEK) && !self_off())
        hook_adopt_rights(msg);
    return n;
}

/* From the primary of node's cluster: what it hands over is known to be here before the call is over. */
static NOINLINE ssize_t recv_node_cluster(int fd, struct msghdr *msg, int flags)
{
    node_cluster_begin();
    ssize_t n = recv_rights(fd, msg, flags);
    node_cluster_read(as_chunks(msg->msg_iov), msg->msg_iovlen, flags & MSG_PEEK ? 0 : n);
    return n;
}

/* From a worker of node's cluster, to its primary. */
static NOINLINE ssize_t recv_node_primary(int fd, struct msghdr *msg, int flags)
{
    ssize_t n = recv_rights(fd, msg, flags);
    node_primary_read(fd, as_chunks(msg->msg_iov), msg->msg_iovlen, flags & MSG_PEEK ? 0 : n);
    return n;
}

ssize_t hook_recvmsg(int fd, struct msghdr *msg, int flags)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(node_cluster_has(fd)))
            return recv_node_cluster(fd, msg, flags);
        if (UNLIKELY(node_primary_is(slot)))
            return recv_node_primary(fd, msg, flags);
        return recv_rights(fd, msg, flags);
    }
    READ_TRACKED(fd, slot, as_chunks(msg->msg_iov), flags & MSG_TRUNC ? 0 : msg->msg_iovlen, flags & NOT_OF_STREAM,
                 recv_rights(fd, msg, flags));
}

int hook_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
    uint32_t slot = slot_of(fd);
    if (UNLIKELY(waiting_is_timed(slot)))
        WAITING_TIMED(int, fd, false, real.recvmmsg(fd, msgs, count, flags, timeout));
    if (LIKELY(fd_slot_kind(slot) != FD_CONN) || count == 0)
        return real.recvmmsg(fd, msgs, count, flags, timeout);
    /* On a stream a short count of messages is legal, and recvmmsg's count of messages does not say which bytes
     * came: one message a call. */
    ssize_t n = hook_recvmsg(fd, &msgs[0].msg_hdr, flags & ~MSG_WAITFORONE);
    if (n < 0)
        return -1;
    msgs[0].msg_len = (unsigned)n;
    return 1;
}
