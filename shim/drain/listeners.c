/* listeners.c: listeners stop accepting, and no client that waits in their queues is reset (DESIGN section 5). */
#include "drain/listeners.h"

#include "drain/drain.h"
#include "drain/holders.h"
#include "drain/placeholder.h"
#include "drain/unix_paths.h"
#include "group/member.h"
#include "process/clock.h"
#include "process/config.h"
#include "process/stats.h"
#include "process/wake.h"
#include "sys/fd.h"
#include "sys/syscall.h"
#include "track/connections.h"
#include "track/internal.h"
#include "track/left_alone.h"
#include "track/listeners.h"

#include <sys/socket.h>

/* A listener that this process leaves, or has emptied, by itself. */
static bool swap(struct listener *l)
{
    return placeholder_put(l, l->shared ? PLACEHOLDER_INTERRUPT : PLACEHOLDER_SHUT);
}

/* Sockets of others in our SO_REUSEPORT group: the kernel goes on giving this socket its part of the new clients, by
 * the hash of their addresses, however it is hidden, for as long as it is open. Their SYNs are dropped, and they send
 * them again: by then it is closed (inet_lookup_reuseport, reuseport_stop_listen_sock). */
static bool grouped_with_others(const struct listener *l)
{
    uint64_t inodes[LISTENERS_MAX];
    struct sock_query q = {l->name.family, &l->port, 1, inodes, 0, NULL};
    if (!l->reuseport)
        return false;
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live)
            inodes[q.inode_count++] = listeners.entry[i].inode;
    return sock_listeners(&q) > 0;
}

/* A listener that external processes hold is left to them. */
static bool is_external(struct listener *l)
{
    if (l->shared)
        holders_decide(l);
    return l->external;
}

/* The clients that a full queue keeps out have connected, as they see it: the kernel has dropped the last ACK of their
 * handshake, and takes it when it is sent again, if there is room by then. Where it had given them SYN cookies, that
 * ACK finds them only through a listener that is not hidden. */
static uint8_t stop_one(struct listener *l)
{
    bool dropped = sock_has_dropped(l->fd);
    l->overflowed = dropped && sock_gave_cookies();
    l->grouped = grouped_with_others(l);
    if ((l->grouped || l->overflowed) && sock_drop_syns(l->fd) == 0)
        return LISTENER_FILTERED;
    if (l->grouped)
        return LISTENER_TO_EMPTY;
    if (sock_hide(l->fd) == 0)
        return LISTENER_HIDDEN;
    if (sock_drop_syns(l->fd) == 0)
        return LISTENER_FILTERED;
    return LISTENER_TO_EMPTY;
}

/* After the stop, so that only those come who were kept out. */
static void stop_tcp(struct listener *l)
{
    uint8_t state = is_external(l) ? LISTENER_TO_LEAVE : stop_one(l);
    l->stopped = state;
    __atomic_store_n(&l->state, state, __ATOMIC_RELEASE);
    if (listeners_is_stopped(l))
        sock_raise_backlog(l->fd);
}

/* Known before it can be felt: an accept that fails by it must not show the program its EINVAL. */
static void shut_unix(struct listener *l)
{
    unix_paths_note(&l->name);
    __atomic_store_n(&l->state, LISTENER_SHUT_UNIX, __ATOMIC_SEQ_CST);
    sys2(SYS_shutdown, l->fd, SHUT_RD);
}

/* internal: those too, but for AF_UNIX: its read shutdown would be felt in the processes that are still to be asked,
 * and nobody else connects there. */
static bool stop(bool internal)
{
    bool any = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (!l->live || l->state != LISTENER_ACCEPTS || left_alone_listener(l))
            continue;
        /* One that others serve too (the workers that replace this one) is left to them like any other. */
        if (internal_is(l) && (!internal || l->unix_) && !is_external(l))
            continue;
        if (l->unix_ && !is_external(l))
            shut_unix(l);
        else
            stop_tcp(l);
        any = true;
    }
    return any;
}

bool listeners_stop(void)
{
    return stop(false);
}

bool listeners_stop_internal(void)
{
    return stop(true);
}

/* The length of an AF_UNIX queue may be unknown (no unix_diag): then it counts as not empty until an accept finds it
 * empty. Late, an idle window after the stop, it counts as empty: no thread may be left to accept. */
static unsigned queue_of(const struct listener *l, bool late)
{
    struct sock_counts k;
    if (l->state == LISTENER_PLACEHOLDER)
        return 0;
    if (l->unix_) {
        int n = sock_unix_queue((uint32_t)l->inode);
        return n >= 0 ? (unsigned)n : !late;
    }
    return sock_counts(l->fd, &k) == 0 ? k.unacked : sock_acceptable(l->fd);
}

/* Of a port that another server has too, the handshakes are mostly that server's. */
#define GROUPED_PATIENCE (200 * NSEC_PER_MSEC)

static bool has_handshakes(const struct listener *l, const struct drain *drain, nsec_t now)
{
    return l->live && listeners_is_stopped(l) && (!l->grouped || now < drain->stopping_from + GROUPED_PATIENCE);
}

/* Handshakes under way on the ports that we have stopped; -1: cannot be known. */
static int half_open_of(uint8_t family, const struct drain *drain, nsec_t now, unsigned *latest_ms)
{
    uint16_t ports[LISTENERS_MAX];
    struct sock_query q = {family, ports, 0, NULL, 0, latest_ms};
    for (unsigned i = 0; i < listeners.used; i++) {
        const struct listener *l = &listeners.entry[i];
        if (l->name.family == family && has_handshakes(l, drain, now))
            ports[q.port_count++] = l->port;
    }
    return q.port_count > 0 ? sock_half_open(&q) : 0;
}

static bool has_any_overflowed(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].overflowed && listeners_is_stopped(&listeners.entry[i]))
            return true;
    return false;
}

/* The handshakes under way when the listeners were stopped. Each client among them that lives answers at the latest
 * when the kernel has sent the SYN-ACK again; one that has been silent for longer than PATIENCE has gone. */
static struct {
    nsec_t stopping_from; /* of the drain that this is about */
    nsec_t asked_again_at;
    nsec_t looked_at; /* when they were last counted, */
    int left;         /* and so many were left; -1: not known */
} handshakes;

static int half_open(const struct drain *drain, nsec_t now)
{
    enum { PATIENCE_MS = 4000 };
    unsigned latest_ms = 0;
    int v4 = half_open_of(4, drain, now, &latest_ms), v6 = half_open_of(6, drain, now, &latest_ms);
    if (handshakes.stopping_from != drain->stopping_from) {
        handshakes.stopping_from = drain->stopping_from;
        handshakes.asked_again_at = 0;
        if (has_any_overflowed() && latest_ms > 0)
            handshakes.asked_again_at = now + (latest_ms < PATIENCE_MS ? latest_ms : PATIENCE_MS) * NSEC_PER_MSEC;
    }
    handshakes.looked_at = now;
    handshakes.left = v4 < 0 || v6 < 0 || has_any_overflowed() ? -1 : v4 + v6;
    return handshakes.left;
}

static bool is_any_grouped(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].grouped)
            return true;
    return false;
}

/* When the queue of a stopped listener last moved, in this process or in another. */
static nsec_t queue_moved_at(void)
{
    nsec_t last = group_queue_moved_at();
    for (unsigned i = 0; i < listeners.used; i++) {
        nsec_t at = LOAD(listeners.entry[i].moved_at);
        if (listeners.entry[i].live && at > last)
            last = at;
    }
    return last;
}

/* Only workers take from this queue, and there is no worker any more: its clients would be waited for in vain. */
static bool is_without_workers(const struct listener *l)
{
    return l->delegated && (group.flags & MEMBER_ACCEPTS) == 0 && !member_has_workers();
}

/* Connections in all accept queues. A listener that had to be emptied first gets its placeholder when its queue is
 * empty. */
static unsigned queues(bool late)
{
    unsigned all = 0;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (!l->live || left_alone_listener(l))
            continue;
        unsigned queued = queue_of(l, late);
        if (l->state == LISTENER_TO_LEAVE && (queued == 0 || late))
            swap(l);
        else if (l->state == LISTENER_TO_EMPTY && queued == 0)
            swap(l);
        else if (l->state != LISTENER_TO_LEAVE && !(late && is_without_workers(l)))
            all += queued;
        all += __atomic_load_n(&l->swapping, __ATOMIC_SEQ_CST); /* by a thread of the program: not closed yet */
    }
    return all;
}

bool listeners_detach(void)
{
    bool closed = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l->live && !left_alone_listener(l) && l->state == LISTENER_TO_LEAVE)
            closed |= swap(l);
    }
    return closed;
}

/* A client in the queue is for this process to accept, or for another one that has not closed the listener yet. If this
 * is the last process, and has never accepted, that client would be waited for in vain. */
static bool can_close(const struct listener *l, bool last)
{
    return queue_of(l, false) == 0 || (last && (group.flags & MEMBER_ACCEPTS) == 0 && group_self());
}

static bool close_one(struct listener *l, bool last)
{
    if (can_close(l, last) && placeholder_put(l, last ? PLACEHOLDER_SHUT : PLACEHOLDER_KEEP))
        return true;
    /* It stays, but new clients need not wait for an answer any longer. */
    if (l->state == LISTENER_FILTERED && sock_hide(l->fd) == 0)
        __atomic_store_n(&l->state, LISTENER_HIDDEN, __ATOMIC_RELEASE);
    return false;
}

bool listeners_close(const struct drain *drain, bool last, nsec_t now)
{
    bool all = true;
    /* Handshakes that were waited for in vain: closing the listener would end them. The kernel gives them up in
     * time. */
    if (handshakes.left > 0 && (now < handshakes.looked_at + config.idle || half_open(drain, now) > 0))
        return false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l->live && !l->ignored && listeners_is_stopped(l))
            all = close_one(l, last) && all;
    }
    return all;
}

static void count_queues(struct census *census, const struct drain *drain, nsec_t now)
{
    bool stops = drain_stops_accepting(drain), late = stops && now >= drain->stopping_from + config.idle;
    if (stops)
        listeners_stop(); /* one of AF_UNIX may have shown only now that it is HTTP */
    census->queued = queues(late);
    if (census->queued > 0 && !late && stops)
        census->next_expiry = drain->stopping_from + config.idle;
    /* Dear, and of no interest before the listeners are stopped, or once their handshakes are known to be over. */
    if (drain->phase == DRAIN_STOPPING_ACCEPT && census->queued == 0) {
        census->half_open = half_open(drain, now);
        census->queued = queues(late);
        nsec_t moved_at = queue_moved_at();
        if (census->half_open > 0 && is_any_grouped() && now < drain->stopping_from + GROUPED_PATIENCE)
            drain_expires(census, drain->stopping_from + GROUPED_PATIENCE);
        census->queue_moved = moved_at > handshakes.asked_again_at ? moved_at : handshakes.asked_again_at;
    }
}

/* Is a thread on its way out of an accept? Two interrupts that meet in one thread are answered by one. */
static bool is_any_interrupted(void)
{
    return __atomic_load_n(&stats.interrupts_answered, __ATOMIC_SEQ_CST) <
           __atomic_load_n(&stats.interrupts, __ATOMIC_SEQ_CST);
}

void listeners_census(struct census *census, const struct drain *drain, nsec_t now)
{
    count_queues(census, drain, now);
    /* After the placeholders came: a thread that is still in an accept of the old listener has counted itself
     * before. */
    census->queued += __atomic_load_n(&stats.accepting, __ATOMIC_SEQ_CST);
    /* Or, if its accept blocks, was interrupted: until it answers it may take a connection that only the sweep
     * finds. */
    nsec_t until = drain->stopping_from + config.idle;
    if (is_any_interrupted() && now < until) {
        census->queued++;
        drain_expires(census, until);
    }
}

const char *listeners_how(void)
{
    static const char *const names[] = {
        [LISTENER_ACCEPTS] = "none",
        [LISTENER_HIDDEN] = "so_bindtoifindex",
        [LISTENER_FILTERED] = "syn_filter",
        [LISTENER_SHUT_UNIX] = "shutdown",
        [LISTENER_TO_EMPTY] = "drain_queue",
        [LISTENER_PLACEHOLDER] = "drain_queue",
        [LISTENER_TO_LEAVE] = "left_to_others",
    };
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (!l->live || left_alone_listener(l) || (l->state == LISTENER_ACCEPTS && internal_is(l)))
            continue;
        if (l->stopped == LISTENER_HIDDEN ||
            l->stopped == LISTENER_FILTERED) /* a child forked since shares it in this state */
            return names[l->stopped];
        return l->external ? "left_to_others" : l->unix_ ? "shutdown" : names[l->state];
    }
    return NULL;
}

bool drain_accept_begins(int lfd)
{
    if (!listeners_of(lfd) || !fd_is_nonblocking(lfd))
        return false;
    __atomic_add_fetch(&stats.accepting, 1, __ATOMIC_SEQ_CST);
    return true;
}

void drain_accept_ends(int lfd)
{
    const struct listener *l = listeners_of(lfd);
    __atomic_sub_fetch(&stats.accepting, 1, __ATOMIC_SEQ_CST);
    if (!l || l->state != LISTENER_ACCEPTS)
        wake_changed(NULL);
}

bool drain_accept_is_late(int lfd)
{
    const struct listener *l = listeners_of(lfd);
    return l && (l->state == LISTENER_SHUT_UNIX || l->state == LISTENER_PLACEHOLDER);
}

bool drain_accept_wakes(int lfd)
{
    struct listener *l = listeners_of(lfd);
    return l && l->state == LISTENER_PLACEHOLDER && l->woken < ACCEPT_WAKES && !fd_is_nonblocking(lfd) &&
           __atomic_fetch_add(&l->woken, 1, __ATOMIC_RELAXED) < ACCEPT_WAKES;
}

bool drain_accept_failed(int lfd, int *err)
{
    struct listener *l = listeners_of(lfd);
    if (!l)
        return false;
    /* The listener's queue is empty. A blocking accept says EINVAL, another one EAGAIN (unix_accept). */
    if (l->state == LISTENER_SHUT_UNIX && (*err == EINVAL || *err == EAGAIN)) {
        bool again = swap(l) && !fd_is_nonblocking(lfd);
        *err = EAGAIN;
        wake_changed(NULL);
        return again;
    }
    if ((l->state == LISTENER_TO_EMPTY || l->state == LISTENER_TO_LEAVE) && *err == EAGAIN) {
        swap(l);
        wake_changed(NULL);
    }
    if (l->state != LISTENER_PLACEHOLDER || *err != EINVAL)
        return false;
    /* An accept that was at the old listener while the placeholder came. */
    *err = EAGAIN;
    return !fd_is_nonblocking(lfd);
}

void drain_accepted(struct listener *l)
{
    nsec_t now = clock_now();
    __atomic_store_n(&stats.last_accept_at, now, __ATOMIC_RELEASE);
    if (listeners_is_stopped(l))
        STORE(l->moved_at, now);
    wake_changed(NULL);
    if (l->shared)
        group_queue_moved(listeners_is_stopped(l) ? now : 0);
}
