/* scan.c: every connection looked at once: what is due is done (core/conn_drain.h), what is outstanding is counted. */
#include "drain/scan.h"

#include "core/conn_drain.h"
#include "drain/exit_guard.h"
#include "drain/holders.h"
#include "drain/state.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/ownfd.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/trace.h"
#include "process/wake.h"
#include "sys/net.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "track/close.h"
#include "track/conn_log.h"
#include "track/connections.h"
#include "track/left_alone.h"

#include <sys/socket.h>

/* While an exit waits, only a request that another, living thread serves is still outstanding (DESIGN: exit guard). */
static bool somebody_serves(const struct conn *c)
{
    if (exit_guard_has(LOAD(c->io.thread)))
        return false;
    if (LOAD(c->io.tid) != 0)
        return sys3(SYS_tgkill, self_pid(), LOAD(c->io.tid), 0) == 0;
    return proc_threads() > exit_guard_threads() + state_threads(); /* those that exit, and the drain thread */
}

/* ---- one connection: questions answered, decisions carried out ------------------------------------------------- */

static void shut_read(struct conn *c, nsec_t now)
{
    trace(TRACE_READ_SHUT, c->fd, 0);
    conn_log_note(c, CONN_HISTORY_CLOSING);
    STORE(c->since, now);
    __atomic_store_n(&c->stage, CONN_READ_SHUT, __ATOMIC_SEQ_CST); /* before a reader can see it */
    if (!conn_is_shared(c))
        sys2(SYS_shutdown, c->fd, SHUT_RD);
}

/* Another process held it when we looked: a child on its way to exec (CGI) perhaps, which has gone since. */
static bool is_shared_still(struct conn *c, nsec_t now)
{
    static nsec_t looked_at; /* a walk through /proc is not for every connection */
    if (conn_is_shared(c) && !conn_is_sent(c) && now >= looked_at + config.idle) {
        looked_at = now;
        holders_look(false, c);
    }
    return conn_is_shared(c);
}

/* A read of the program's has its bytes from the kernel, and we have not seen them yet. */
static bool is_unfollowed(const struct conn *c)
{
    struct sock_counts k;
    if (c->unix_ || __atomic_load_n(&c->calls_in, __ATOMIC_ACQUIRE) == 0 || sock_counts(c->fd, &k) != 0)
        return false;
    return k.received != UINT64_MAX && k.received > LOAD(c->read_bytes) + sock_fin_came(&k);
}

static void note_opaque(struct conn *c)
{
    if (!conn_report_set(c, CONN_COUNTED_OPAQUE))
        return;
    stats.counts.opaque++;
    trace(TRACE_OPAQUE, c->fd, LOAD(c->opaque_reason));
    conn_log_note(c, CONN_HISTORY_OPAQUE);
}

static void answer_moved(struct conn_facts *f, struct conn *c, nsec_t now)
{
    struct sock_counts k;
    note_opaque(c);
    if (!c->unix_) {
        long err = sock_counts(c->fd, &k);
        f->gone = sock_is_other(err) || (err == 0 && k.state == SOCK_CLOSED_STATE);
        if (err == 0 && k.timed) {
            uint32_t quiet_ms = k.quiet_in_ms < k.quiet_out_ms ? k.quiet_in_ms : k.quiet_out_ms;
            f->moved_at = now - (nsec_t)quiet_ms * NSEC_PER_MSEC;
            f->client_last = conn_opaque_unseen(c) && k.quiet_in_ms < k.quiet_out_ms;
        }
    }
    f->since = LOAD(c->since);
}

/* All of it and our FIN, at acked_at. (Before, acked_at is when only the FIN was left, or 0.) */
static bool is_acked(const struct conn *c)
{
    return __atomic_load_n(&c->acked, __ATOMIC_ACQUIRE);
}

/* We have sent our FIN: has the peer sent its own? */
static bool peer_is_done(const struct conn *c)
{
    struct sock_counts k;
    return !c->unix_ && (sock_counts(c->fd, &k) != 0 || k.state >= SOCK_TIME_WAIT);
}

/* No output is under way any more: all is acknowledged, or the peer has reset the connection (then the kernel goes
 * on counting bytes that it has thrown away: tcp_ioctl, SIOCOUTQ). */
static bool output_done(const struct conn *c)
{
    struct sock_counts k;
    if (c->unix_ || sock_unsent(c->fd) <= 0)
        return true;
    return sock_counts(c->fd, &k) != 0 || k.state == SOCK_CLOSED_STATE;
}

/* Our FIN at most is on its way, which counts as a byte (tcp_send_fin, tcp_ioctl): every response has arrived. */
static bool only_fin_unacked(const struct conn *c)
{
    return sock_unsent(c->fd) <= 1;
}

/* The program's thread that has ended the connection may say so at the same moment: what it says is taken. */
static void answer_acked(struct conn_facts *f, struct conn *c, nsec_t now)
{
    if (!is_acked(c) && output_done(c)) {
        trace(TRACE_ACKED, c->fd, 0);
        STORE(c->acked_at, now);
        __atomic_store_n(&c->acked, true, __ATOMIC_RELEASE);
        __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    }
    f->acked = is_acked(c);
    f->acked_at = LOAD(c->acked_at);
}

static void answer_only_fin(struct conn_facts *f, struct conn *c, nsec_t now)
{
    f->only_fin = only_fin_unacked(c);
    if (f->only_fin && LOAD(c->acked_at) == 0)
        STORE(c->acked_at, now);
    f->acked_at = LOAD(c->acked_at);
}

static void answer_peer_ended(struct conn_facts *f, struct conn *c)
{
    uint64_t late = sock_discard(c->fd, &f->peer_ended);
    if (late > 0) {
        __atomic_add_fetch(&c->report.late_bytes, late, __ATOMIC_RELAXED);
        STORE(c->must_linger, true);
        if (conn_report_set(c, CONN_COUNTED_LATE_DATA))
            __atomic_add_fetch(&stats.counts.late_data, 1, __ATOMIC_RELAXED);
    }
    if (f->peer_ended)
        STORE(c->must_linger, false);
    f->must_linger = LOAD(c->must_linger);
}

static void answer_peer_done(struct conn_facts *f, struct conn *c)
{
    if (peer_is_done(c))
        STORE(c->must_linger, false);
    f->must_linger = LOAD(c->must_linger);
}

static void answer(struct conn_facts *f, enum conn_question question, struct conn *c, nsec_t now)
{
    switch (question) {
    case ASK_PEER_ENDED: answer_peer_ended(f, c); break;
    case ASK_PEER_DONE: answer_peer_done(f, c); break;
    case ASK_ACKED: answer_acked(f, c, now); break;
    case ASK_ONLY_FIN: answer_only_fin(f, c, now); break;
    case ASK_MOVED: answer_moved(f, c, now); break;
    case ASK_UNSENT: f->unsent = sock_unsent(c->fd) > 0; break;
    case ASK_UNREAD: f->unread = sock_unread(c->fd) > 0; break;
    case ASK_UNFOLLOWED: f->unfollowed = is_unfollowed(c); break;
    case ASK_BUSY: f->busy = conn_drain_busy(c); break;
    case ASK_SHARED: f->shared = is_shared_still(c, now); break;
    default: break;
    }
    f->known |= (uint32_t)1 << question;
}

/* The entry is free for another use only when the descriptor is gone. */
static void close_lingering(struct conn *c)
{
    trace(TRACE_DROPPED, c->fd, LOAD(c->report.late_bytes));
    conn_log_note(c, CONN_HISTORY_CLOSED);
    ownfd_close(c->fd);
    connections_free(c);
}

static void act(enum conn_action action, struct conn *c, nsec_t now)
{
    switch (action) {
    case CONN_WATCH: close_watch(c); break; /* it may have ended before the drain thread was there; else EEXIST */
    case CONN_SHUT_READ: shut_read(c, now); break;
    case CONN_HALF_CLOSE: close_half(c, now); break;
    case CONN_CLOSE_LINGERING: close_lingering(c); break;
    default: break;
    }
}

static struct conn_policy policy(bool first)
{
    return (struct conn_policy){deferred.signal_at,
                                config.idle,
                                config.linger,
                                drain_may_close_idle(&drain_state.drain),
                                first,
                                drain_state.drain.phase == DRAIN_GUARDING && drain_stops_accepting(&drain_state.drain)};
}

/* Decides about c, pinned and alive, and does it. */
static struct conn_decision drain_one(struct conn *c, const struct conn_policy *p, nsec_t now)
{
    struct conn_facts facts;
    struct conn_decision d;
    if (p->first && __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE) < CONN_HALF_CLOSED && !conn_is_inherited(c))
        verify_counts(c);
    conn_drain_look(&facts, c);
    for (;;) {
        d = conn_drain(&facts, p, now);
        act((enum conn_action)d.action, c, now);
        if (d.ask == ASK_NOTHING)
            return d;
        answer(&facts, (enum conn_question)d.ask, c, now);
    }
}

static struct conn_decision look_at(struct conn *c, const struct conn_policy *p, nsec_t now)
{
    struct conn_decision d = {.outstanding = OUTSTANDING_NOTHING};
    if (!conn_lock(&c->pin)) { /* its close will wake the drain thread */
        d.outstanding = conn_is_alive(c) ? OUTSTANDING_ENDING : OUTSTANDING_NOTHING;
        return d;
    }
    if (conn_is_alive(c))
        d = drain_one(c, p, now);
    if (conn_log_on())
        conn_log_look(c, d.outstanding == OUTSTANDING_IN_FLIGHT, p->first ? deferred.signal_at : now);
    connections_unpin(c);
    return d;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

/* Is a connection that was counted as in flight still so: by the bytes that it has received, or by unread ones?
 * (Unread ones need no more scans: the program's read wakes the drain thread, and polling would take the program's
 * processor time.) */
static bool is_still_in_flight(const struct conn *c)
{
    return conn_is_waited_for(c) || sock_unread(c->fd) > 0 || is_unfollowed(c);
}

/* Publish the blocker, then look again: a change before the publication has woken no thread. */
static void publish_blocker(struct conn *c, const struct conn_decision *d, bool first)
{
    if (d->outstanding == OUTSTANDING_NOTHING || d->outstanding == OUTSTANDING_IDLE || wake.blocker)
        return;
    __atomic_store_n(&wake.blocker, c, __ATOMIC_SEQ_CST);
    if (d->outstanding == OUTSTANDING_IN_FLIGHT && !first && !is_still_in_flight(c))
        wake_now();
}

/* What was in flight at the signal, and what comes after it. */
static void note_first(struct conn *c, bool in_flight)
{
    conn_report_clear(c, CONN_LATE);
    if (in_flight)
        conn_report_set(c, CONN_FROM_BEFORE);
    else
        conn_report_clear(c, CONN_FROM_BEFORE);
    stats.counts.in_flight += in_flight;
}

void scan_connections(struct census *census, nsec_t now, bool first)
{
    const struct conn_policy p = policy(first);
    bool exiting = exit_guard_waits();
    census->leaving = exiting;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!conn_is_alive(c) || left_alone_connection(c))
            continue;
        struct conn_decision d = look_at(c, &p, now);
        bool in_flight = d.outstanding == OUTSTANDING_IN_FLIGHT;
        if (first)
            note_first(c, in_flight);
        if (exiting)
            conn_drain_in_exit(&d, in_flight && somebody_serves(c), is_acked(c), &p, now);
        conn_drain_count(census, &d);
        publish_blocker(c, &d, first);
    }
}

/* The program reads end of file from a half-closed connection, but nothing wakes it to read: some programs wait in
 * their shutdown for all connections to end (hypercorn). Not before: data that comes after a shutdown of both
 * directions is answered with a RST (tcp_rcv_state_process), here as after the program's end. */
void scan_end_reading(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!conn_is_alive(c) || !conn_lock(&c->pin))
            continue;
        if (conn_is_alive(c) && __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE) == CONN_HALF_CLOSED && !c->stale &&
            is_acked(c))
            sys2(SYS_shutdown, c->fd, SHUT_RD);
        connections_unpin(c);
    }
}

void scan_abort(nsec_t now)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!conn_is_alive(c) || !conn_lock(&c->pin))
            continue;
        if (conn_is_alive(c) && !conn_is_inherited(c) && !c->stale && !conn_is_shared(c)) {
            close_half(c,
                       now); /* what the program still writes is swallowed: a write of its own must not raise SIGPIPE */
            sys2(SYS_shutdown, c->fd, SHUT_RDWR);
        }
        connections_unpin(c);
    }
}

bool scan_event(uint64_t token, nsec_t now)
{
    const struct conn_policy p = policy(false);
    struct conn *c = pool_at(&connections, (uint32_t)token);
    if (!c || LOAD(c->generation) != (uint32_t)(token >> 32) || !conn_is_alive(c))
        return false;
    if (!conn_lock(&c->pin))
        return true;
    if (conn_is_alive(c) && __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE) >= CONN_HALF_CLOSED)
        drain_one(c, &p, now);
    connections_unpin(c);
    return c == wake.blocker || wake.blocker == NULL;
}
