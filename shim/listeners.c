/* listeners.c: which listeners are ours, and what comes by them: connections accepted, handed over, found by the sweep. */
#include "descriptors.h"

#include "group.h"

#include <sys/epoll.h>

HIDDEN struct listeners listeners;

void listeners_share(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        listeners.entry[i].shared = true;
}

void listeners_after_fork(void)
{
    listeners.inherited_lock = 0; /* of a thread that is not here */
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        l->swapping = 0;
        if (l->epolls > 0) /* a set of the parent's, which may be using it: more than are noted */
            l->epolls = LISTENER_EPOLLS + 1;
    }
    listeners_share();
}

/* It has shown what tells a worker that was exec'd from an heir: if its group drains already, so does it. */
static void show(uint32_t what)
{
    if (LIKELY((group.marks & what) == what))
        return;
    group_marks(what);
    shim_follow();
}

struct listener *shim_listener(int fd)
{
    uint32_t slot = slot_of(fd);
    return fd_slot_kind(slot) == FD_LISTENER ? &listeners.entry[fd_slot_index(slot)] : NULL;
}

static unsigned free_listener(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (!listeners.entry[i].live)
            return i;
    return __atomic_fetch_add(&listeners.used, 1, __ATOMIC_ACQ_REL);
}

static bool wanted(const struct sock_address *name)
{
    return options_listens(&config, name->family, name->port, name->addr, name->path, name->path_len);
}

static struct listener *cannot_watch_listener(void)
{
    static uint8_t said;
    log_cannot_watch("a listener cannot be watched: its clients are not waited for", &said);
    return NULL;
}

static struct listener *add_listener(int fd, bool ours)
{
    struct sock_address name;
    bool unix_, listening;
    if (!sock_is_stream(fd, &unix_, &listening))
        return sock_answers(fd) ? NULL : cannot_watch_listener();
    if (!listening)
        return NULL;
    if (!sock_local(fd, &name) || !slots_possible(fd))
        return cannot_watch_listener();
    if (fd_slot[fd] != 0)
        shim_forget(fd);
    unsigned at = free_listener();
    if (at >= LISTENERS_MAX) {
        listeners.used = LISTENERS_MAX;
        return cannot_watch_listener();
    }
    struct listener *l = &listeners.entry[at];
    memset(l, 0, sizeof *l);
    l->fd = fd;
    l->ignored = !wanted(&name);
    l->unix_ = unix_;
    l->shared = l->foreign = l->given = !ours;
    l->reuseport = sock_reuseport(fd);
    l->port = name.port;
    l->name = name;
    l->aliases = 1;
    l->inode = sock_inode(fd);
    l->live = true;
    self_settle();
    slots_set(fd, fd_slot_make(FD_LISTENER, at));
    return l;
}

void shim_bound(int fd)
{
    if (slots_possible(fd) && (!self_armed() || self_is_our_process()))
        slots_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
}

/* One that somebody else has bound may be his too (uvicorn's workers listen on what their parent has bound). */
void shim_listening(int fd)
{
    if (self_off() || fd_slot_kind(slots_settled(fd)) == FD_LISTENER)
        return;
    const struct listener *l = add_listener(fd, slot_of(fd) == fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
    if (l && !l->ignored)
        shim_arm();
    /* A worker that was exec'd listens on what it was given to serve it. That it waits there may never be seen: libuv tells
     * epoll so by io_uring. (Whoever has bound it himself may only hand it out.) */
    if (l && l->given && (group.marks & MEMBER_EXECED))
        show(MEMBER_ACCEPTS);
}

/* A listener in everything but our having seen it: a worker of ours, or none any more, listens on what we have bound. */
void shim_lent(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != fd_slot_make(FD_SPECIAL, SPECIAL_BOUND) || !sock_is_stream(fd, &unix_, &listening) || !listening)
        return;
    struct listener *l = add_listener(fd, true);
    if (l)
        l->lent = l->shared = l->foreign = true;
}

/* Threads that come to their first accept together: one of them looks, the others go on. */
void shim_given(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != 0 || __atomic_exchange_n(&listeners.inherited_lock, 1, __ATOMIC_ACQUIRE))
        return;
    if (slot_of(fd) == 0 && sock_is_stream(fd, &unix_, &listening) && listening)
        shim_listening(fd);
    __atomic_store_n(&listeners.inherited_lock, 0, __ATOMIC_RELEASE);
}

/* ---- connections ------------------------------------------------------------------------------------ */

void shim_accepted(int lfd, int fd)
{
    struct listener *l = shim_listener(lfd);
    if (UNLIKELY(!l) && slots_settled(lfd) != 0)
        l = shim_listener(lfd);
    if (UNLIKELY(!l)) {
        /* A listener that we did not see being made: inherited, or made before us. */
        if (self_off() || !(l = add_listener(lfd, false))) {
            if (slot_of(fd) != 0)
                shim_forget(fd);
            return;
        }
        if (!l->ignored)
            shim_arm();
    }
    if (l->ignored) {
        if (slot_of(fd) != 0)
            shim_forget(fd);
        return;
    }
    shim_track(fd, (uint16_t)(l - listeners.entry), l->unix_, false);
    show(MEMBER_ACCEPTS);
    if (deferred_draining()) {
        __atomic_store_n(&stats.last_accept_at, clock_now(), __ATOMIC_RELEASE);
        wake_changed(NULL);
        if (l->shared)
            group_queue_moved();
    }
}

static bool is_our_port(const struct sock_address *local)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && !listeners.entry[i].ignored && listeners.entry[i].port == local->port &&
            local->port != 0)
            return true;
    return false;
}

/* A listener that we did not see being made. */
static bool adopt_listener(int fd)
{
    const struct listener *l = add_listener(fd, false);
    if (!l || l->ignored)
        return false;
    shim_arm();
    return true;
}

/* A stream socket that was handed to us makes this process one that serves. */
void shim_adopt(int fd)
{
    struct sock_address local, peer;
    bool unix_, listening;
    if (self_off() || slot_of(fd) != 0 || !sock_is_stream(fd, &unix_, &listening) || unix_)
        return;
    if (listening) {
        if (adopt_listener(fd))
            show(MEMBER_RECEIVED);
        return;
    }
    if (!sock_local(fd, &local) || !sock_peer(fd, &peer))
        return;
    shim_arm();
    struct conn *c = shim_track(fd, LISTENERS_MAX, false, false);
    if (c) {
        c->shared = true; /* the sender may hold it still */
        show(MEMBER_RECEIVED);
    }
}

/* A file that one of our system calls is at outlives its close, and stays in the epoll sets that it is in: the program
 * would hear of it when it has freed what it knew of it. So a close waits until we have looked. */
bool shim_find(int fd)
{
    struct sock_address local, peer;
    bool unix_, listening = false;
    struct conn *c = NULL;
    slots.looked_at = fd;
    if (!slots_possible(fd) || !slots_change(fd, 0, LOOKED_AT))
        return false;
    /* One made by connect() has a local port that nobody here listens on. */
    if (sock_is_stream(fd, &unix_, &listening) && !unix_ && !listening && sock_local(fd, &local) &&
        sock_peer(fd, &peer) && is_our_port(&local))
        c = shim_track(fd, LISTENERS_MAX, false, true);
    if (!c)
        slots_change(fd, LOOKED_AT, 0);
    if (!c && listening && !unix_)
        adopt_listener(fd);
    return c != NULL;
}

/* ---- who waits for them ----------------------------------------------------------------------------- */

void shim_waits(int lfd)
{
    if (self_armed() && fd_slot_kind(slot_of(lfd)) == FD_LISTENER && (group.marks & MEMBER_ACCEPTS) == 0 &&
        self_is_our_process())
        show(MEMBER_ACCEPTS);
}

/* A set that has one entry more than are noted stays so: i stops short of it. */
static void listener_in_epoll(struct listener *l, int ep, int op, uint32_t events, uint64_t data)
{
    unsigned i = 0;
    if (op == EPOLL_CTL_ADD && !self_is_go()) /* Go's poller is told of each that is made, whoever serves it */
        show(MEMBER_ACCEPTS);
    while (i < l->epolls && i < LISTENER_EPOLLS && l->epoll[i].fd != ep)
        i++;
    if (op == EPOLL_CTL_DEL) {
        if (i < l->epolls && l->epolls <= LISTENER_EPOLLS)
            l->epoll[i] = l->epoll[--l->epolls];
        return;
    }
    if (i == l->epolls)
        l->epolls++;
    if (i < LISTENER_EPOLLS) {
        l->epoll[i].fd = ep;
        l->epoll[i].events = events;
        l->epoll[i].data = data;
    }
}

void shim_in_epoll(int ep, int op, int fd, uint32_t events, uint64_t data)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_LISTENER) {
        listener_in_epoll(&listeners.entry[fd_slot_index(slot)], ep, op, events, data);
    } else if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&connections, slot);
        if (op == EPOLL_CTL_ADD)
            c->epoll_fd = c->epoll_fd == -1 || c->epoll_fd == ep ? ep : -2;
        else if (op == EPOLL_CTL_DEL && c->epoll_fd == ep)
            c->epoll_fd = -1;
    }
}
