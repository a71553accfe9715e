/* send.c: hooks of the calls that send bytes; while draining a response head leaves with its close option. */
#include "hook/waiting.h"

#include "compat/node_cluster.h"
#include "compat/node_primary.h"
#include "track/close_notice.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(struct http1_span) == sizeof(struct iovec) &&
                   offsetof(struct http1_span, len) == offsetof(struct iovec, iov_len),
               "chunks are passed as iovecs");

enum { WIRE_MAX = 96 }; /* pieces of one write; a longer vector is written short */

/* Data sent with MSG_ZEROCOPY and urgent data are not changed. */
enum { UNTOUCHABLE = MSG_OOB | MSG_ZEROCOPY };

bool hook_untouchable(int flags)
{
    return (flags & UNTOUCHABLE) != 0;
}

bool hook_send_close_notice(struct io_call *call, int fd, const struct http1_span *chunks, size_t count,
                            const struct msghdr *like, int flags, ssize_t *result)
{
    struct http1_span wire[WIRE_MAX];
    struct close_notice f;
    size_t wires;
    if (!close_notice_plan(call, chunks, count, &f, wire, WIRE_MAX, &wires))
        return false;
    for (;;) {
        ssize_t sent = 0;
        if (f.wire_total > 0 && like) {
            struct msghdr msg = *like;
            msg.msg_iov = (struct iovec *)wire;
            msg.msg_iovlen = wires;
            sent = real.sendmsg(fd, &msg, flags);
        } else if (f.wire_total > 0) {
            sent = real.writev(fd, (const struct iovec *)wire, (int)wires);
        }
        if (sent < 0 && hook_again(&call->runs))
            continue;
        if (sent < 0) {
            io_write_end(call, -1, NULL, 0);
            *result = -1;
            return true;
        }
        size_t done = close_notice_sent(call, &f, (size_t)sent, chunks, count);
        *result = (ssize_t)done;
        if (done == 0 && sent > 0) {
            /* Only a part of our own words fitted: for the program nothing has been taken yet. */
            *libc_errno() = EAGAIN;
            *result = -1;
        }
        return true;
    }
}

static size_t total_of(const struct http1_span *chunks, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += chunks[i].len;
    return total;
}

/* What is left of a message of which `sent` bytes are out. */
static NOINLINE ssize_t send_rest(int fd, ssize_t sent, const struct http1_span *chunks, size_t count,
                                  const struct msghdr *like, int flags)
{
    struct iovec rest[WIRE_MAX];
    size_t skip = (size_t)sent, n = 0;
    for (size_t i = 0; i < count && n < WIRE_MAX; i++) {
        size_t gone = skip < chunks[i].len ? skip : chunks[i].len;
        skip -= gone;
        if (chunks[i].len > gone)
            rest[n++] = (struct iovec){(char *)(uintptr_t)chunks[i].data + gone, chunks[i].len - gone};
    }
    struct msghdr msg = {.msg_iov = rest, .msg_iovlen = n};
    if (like) {
        msg.msg_name = like->msg_name;
        msg.msg_namelen = like->msg_namelen;
    }
    ssize_t more = like ? hook_sendmsg(fd, &msg, flags) : hook_writev(fd, rest, (int)n);
    return more > 0 ? sent + more : sent;
}

#define WRITE_TRACKED(fd, slot, chunks, count, like, flags, real_call)                        \
    do {                                                                                      \
        struct io_call call;                                                                  \
        ssize_t sent;                                                                         \
        bool draining = deferred_draining();                                                  \
        if (!io_write_begin(&call, slot, draining))                                           \
            return (ssize_t)total_of(chunks, count); /* half-closed: swallowed */             \
        if (draining && !((flags)&UNTOUCHABLE) &&                                             \
            hook_send_close_notice(&call, fd, chunks, count, like, flags, &sent))             \
            return sent;                                                                      \
        do                                                                                    \
            sent = real_call;                                                                 \
        while (UNLIKELY(sent < 0) && hook_again(&call.runs));                                 \
        io_write_end(&call, sent, chunks, count);                                             \
        if (UNLIKELY(call.runs != hook_runs()) && /* else the total is not worth adding up */ \
            hook_cut_short(call.runs, fd, sent, total_of(chunks, count), flags))              \
            return send_rest(fd, sent, chunks, count, like, flags);                           \
        return sent;                                                                          \
    } while (0)

/* To the primary of node's cluster. */
#define WRITE_NODE_CLUSTER(chunks, count, real_call) \
    do {                                             \
        node_cluster_begin();                        \
        ssize_t wrote = real_call;                   \
        node_cluster_wrote(chunks, count, wrote);    \
        return wrote;                                \
    } while (0)

static NOINLINE ssize_t write_node_cluster(int fd, const void *buf, size_t n)
{
    struct http1_span chunk = {buf, n};
    WRITE_NODE_CLUSTER(&chunk, 1, real.write(fd, buf, n));
}

static NOINLINE ssize_t writev_node_cluster(int fd, const struct iovec *iov, int count)
{
    WRITE_NODE_CLUSTER(as_chunks(iov), (size_t)count, real.writev(fd, iov, count));
}

static NOINLINE ssize_t sendmsg_node_cluster(int fd, const struct msghdr *msg, int flags)
{
    WRITE_NODE_CLUSTER(as_chunks(msg->msg_iov), msg->msg_iovlen, real.sendmsg(fd, msg, flags));
}

/* To a socket of the program's own, with a time-out. */
static NOINLINE ssize_t write_timed(int fd, const void *buf, size_t n)
{
    WAITING_TIMED(ssize_t, fd, true, real.write(fd, buf, n));
}

static NOINLINE ssize_t writev_timed(int fd, const struct iovec *iov, int count)
{
    WAITING_TIMED(ssize_t, fd, true, real.writev(fd, iov, count));
}

static NOINLINE ssize_t send_timed(int fd, const void *buf, size_t n, int flags)
{
    WAITING_TIMED(ssize_t, fd, true, real.send(fd, buf, n, flags));
}

static NOINLINE ssize_t sendto_timed(int fd, const void *buf, size_t n, int flags, const void *addr, unsigned len)
{
    WAITING_TIMED(ssize_t, fd, true, real.sendto(fd, buf, n, flags, addr, len));
}

static NOINLINE ssize_t sendmsg_timed(int fd, const struct msghdr *msg, int flags)
{
    WAITING_TIMED(ssize_t, fd, true, real.sendmsg(fd, msg, flags));
}

static const struct msghdr no_name;

static NOINLINE ssize_t write_tracked(int fd, const void *buf, size_t n, uint32_t slot)
{
    struct http1_span chunk = {buf, n};
    WRITE_TRACKED(fd, slot, &chunk, 1, NULL, 0, real.write(fd, buf, n));
}

ssize_t hook_write(int fd, const void *buf, size_t n)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(node_cluster_is(slot)))
            return write_node_cluster(fd, buf, n);
        if (UNLIKELY(waiting_is_timed(slot)))
            return write_timed(fd, buf, n);
        return real.write(fd, buf, n);
    }
    return write_tracked(fd, buf, n, slot);
}

static NOINLINE ssize_t writev_tracked(int fd, const struct iovec *iov, int count, uint32_t slot)
{
    WRITE_TRACKED(fd, slot, as_chunks(iov), (size_t)count, NULL, 0, real.writev(fd, iov, count));
}

ssize_t hook_writev(int fd, const struct iovec *iov, int count)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN || count < 0)) {
        if (UNLIKELY(node_cluster_is(slot) && count > 0))
            return writev_node_cluster(fd, iov, count);
        if (UNLIKELY(waiting_is_timed(slot)))
            return writev_timed(fd, iov, count);
        return real.writev(fd, iov, count);
    }
    return writev_tracked(fd, iov, count, slot);
}

static NOINLINE ssize_t send_tracked(int fd, const void *buf, size_t n, int flags, uint32_t slot)
{
    struct http1_span chunk = {buf, n};
    WRITE_TRACKED(fd, slot, &chunk, 1, &no_name, flags, real.send(fd, buf, n, flags));
}

ssize_t hook_send(int fd, const void *buf, size_t n, int flags)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(waiting_is_timed(slot)))
            return send_timed(fd, buf, n, flags);
        return real.send(fd, buf, n, flags);
    }
    return send_tracked(fd, buf, n, flags, slot);
}

ssize_t hook_sendto(int fd, const void *buf, size_t n, int flags, const void *addr, unsigned len)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(waiting_is_timed(slot)))
            return sendto_timed(fd, buf, n, flags, addr, len);
        return real.sendto(fd, buf, n, flags, addr, len);
    }
    struct http1_span chunk = {buf, n};
    WRITE_TRACKED(fd, slot, &chunk, 1, &no_name, flags, real.sendto(fd, buf, n, flags, addr, len));
}

/* Connections that are sent over a unix socket may be held by another process from now on. */
void hook_share_rights(int channel, const struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR((struct msghdr *)msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len < CMSG_LEN(0))
            continue;
        for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            fds_share(fd);
            node_primary_sends(channel, as_chunks(msg->msg_iov), msg->msg_iovlen, fd);
        }
    }
}

ssize_t hook_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    uint32_t slot = slot_of(fd);
    if (UNLIKELY(msg && msg->msg_controllen >= CMSG_LEN(sizeof(int))))
        hook_share_rights(fd, msg);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(node_cluster_is(slot) && msg))
            return sendmsg_node_cluster(fd, msg, flags);
        if (UNLIKELY(waiting_is_timed(slot)))
            return sendmsg_timed(fd, msg, flags);
        return real.sendmsg(fd, msg, flags);
    }
    WRITE_TRACKED(fd, slot, as_chunks(msg->msg_iov), msg->msg_iovlen, msg, flags, real.sendmsg(fd, msg, flags));
}

int hook_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
    if (UNLIKELY(waiting_is_timed(slot_of(fd))))
        WAITING_TIMED(int, fd, true, real.sendmmsg(fd, msgs, count, flags));
    if (LIKELY(fd_slot_kind(slot_of(fd)) != FD_CONN) || count == 0)
        return real.sendmmsg(fd, msgs, count, flags);
    unsigned done = 0;
    while (done < count) {
        ssize_t n = hook_sendmsg(fd, &msgs[done].msg_hdr, flags);
        if (n < 0)
            break;
        msgs[done].msg_len = (unsigned)n;
        done++;
        if ((size_t)n < total_of(as_chunks(msgs[done - 1].msg_hdr.msg_iov), msgs[done - 1].msg_hdr.msg_iovlen))
            break; /* a stream that takes no more: the bytes that follow must not overtake */
    }
    return done > 0 ? (int)done : -1;
}

/* Bytes that go from file to socket inside the kernel: counted, not seen. */
/* No more than there is: a program that sends until nothing is left (Go) would never end. */
static size_t left_of_file(int in, long at, size_t n)
{
    struct stat about;
    if (sys2(SYS_fstat, in, &about) != 0 || !S_ISREG(about.st_mode))
        return n;
    size_t left = about.st_size > at ? (size_t)(about.st_size - at) : 0;
    return left < n ? left : n;
}

ssize_t hook_swallow_file(int in, off_t *offset, size_t n)
{
    long at = offset ? *offset : sys3(SYS_lseek, in, 0, SEEK_CUR);
    if (at < 0)
        return hook_result(at);
    n = left_of_file(in, at, n);
    if (offset)
        *offset += (off_t)n;
    else
        sys3(SYS_lseek, in, n, SEEK_CUR);
    return (ssize_t)n;
}

/* What splice would have taken out of a pipe. False: splice would fail for its arguments. */
static bool swallows_pipe(int in, const off_t *off_in, const off_t *off_out)
{
    struct stat about;
    return !off_in && !off_out && sys2(SYS_fstat, in, &about) == 0 && S_ISFIFO(about.st_mode);
}

/* Only the first read waits: a pipe that is empty after it has given what there was. */
long hook_swallow_pipe(int in, size_t n, unsigned flags)
{
    const struct timespec now = {0, 0};
    char bytes[2048];
    size_t gone = 0;
    while (gone < n) {
        struct pollfd p = {in, POLLIN, 0};
        if ((gone > 0 || (flags & SPLICE_F_NONBLOCK)) && sys5(SYS_ppoll, &p, 1, &now, 0, 8) == 0)
            return gone > 0 ? (long)gone : -EAGAIN;
        long got = sys3(SYS_read, in, bytes, n - gone < sizeof bytes ? n - gone : sizeof bytes);
        if (got <= 0)
            return gone > 0 ? (long)gone : got;
        gone += (size_t)got;
    }
    return (long)gone;
}

static NOINLINE ssize_t sendfile_tracked(int out, int in, off_t *offset, size_t n, uint32_t slot,
                                         ssize_t (*next)(int, int, off_t *, size_t))
{
    struct io_call call;
    ssize_t sent;
    if (!io_write_begin(&call, slot, deferred_draining()))
        return hook_swallow_file(in, offset, n);
    do
        sent = next(out, in, offset, n);
    while (UNLIKELY(sent < 0) && hook_again(&call.runs));
    io_write_end(&call, sent, NULL, 0);
    if (!waiting_cut_short(call.runs, out, sent, n, 0))
        return sent;
    ssize_t more = hook_sendfile64(out, in, offset, n - (size_t)sent);
    return more > 0 ? sent + more : sent;
}

static NOINLINE ssize_t sendfile_timed(int out, int in, off_t *offset, size_t n,
                                       ssize_t (*next)(int, int, off_t *, size_t))
{
    WAITING_TIMED(ssize_t, out, true, next(out, in, offset, n));
}

ssize_t hook_sendfile(int out, int in, off_t *offset, size_t n)
{
    uint32_t slot = slot_of(out);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(waiting_is_timed(slot)))
            return sendfile_timed(out, in, offset, n, real.sendfile);
        return real.sendfile(out, in, offset, n);
    }
    return sendfile_tracked(out, in, offset, n, slot, real.sendfile);
}

ssize_t hook_sendfile64(int out, int in, off_t *offset, size_t n)
{
    uint32_t slot = slot_of(out);
    if (LIKELY(fd_slot_kind(slot) != FD_CONN)) {
        if (UNLIKELY(waiting_is_timed(slot)))
            return sendfile_timed(out, in, offset, n, real.sendfile64);
        return real.sendfile64(out, in, offset, n);
    }
    return sendfile_tracked(out, in, offset, n, slot, real.sendfile64);
}

ssize_t hook_splice(int in, off_t *off_in, int out, off_t *off_out, size_t n, unsigned flags)
{
    uint32_t from = slot_of(in), to = slot_of(out);
    struct io_call call;
    if (fd_slot_kind(to) == FD_CONN && !io_write_begin(&call, to, deferred_draining())) {
        if (!swallows_pipe(in, off_in, off_out))
            return real.splice(in, off_in, out, off_out, n, flags); /* its arguments are wrong: nothing moves */
        return hook_result(hook_swallow_pipe(in, n, flags));
    }
    if (fd_slot_kind(to) == FD_CONN) {
        ssize_t sent;
        do
            sent = real.splice(in, off_in, out, off_out, n, flags);
        while (UNLIKELY(sent < 0) && hook_again(&call.runs));
        io_write_end(&call, sent, NULL, 0);
        return sent;
    }
    if (fd_slot_kind(from) == FD_CONN) {
        if (!io_read_begin(&call, in, from))
            return 0;
        ssize_t got;
        do
            got = real.splice(in, off_in, out, off_out, n, flags);
        while (UNLIKELY(got < 0) && hook_again(&call.runs));
        if (got < 0) {
            io_read_none(&call);
            return got;
        }
        return io_read_end(&call, got, NULL, 0);
    }
    if (UNLIKELY(waiting_is_timed(from) || waiting_is_timed(to)))
        WAITING_TIMED(ssize_t, waiting_is_timed(to) ? out : in, waiting_is_timed(to),
                      real.splice(in, off_in, out, off_out, n, flags));
    return real.splice(in, off_in, out, off_out, n, flags);
}
