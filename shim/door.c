/* door.c: closing the listeners without resetting anyone who stands in their queues (DESIGN section 5). */
#include "door.h"

#include "group.h"
#include "lead.h"

#include "sys/fd.h"
#include "sys/syscall.h"

#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    F_GETFD_ = 1,
    F_GETFL_ = 3,
    FD_CLOEXEC_ = 1,
    O_NONBLOCK_ = 04000,
    O_CLOEXEC_ = 02000000,
    F_DUPFD_CLOEXEC_ = 1030
};

static bool nonblocking(int fd)
{
    long flags = sys2(SYS_fcntl, fd, F_GETFL_);
    return flags >= 0 && (flags & O_NONBLOCK_) != 0;
}

/* The old listener leaves this descriptor; its reference may be the last: the queue must be empty. It may not be the
 * last: an accept or a select that waits there would keep it open to clients whom nobody serves, so it is shut, and
 * they wake up. Where other processes hold it, it is not ours to shut: our threads are taken out of it by a signal. */
static bool put_placeholder(struct listener *l, int fd)
{
    int stand_in = sock_placeholder(nonblocking(fd));
    if (stand_in < 0)
        return false;
    long cloexec = sys2(SYS_fcntl, fd, F_GETFD_);
    for (unsigned i = 0; i < l->epolls; i++)
        sys4(SYS_epoll_ctl, l->epoll[i].fd, EPOLL_CTL_DEL, fd, 0);
    int old = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC_, fd_high());
    /* Known before it can be felt: whoever wakes up and comes back finds the placeholder. */
    __atomic_store_n(&l->door, DOOR_PLACEHOLDER, __ATOMIC_SEQ_CST);
    sys3(SYS_dup3, stand_in, fd, cloexec & FD_CLOEXEC_ ? O_CLOEXEC_ : 0);
    sys1(SYS_close, stand_in);
    if (old >= 0) {
        if (!l->shared)
            sys2(SYS_shutdown, old, SHUT_RDWR);
        else if (!nonblocking(fd))
            lead_call_out();
        sys1(SYS_close, old);
    }
    for (unsigned i = 0; i < l->epolls; i++) {
        struct epoll_event event = {.events = l->epoll[i].events, .data.u64 = l->epoll[i].data};
        sys4(SYS_epoll_ctl, l->epoll[i].fd, EPOLL_CTL_ADD, fd, &event);
    }
    return true;
}

static bool swap(struct listener *l)
{
    /* Several descriptors, or more epoll sets than were noted: leave it, the exit closes it. */
    if (l->aliases != 1 || l->epolls > LISTENER_EPOLLS)
        return false;
    if (!conn_lock(&l->swapping))
        return l->door == DOOR_PLACEHOLDER;
    bool ok = l->door == DOOR_PLACEHOLDER || put_placeholder(l, l->fd);
    __atomic_store_n(&l->swapping, 0, __ATOMIC_RELEASE);
    return ok;
}

/* Sockets of others in our SO_REUSEPORT group: hiding one member black-holes SYNs while another lives. */
static bool grouped_with_others(const struct listener *l)
{
    uint64_t inodes[LISTENERS_MAX];
    struct sock_query q = {l->name.family, &l->port, 1, inodes, 0};
    if (!l->reuseport)
        return false;
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live)
            inodes[q.inode_count++] = listeners.entry[i].inode;
    return sock_listeners(&q) > 0;
}

/* A listener that processes hold that do not drain with us is left to them. */
static bool is_foreign(struct listener *l)
{
    if (l->shared)
        lead_decide(l);
    return l->foreign;
}

static uint8_t close_one(struct listener *l)
{
    if (is_foreign(l))
        return DOOR_TO_LEAVE;
    if (grouped_with_others(l))
        return DOOR_TO_EMPTY;
    if (sock_hide(l->fd) == 0)
        return DOOR_HIDDEN;
    if (sock_drop_syns(l->fd) == 0)
        return DOOR_FILTERED;
    return DOOR_TO_EMPTY;
}

/* Known before it can be felt: an accept that fails by it must not show the program its EINVAL. */
static void shut_unix(struct listener *l)
{
    __atomic_store_n(&l->door, DOOR_SHUT_UNIX, __ATOMIC_SEQ_CST);
    sys2(SYS_shutdown, l->fd, SHUT_RD);
}

bool door_close(void)
{
    bool any = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (!l->live || l->ignored || l->door != DOOR_OPEN)
            continue;
        if (l->unix_ && !is_foreign(l))
            shut_unix(l);
        else
            __atomic_store_n(&l->door, close_one(l), __ATOMIC_RELEASE);
        any = true;
    }
    return any;
}

/* An AF_UNIX queue that cannot be asked for (no unix_diag) may hold somebody until an accept says that it is empty; but
 * late, nobody is left who would say so. */
static unsigned queue_of(const struct listener *l, bool late)
{
    struct sock_counts k;
    if (l->door == DOOR_PLACEHOLDER)
        return 0;
    if (l->unix_) {
        int n = sock_unix_queue((uint32_t)l->inode);
        return n >= 0 ? (unsigned)n : !late;
    }
    return sock_counts(l->fd, &k) == 0 ? k.unacked : sock_acceptable(l->fd);
}

/* Handshakes under way on the ports that we closed; -1 cannot be known. */
static int half_open(uint8_t family)
{
    uint16_t ports[LISTENERS_MAX];
    struct sock_query q = {family, ports, 0, NULL, 0};
    for (unsigned i = 0; i < listeners.used; i++) {
        const struct listener *l = &listeners.entry[i];
        if (l->live && l->name.family == family && (l->door == DOOR_HIDDEN || l->door == DOOR_FILTERED))
            ports[q.port_count++] = l->port;
    }
    return q.port_count > 0 ? sock_half_open(&q) : 0;
}

/* A queue that only workers take from, and there is none any more. */
static bool is_forlorn(const struct listener *l)
{
    return l->lent && (group.marks & MEMBER_ACCEPTS) == 0 && !lead_has_workers();
}

/* Connections in all accept queues; doors that had to be emptied first are closed when they are. */
static unsigned queues(bool late)
{
    unsigned all = 0;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (!l->live || l->ignored)
            continue;
        unsigned queued = queue_of(l, late);
        if (l->door == DOOR_TO_LEAVE && (queued == 0 || late))
            swap(l);
        else if (l->door == DOOR_TO_EMPTY && queued == 0)
            swap(l);
        else if (l->door != DOOR_TO_LEAVE && !(late && is_forlorn(l)))
            all += queued;
        all += __atomic_load_n(&l->swapping, __ATOMIC_SEQ_CST); /* by a thread of the program: not closed yet */
    }
    return all;
}

bool door_leave(void)
{
    bool closed = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l->live && !l->ignored && l->door == DOOR_TO_LEAVE)
            closed |= swap(l);
    }
    return closed;
}

static void count_doors(struct census *census, const struct drain *drain, nsec_t now)
{
    uint8_t phase = drain->phase;
    bool late = phase >= DRAIN_DOOR && now >= drain->door_from + config.idle;
    census->queued = queues(late);
    if (census->queued > 0 && !late && phase >= DRAIN_DOOR)
        census->next_expiry = drain->door_from + config.idle;
    /* Dear, and of no interest before the door is closed or once it is known to be. */
    if (phase == DRAIN_DOOR && census->queued == 0) {
        int v4 = half_open(4), v6 = half_open(6);
        census->half_open = v4 < 0 || v6 < 0 ? -1 : v4 + v6;
        census->queued = queues(late);
    }
}

/* Is a thread on its way out of an accept? Two orders that meet in one thread are answered by one. */
static bool is_called(void)
{
    return __atomic_load_n(&stats.interrupts_answered, __ATOMIC_SEQ_CST) <
           __atomic_load_n(&stats.interrupts, __ATOMIC_SEQ_CST);
}

void door_census(struct census *census, const struct drain *drain, nsec_t now)
{
    count_doors(census, drain, now);
    /* After the placeholders came: whoever is still at the old listener has said so before. */
    census->queued += __atomic_load_n(&stats.accepting, __ATOMIC_SEQ_CST);
    /* Or, if that accept blocks, was called: until it answers it may take a connection that only the sweep finds. */
    nsec_t until = drain->door_from + config.idle;
    if (is_called() && now < until) {
        census->queued++;
        if (census->next_expiry == 0 || until < census->next_expiry)
            census->next_expiry = until;
    }
}

const char *door_name(void)
{
    static const char *const names[] = {
        [DOOR_OPEN] = "none",      [DOOR_HIDDEN] = "hide",       [DOOR_FILTERED] = "filter", [DOOR_SHUT_UNIX] = "unix",
        [DOOR_TO_EMPTY] = "drain", [DOOR_PLACEHOLDER] = "drain", [DOOR_TO_LEAVE] = "shared",
    };
    for (unsigned i = 0; i < listeners.used; i++) {
        const struct listener *l = &listeners.entry[i];
        if (!l->live || l->ignored)
            continue;
        if (l->door == DOOR_HIDDEN || l->door == DOOR_FILTERED) /* whoever was forked since shares it so */
            return names[l->door];
        return l->foreign ? "shared" : l->unix_ ? "unix" : names[l->door];
    }
    return "none";
}

bool shim_accept_begins(int lfd)
{
    if (!listeners_of(lfd) || !nonblocking(lfd))
        return false;
    __atomic_add_fetch(&stats.accepting, 1, __ATOMIC_SEQ_CST);
    return true;
}

void shim_accept_ends(int lfd)
{
    const struct listener *l = listeners_of(lfd);
    __atomic_sub_fetch(&stats.accepting, 1, __ATOMIC_SEQ_CST);
    if (!l || l->door != DOOR_OPEN)
        wake_changed(NULL);
}

bool shim_accept_late(int lfd)
{
    const struct listener *l = listeners_of(lfd);
    return l && (l->door == DOOR_SHUT_UNIX || l->door == DOOR_PLACEHOLDER);
}

bool shim_accept_wakes(int lfd)
{
    struct listener *l = listeners_of(lfd);
    return l && l->door == DOOR_PLACEHOLDER && l->woken < ACCEPT_WAKES && !nonblocking(lfd) &&
           __atomic_fetch_add(&l->woken, 1, __ATOMIC_RELAXED) < ACCEPT_WAKES;
}

bool shim_accept_failed(int lfd, int *err)
{
    struct listener *l = listeners_of(lfd);
    if (!l)
        return false;
    /* Its queue is empty. A blocking accept says EINVAL, another one EAGAIN (unix_accept). */
    if (l->door == DOOR_SHUT_UNIX && (*err == EINVAL || *err == EAGAIN)) {
        bool again = swap(l) && !nonblocking(lfd);
        *err = EAGAIN;
        wake_changed(NULL);
        return again;
    }
    if ((l->door == DOOR_TO_EMPTY || l->door == DOOR_TO_LEAVE) && *err == EAGAIN) {
        swap(l);
        wake_changed(NULL);
    }
    if (l->door != DOOR_PLACEHOLDER || *err != EINVAL)
        return false;
    /* An accept that was at the old listener while the placeholder came. */
    *err = EAGAIN;
    return !nonblocking(lfd);
}
