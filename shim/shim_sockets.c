/* shim_sockets.c: the program listens, accepts, is handed sockets: the process begins to serve, and its group is
 * told. */
#include "shim.h"

#include "group/member.h"
#include "track/internal.h"
#include "track/left_alone.h"

#include <sys/epoll.h>

/* The process has shown what tells a worker that was exec'd from a successor: if its group drains already, so does
 * it. */
static void show(uint32_t what)
{
    if (LIKELY((group.flags & what) == what))
        return;
    member_set_flags(what);
    shim_follow();
}

/* On a listener that it has bound itself it serves for itself; on that of others it may be their worker. */
static void show_accepts(const struct listener *l)
{
    show(l->inherited ? MEMBER_ACCEPTS | MEMBER_INHERITED : MEMBER_ACCEPTS);
}

void shim_bound(int fd)
{
    if (slots_possible(fd) && (!self_armed() || self_is_our_process()))
        slots_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
}

/* One that another process has bound may be that process's too (uvicorn's workers listen on what their parent has
 * bound). */
void shim_listening(int fd)
{
    if (self_off() || fd_slot_kind(slots_settled(fd)) == FD_LISTENER)
        return;
    const struct listener *l = fds_add_listener(fd, slot_of(fd) == fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
    if (l && !l->ignored)
        shim_arm();
    /* A worker that was exec'd listens on what it was given to serve it. That it waits there may never be seen: libuv
     * tells epoll so by io_uring. (A process that has bound it itself may only hand it out.) */
    if (l && l->inherited && (group.flags & MEMBER_EXECED))
        show_accepts(l);
}

/* Threads that come to their first accept together: one of them looks, the others go on. */
void shim_inherited(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != 0 || !listeners_lock_inherited())
        return;
    if (slot_of(fd) == 0 && sock_is_stream(fd, &unix_, &listening) && listening)
        shim_listening(fd);
    listeners_unlock_inherited();
}

/* A listener that no hook has seen being made: inherited, or older than the library's hooks. */
static struct listener *adopt_listener(int fd)
{
    struct listener *l = self_off() ? NULL : fds_add_listener(fd, false);
    if (l && !l->ignored)
        shim_arm();
    return l;
}

static struct listener *listener_of_accept(int lfd)
{
    struct listener *l = listeners_of(lfd);
    if (UNLIKELY(!l) && slots_settled(lfd) != 0)
        l = listeners_of(lfd);
    return LIKELY(l != NULL) ? l : adopt_listener(lfd);
}

void shim_accepted(int lfd, int fd)
{
    struct listener *l = listener_of_accept(lfd);
    if (UNLIKELY(!l || l->ignored)) {
        if (slot_of(fd) != 0)
            fds_forget(fd);
        return;
    }
    fds_track(fd, (uint16_t)(l - listeners.entry), l->unix_);
    internal_accepted(l);
    show_accepts(l);
    if (deferred_draining() && !left_alone_listener(l))
        drain_accepted(l);
}

static void received_listener(int fd)
{
    const struct listener *l = adopt_listener(fd);
    if (l && !l->ignored)
        show(MEMBER_RECEIVED);
}

static void received_connection(int fd)
{
    struct sock_address local, peer;
    if (!sock_local(fd, &local) || !sock_peer(fd, &peer))
        return;
    shim_arm();
    struct conn *c = fds_track(fd, LISTENERS_MAX, false);
    if (c) {
        conn_share(c); /* the sender may hold it still */
        show(MEMBER_RECEIVED);
    }
}

/* A process that receives a stream socket is one that serves. */
void shim_received(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != 0)
        fds_forget(fd); /* a number that is new cannot be what we knew */
    if (self_off() || slot_of(fd) != 0 || !sock_is_stream(fd, &unix_, &listening) || unix_)
        return;
    if (listening)
        received_listener(fd);
    else
        received_connection(fd);
}

void shim_waits(int lfd)
{
    const struct listener *l = self_armed() && (group.flags & MEMBER_ACCEPTS) == 0 ? listeners_of(lfd) : NULL;
    if (l && self_is_our_process())
        show_accepts(l);
}

void shim_in_epoll(int ep, int op, int fd, uint32_t events, uint64_t data)
{
    struct listener *l = listeners_of(fd);
    if (l && op == EPOLL_CTL_ADD &&
        !self_is_go()) /* Go's poller is told of each listener, whichever process serves it */
        show_accepts(l);
    if (l)
        listeners_note_epoll(l, ep, op, events, data);
    else if (fd_slot_kind(slot_of(fd)) == FD_CONN)
        fds_note_epoll(pool_of_slot(&connections, slot_of(fd)), ep, op);
}
