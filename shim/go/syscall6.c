/* syscall6.c: what happens before and after a system call of a Go program. The same rows of the table, the same
 * choreographer as with libc's functions; but a call that may block is made between the two halves, on the goroutine's
 * own stack. All others are made by their hooks.
 *
 * What Go 1.19's own poller asks of epoll is not seen, nor needed: a socket that lingers after its close stays in Go's
 * set, and its edges wake the goroutine that has the reused poller entry by then; Go's poller tolerates spurious
 * wake-ups.
 *
 * An EINTR is left to Go where nothing but a wait has failed: its scheduler interrupts threads by a signal of its
 * own, so every Go program handles EINTR. */
#include "go/go.h"

#include <sys/socket.h>
#include <sys/uio.h>

HIDDEN uint8_t go_numbers[512];

static const uint16_t of_any[] = {
    SYS_bind,       SYS_listen,    SYS_accept,    SYS_accept4,      SYS_getsockname, SYS_recvmsg,
    SYS_sendmsg,    SYS_splice,    SYS_dup3,      SYS_close_range,  SYS_execve,      SYS_execveat,
    SYS_exit_group, SYS_epoll_ctl, SYS_signalfd4, SYS_rt_sigaction,
#ifdef SYS_dup2
    SYS_dup2,
#endif
};

static const uint16_t of_fd[] = {
    SYS_read,     SYS_readv,    SYS_recvfrom, SYS_recvmmsg, SYS_write, SYS_writev, SYS_sendto,
    SYS_sendmmsg, SYS_sendfile, SYS_close,    SYS_shutdown, SYS_dup,   SYS_fcntl,
};

void go_want_numbers(void)
{
    for (unsigned i = 0; i < COUNT(of_any); i++)
        go_numbers[of_any[i]] = GO_HOOK;
    for (unsigned i = 0; i < COUNT(of_fd); i++)
        go_numbers[of_fd[i]] = GO_OF_FD;
    self_set_go();
}

static int done(struct go_call *g, long ret)
{
    g->ret = ret;
    return GO_DONE;
}

/* What a function of libc says, as the kernel would. */
static long from_libc(long ret)
{
    return ret == -1 ? -(long)*libc_errno() : ret;
}

/* By the hook of libc's function of that name. */
static int whole(struct go_call *g)
{
    const long *a = g->arg;
    return done(g, from_libc(syscall_dispatch(g->nr, a[0], a[1], a[2], a[3], a[4], a[5])));
}

static enum fd_kind kind_of(long fd)
{
    return fd_slot_kind(slot_of((int)fd));
}

/* ---- bytes ---- */

/* The bytes that a call moves, as chunks; none: they are not seen. */
struct span {
    struct http1_span one;
    const struct http1_span *chunks;
    size_t count;
};

static void span_of(const struct go_call *g, struct span *s)
{
    const struct msghdr *msg = (const struct msghdr *)g->arg[1];
    s->one = (struct http1_span){(const char *)g->arg[1], (size_t)g->arg[2]};
    s->chunks = &s->one;
    s->count = 1;
    switch (g->nr) {
    case SYS_readv:
    case SYS_writev:
        s->chunks = as_chunks((const struct iovec *)g->arg[1]);
        s->count = g->arg[2] < 0 ? 0 : (size_t)g->arg[2];
        break;
    case SYS_recvmsg:
    case SYS_sendmsg:
        s->chunks = as_chunks(msg->msg_iov);
        s->count = msg->msg_iovlen;
        break;
    case SYS_splice:
    case SYS_sendfile: s->count = 0; break;
    default: break;
    }
}

static size_t bytes_of(const struct span *s)
{
    size_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += s->chunks[i].len;
    return total;
}

/* The flags of a call that has some. */
static int flags_of(const struct go_call *g)
{
    switch (g->nr) {
    case SYS_recvfrom:
    case SYS_sendto: return (int)g->arg[3];
    case SYS_recvmsg:
    case SYS_sendmsg: return (int)g->arg[2];
    default: return 0;
    }
}

static int before_read(struct go_call *g)
{
    int fd = (int)g->arg[0];
    if (kind_of(fd) != FD_CONN)
        return g->nr == SYS_read ? whole(g) : GO_PLAIN;
    return io_read_begin(&g->bytes, fd, slot_of(fd)) ? GO_MAKE : done(g, 0);
}

/* Again: only our own signal handler has interrupted it. */
static bool goes_on(struct go_call *g)
{
    if (g->ret != -EINTR || !eintr_is_ours(g->bytes.runs))
        return false;
    g->bytes.runs = hook_runs();
    return true;
}

static int after_read(struct go_call *g)
{
    struct span s;
    int flags = flags_of(g);
    if (UNLIKELY(g->ret < 0 || hook_off_stream(flags))) {
        if (goes_on(g))
            return GO_MAKE;
        io_read_none(&g->bytes);
        return GO_DONE;
    }
    span_of(g, &s);
    g->ret = io_read_end(&g->bytes, g->ret, s.chunks, flags & MSG_TRUNC ? 0 : s.count);
    return GO_DONE;
}

static const struct msghdr no_name;

/* What is sent as a message may have a name and control data. */
static const struct msghdr *like(const struct go_call *g)
{
    if (g->nr == SYS_sendmsg)
        return (const struct msghdr *)g->arg[1];
    return g->nr == SYS_sendto ? &no_name : NULL;
}

/* A half-closed connection swallows what is sent. */
static long swallow(const struct go_call *g)
{
    struct span s;
    if (g->nr == SYS_sendfile)
        return from_libc(hook_swallow_file((int)g->arg[1], (off_t *)g->arg[2], (size_t)g->arg[3]));
    span_of(g, &s);
    return (long)bytes_of(&s);
}

static int before_write(struct go_call *g)
{
    int fd = (int)g->arg[0], flags = flags_of(g);
    bool draining = deferred_draining();
    struct span s;
    ssize_t sent;
    if (kind_of(fd) != FD_CONN)
        return GO_PLAIN;
    if (!io_write_begin(&g->bytes, slot_of(fd), draining))
        return done(g, swallow(g));
    span_of(g, &s);
    if (draining && s.count > 0 && !hook_untouchable(flags) &&
        hook_send_close_notice(&g->bytes, fd, s.chunks, s.count, like(g), flags, &sent))
        return done(g, from_libc(sent));
    return GO_MAKE;
}

static int after_write(struct go_call *g)
{
    struct span s;
    if (UNLIKELY(g->ret < 0) && goes_on(g))
        return GO_MAKE;
    span_of(g, &s);
    io_write_end(&g->bytes, g->ret, s.chunks, s.count);
    return GO_DONE;
}

static int before_splice(struct go_call *g)
{
    int in = (int)g->arg[0], out = (int)g->arg[2];
    g->out = kind_of(out) == FD_CONN;
    if (g->out)
        return io_write_begin(&g->bytes, slot_of(out), deferred_draining())
                   ? GO_MAKE
                   : done(g, hook_swallow_pipe(in, (size_t)g->arg[4], (unsigned)g->arg[5]));
    if (kind_of(in) == FD_CONN)
        return io_read_begin(&g->bytes, in, slot_of(in)) ? GO_MAKE : done(g, 0);
    return GO_PLAIN;
}

static int after_splice(struct go_call *g)
{
    return g->out ? after_write(g) : after_read(g);
}

/* ---- messages that carry descriptors ---- */

static int before_recvmsg(struct go_call *g)
{
    g->bytes.c = NULL;
    return kind_of(g->arg[0]) == FD_CONN ? before_read(g) : GO_MAKE;
}

static int after_recvmsg(struct go_call *g)
{
    struct msghdr *msg = (struct msghdr *)g->arg[1];
    if (g->ret >= 0 && msg->msg_controllen >= CMSG_LEN(sizeof(int)) && !(g->arg[2] & MSG_PEEK))
        hook_adopt_rights(msg);
    return g->bytes.c ? after_read(g) : GO_DONE;
}

static int before_sendmsg(struct go_call *g)
{
    const struct msghdr *msg = (const struct msghdr *)g->arg[1];
    if (msg && msg->msg_controllen >= CMSG_LEN(sizeof(int)))
        hook_share_rights((int)g->arg[0], msg);
    return kind_of(g->arg[0]) == FD_CONN ? before_write(g) : GO_PLAIN;
}

/* ---- accept ---- */

static int accept_begins(struct go_call *g)
{
    return hook_accept_begin(&g->accept) ? GO_MAKE : done(g, -ECONNABORTED);
}

static int before_accept(struct go_call *g)
{
    shim_waits((int)g->arg[0]);
    hook_accept_enter(&g->accept, (int)g->arg[0]);
    return accept_begins(g);
}

static int after_accept(struct go_call *g)
{
    int err = g->ret < 0 ? (int)-g->ret : 0;
    if (hook_accept_end(&g->accept, g->ret < 0 ? -1 : (int)g->ret, &err))
        return accept_begins(g);
    if (g->ret < 0)
        g->ret = -(long)err;
    return GO_DONE;
}

/* ---- exec: the child of a vfork, whose memory is the parent's, must hold no stack when it becomes another program  */

static int before_exec(struct go_call *g)
{
    g->told = shim_exec_begin();
    return GO_MAKE;
}

static int after_exec(struct go_call *g)
{
    if (g->told)
        shim_exec_failed(0, 0);
    return GO_DONE;
}

static int before_exit(struct go_call *g)
{
    (void)g;
    shim_exit();
    return GO_PLAIN;
}

/* ---- all others ---- */

static int before_getsockname(struct go_call *g)
{
    return self_armed() && kind_of(g->arg[0]) != FD_LISTENER ? GO_PLAIN : whole(g);
}

static int before(struct go_call *g)
{
    switch (g->nr) {
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom: return before_read(g);
    case SYS_recvmsg: return before_recvmsg(g);
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendfile: return before_write(g);
    case SYS_sendmsg: return before_sendmsg(g);
    case SYS_splice: return before_splice(g);
    case SYS_accept:
    case SYS_accept4: return before_accept(g);
    case SYS_execve:
    case SYS_execveat: return before_exec(g);
    case SYS_exit_group: return before_exit(g);
    case SYS_getsockname: return before_getsockname(g);
    default: return whole(g);
    }
}

static int after(struct go_call *g)
{
    switch (g->nr) {
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom: return after_read(g);
    case SYS_recvmsg: return after_recvmsg(g);
    case SYS_splice: return after_splice(g);
    case SYS_accept:
    case SYS_accept4: return after_accept(g);
    case SYS_execve:
    case SYS_execveat: return after_exec(g);
    default: return after_write(g);
    }
}

/* ---- the common cases: a read or a write of a connection in service, with no other beside it; nothing there yet -- */

int go_begins(struct go_call *g)
{
    uint32_t slot = slot_of((int)g->arg[0]), none = 0;
    if ((g->nr != SYS_read && g->nr != SYS_write) || fd_slot_kind(slot) != FD_CONN || deferred_draining())
        return GO_ASK;
    struct conn *c = io_begin(&g->bytes, slot);
    uint32_t *calls = g->nr == SYS_read ? &c->calls_in : &c->calls_out;
    return __atomic_compare_exchange_n(calls, &none, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) ? GO_MAKE : GO_ASK;
}

int go_ends(struct go_call *g)
{
    if (g->ret != -EAGAIN || (g->nr != SYS_read && g->nr != SYS_write))
        return GO_ASK;
    if (io_holds(&g->bytes))
        __atomic_sub_fetch(g->nr == SYS_read ? &g->bytes.c->calls_in : &g->bytes.c->calls_out, 1, __ATOMIC_RELAXED);
    return GO_DONE;
}

/* In a program with libc the thread's errno is C's, and stays as it was. */
int go_before(struct go_call *g)
{
    int *err = libc_errno(), saved = *err, next = before(g);
    *err = saved;
    return next;
}

int go_after(struct go_call *g)
{
    int *err = libc_errno(), saved = *err, next = after(g);
    *err = saved;
    return next;
}
