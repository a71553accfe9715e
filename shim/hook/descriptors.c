/* descriptors.c: hooks of the calls that make, copy and close descriptors. */
#include "hook/hook_call.h"

#include "track/close.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* ---- listeners ---- */

int hook_bind(int fd, const void *addr, unsigned len)
{
    int ret = real.bind(fd, addr, len);
    bool unix_, listening;
    if (ret != 0 || !addr || len < 4 || self_off() || !sock_is_stream(fd, &unix_, &listening))
        return ret;
    /* A TCP port of one's own is what servers bind: their signals count from here on (port 0, which clients
     * bind, and datagram sockets do not tell). */
    unsigned short port;
    memcpy(&port, (const char *)addr + 2, sizeof port);
    if (!unix_ && port != 0)
        shim_arm();
    shim_bound(fd);
    return ret;
}

int hook_listen(int fd, int backlog)
{
    int ret = real.listen(fd, backlog);
    if (ret == 0)
        shim_listening(fd);
    return ret;
}

/* accept and accept4: the real call, retried where only our doings made it fail. */
static int accept_any(int lfd, void *addr, unsigned *len, int flags, bool four)
{
    struct hook_accept a;
    hook_accept_enter(&a, lfd);
    for (;;) {
        if (!hook_accept_begin(&a))
            return (int)hook_result(-ECONNABORTED);
        int fd = four ? real.accept4(lfd, addr, len, flags) : real.accept(lfd, addr, len);
        if (!hook_accept_end(&a, fd, NULL))
            return fd;
    }
}

int hook_accept(int fd, void *addr, unsigned *len)
{
    return accept_any(fd, addr, len, 0, false);
}

int hook_accept4(int fd, void *addr, unsigned *len, int flags)
{
    return accept_any(fd, addr, len, flags, true);
}

int hook_getsockname(int fd, void *addr, unsigned *len)
{
    if (UNLIKELY(fd_slot_kind(slot_of(fd)) == FD_LISTENER)) {
        const struct listener *l = listeners_of(fd);
        if (l->state == LISTENER_PLACEHOLDER && addr && len) {
            unsigned char name[128];
            unsigned size = sock_raw_address(&l->name, name);
            memcpy(addr, name, size < *len ? size : *len);
            *len = size;
            return 0;
        }
    }
    int ret = real.getsockname(fd, addr, len);
    /* A process that inherits a listener calls getsockname, and may do nothing else with the listener before its
     * workers accept (nginx after USR2). */
    if (UNLIKELY(ret == 0 && !self_armed() && !self_off()))
        shim_inherited(fd);
    return ret;
}

/* ---- closing ---- */

int hook_close(int fd)
{
    uint32_t slot = slot_of(fd);
    if (LIKELY(slot == 0))
        return real.close(fd);
    if (UNLIKELY(fd_slot_is_own(slot)))
        return (int)hook_result(-EBADF);
    if (self_is_our_process() || !self_armed())
        close_by_program(fd);
    return real.close(fd);
}

static void close_tracked(unsigned first, unsigned last)
{
    for (unsigned fd = first; fd <= last && (int)fd <= LOAD(slots.top) && fd < FD_MAX; fd++)
        if (slot_of((int)fd) != 0 && !fd_slot_is_own(slot_of((int)fd)))
            close_by_program((int)fd);
}

enum { CLOSE_RANGE_UNSHARE_ = 2, CLOSE_RANGE_CLOEXEC_ = 4 };

/* A few descriptors are lastcall's: they stay open. */
static long close_but_ours(unsigned first, unsigned last, unsigned flags)
{
    for (;;) {
        unsigned ours = first < FD_MAX ? (unsigned)ownfd_next(first) : FD_MAX;
        if (ours >= FD_MAX || ours > last)
            return sys3(SYS_close_range, first, last, flags);
        long ret = ours > first ? sys3(SYS_close_range, first, ours - 1, flags) : 0;
        if (ret != 0 || ours == last)
            return ret;
        first = ours + 1;
    }
}

int hook_close_range(unsigned first, unsigned last, int flags)
{
    if (!self_armed() || last < first)
        return real.close_range(first, last, flags);
    if ((flags & (CLOSE_RANGE_CLOEXEC_ | CLOSE_RANGE_UNSHARE_)) == 0 && self_is_our_process())
        close_tracked(first, last);
    return (int)hook_result(close_but_ours(first, last, (unsigned)flags));
}

void hook_closefrom(int first)
{
    unsigned from = first < 0 ? 0 : (unsigned)first;
    if (self_armed() && self_is_our_process())
        close_tracked(from, ~0u);
    if (!self_armed() || close_but_ours(from, ~0u, 0) != 0)
        real.closefrom(first);
}

int hook_shutdown(int fd, int how)
{
    uint32_t slot = slot_of(fd);
    if (UNLIKELY(deferred_draining()) && fd_slot_kind(slot) == FD_CONN && io_is_half_closed(slot))
        return 0; /* lastcall has half-closed the connection already: the program's shutdown succeeds */
    int ret = real.shutdown(fd, how);
    if (UNLIKELY(ret == 0 && how != SHUT_RD && fd_slot_kind(slot) == FD_CONN) && self_is_our_process())
        close_half_by_program(slot);
    return ret;
}

/* ---- copies ---- */

static int copied(int fd, int copy)
{
    if (UNLIKELY(copy >= 0 && (slot_of(fd) | slot_of(copy)) != 0))
        fds_alias(fd, copy);
    return copy;
}

/* dup2 and dup3 close what was there: a connection sends its close option first. */
static void about_to_replace(int fd, int to)
{
    if (UNLIKELY(slot_of(to) != 0) && fd != to && sys2(SYS_fcntl, fd, F_GETFD) >= 0 && self_is_our_process())
        close_by_program(to);
}

int hook_dup(int fd)
{
    return copied(fd, real.dup(fd));
}

int hook_dup2(int fd, int to)
{
    about_to_replace(fd, to);
    return copied(fd, real.dup2(fd, to));
}

int hook_dup3(int fd, int to, int flags)
{
    about_to_replace(fd, to);
    return copied(fd, real.dup3(fd, to, flags));
}

int hook_fcntl(int fd, int cmd, long arg)
{
    int ret = real.fcntl(fd, cmd, arg);
    return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? copied(fd, ret) : ret;
}

int hook_fcntl64(int fd, int cmd, long arg)
{
    int ret = real.fcntl64(fd, cmd, arg);
    return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? copied(fd, ret) : ret;
}

/* ---- what must be put back when a descriptor changes under an epoll set ---- */

int hook_epoll_ctl(int ep, int op, int fd, struct epoll_event *event)
{
    int ret = real.epoll_ctl(ep, op, fd, event);
    if (UNLIKELY(slot_of(fd) != 0) && ret == 0)
        shim_in_epoll(ep, op, fd, event ? event->events : 0, event ? event->data.u64 : 0);
    return ret;
}
