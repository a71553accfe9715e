/* survey.c: every connection looked at once: what is due is done, what is owed is counted. */
#include "pump.h"

#include "track/conn_log.h"

#include "track/close.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "process/trace.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

static bool draining_idle(void)
{
    return drain_may_close_idle(&drain_state.drain);
}

static nsec_t later(nsec_t a, nsec_t b)
{
    return a > b ? a : b;
}

static void expires(struct census *census, nsec_t at)
{
    if (census->next_expiry == 0 || at < census->next_expiry)
        census->next_expiry = at;
}

/* While an exit waits: only what another, living thread serves is still owed (DESIGN: exit guard). */
static bool somebody_serves(const struct conn *c)
{
    if (LOAD(c->io.thread) == exit_guard.thread_pointer)
        return false;
    if (LOAD(c->io.tid) != 0)
        return sys3(SYS_tgkill, self_pid(), LOAD(c->io.tid), 0) == 0;
    return proc_threads() > 1 + pump_threads(); /* the exiting one and ours */
}

/* The kernel's own counts against ours: unequal while no call is in progress means that someone else does this
 * connection's input or output (stdio, io_uring, another process), or that the descriptor is stale. */
enum verdict { EQUAL, UNEQUAL, UNSTEADY };

static bool in_call(const struct conn *c)
{
    return (__atomic_load_n(&c->calls_in, __ATOMIC_SEQ_CST) | __atomic_load_n(&c->calls_out, __ATOMIC_SEQ_CST)) != 0;
}

/* What the program has read, and written: our FIN is a byte of theirs too (tcp_fin, tcp_send_fin), as is the peer's. */
static bool is_equal(const struct conn *c, const struct sock_counts *k, uint64_t unread, uint64_t unsent)
{
    return k->received - unread == LOAD(c->read_bytes) + sock_fin_came(k) &&
           k->acked + unsent == LOAD(c->written_bytes) + LOAD(c->fin);
}

/* Where the kernel does not say, the hooks are believed. */
static enum verdict unanswered(long err)
{
    return sock_is_other(err) ? UNEQUAL : UNSTEADY;
}

/* One comparison. The kernel's four numbers come from three calls, ours from two words: it counts only if nothing
 * moved from before the first to after the last. */
static enum verdict compare(const struct conn *c)
{
    struct sock_counts before, after;
    if (in_call(c))
        return UNSTEADY;
    uint64_t read_bytes = __atomic_load_n(&c->read_bytes, __ATOMIC_SEQ_CST);
    uint64_t written_bytes = __atomic_load_n(&c->written_bytes, __ATOMIC_SEQ_CST);
    long err = sock_counts(c->fd, &before);
    if (err != 0)
        return unanswered(err);
    long unread = sock_unread(c->fd), unsent = sock_unsent(c->fd);
    if (unread < 0 || unsent < 0 || (err = sock_counts(c->fd, &after)) != 0)
        return unanswered(unread < 0 ? unread : unsent < 0 ? unsent : err);
    if (in_call(c) || before.received != after.received || before.acked != after.acked ||
        read_bytes != __atomic_load_n(&c->read_bytes, __ATOMIC_SEQ_CST) ||
        written_bytes != __atomic_load_n(&c->written_bytes, __ATOMIC_SEQ_CST))
        return UNSTEADY;
    return is_equal(c, &after, (uint64_t)unread, (uint64_t)unsent) ? EQUAL : UNEQUAL;
}

/* Accepted connections have the port of a listener. One that has not is made by connect(), on a number that was
 * closed where we could not see it. */
static bool has_foreign_port(const struct conn *c)
{
    struct sock_address local;
    if (c->listener >= LISTENERS_MAX || !sock_local(c->fd, &local))
        return false;
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].port == local.port)
            return false;
    return true;
}

static void verify(struct conn *c)
{
    enum { TRIES = 16 };
    if (c->unix_ || conn_report_has(c, CONN_VERIFIED) || conn_is_opaque(c))
        return;
    enum verdict v = UNSTEADY;
    for (int i = 0; i < TRIES && v == UNSTEADY; i++)
        v = compare(c);
    c->stale = (v == UNEQUAL || LOAD(c->read_bytes) + LOAD(c->written_bytes) == 0) && has_foreign_port(c);
    if (v == UNEQUAL || c->stale)
        conn_set_opaque(c, OPAQUE_COUNTS);
    conn_report_set(c, CONN_VERIFIED); /* never steady: the hooks see it being used */
}

enum owed { OWED_NOTHING, OWED_IDLE, OWED_ENDING, OWED_IN_FLIGHT };

static void give_eof(struct conn *c, nsec_t now)
{
    trace(TRACE_EOF, c->fd, 0);
    conn_log_note(c, HISTORY_EOF);
    STORE(c->since, now);
    __atomic_store_n(&c->stage, CONN_EOF, __ATOMIC_SEQ_CST); /* before a reader can see it */
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

/* A thread is at its bytes just now: a request may be past the parser, and not among those that are owed yet. To be asked
 * before conn_in_flight. */
static bool is_being_followed(const struct conn *c)
{
    return ((__atomic_load_n(&c->calls_in, __ATOMIC_ACQUIRE) | __atomic_load_n(&c->calls_out, __ATOMIC_ACQUIRE)) &
            CONN_LOCKED) != 0;
}

/* A read of the program's has its bytes from the kernel, and we have not seen them yet. */
static bool is_unfollowed(const struct conn *c)
{
    struct sock_counts k;
    if (c->unix_ || __atomic_load_n(&c->calls_in, __ATOMIC_ACQUIRE) == 0 || sock_counts(c->fd, &k) != 0)
        return false;
    return k.received != UINT64_MAX && k.received > LOAD(c->read_bytes) + sock_fin_came(&k);
}

/* Its idle window is over. Has it spoken in the last moment? Bytes go from the kernel through a read of the program's to
 * the parser: who asks in this order meets them. (A read that waits where others have read before it looks the same
 * for ever, so only until `latest`.) */
static bool has_spoken(const struct conn *c, nsec_t now, nsec_t latest)
{
    return sock_unread(c->fd) > 0 || (now < latest && is_unfollowed(c)) || is_being_followed(c) || conn_in_flight(c);
}

/* Idle, or opaque and quiet, until `until`: then the virtual EOF, and as long again to react to it. */
static enum owed idle_until(struct conn *c, struct census *census, nsec_t until, nsec_t now)
{
    nsec_t latest = until + config.idle;
    if (!draining_idle())
        return OWED_IDLE; /* lame duck: its end is a time of its own */
    if (now < until) {
        expires(census, until);
        return OWED_IDLE;
    }
    /* Before anything else: also of the time after the virtual EOF. */
    if (!conn_is_opaque(c) && has_spoken(c, now, latest)) {
        if (now < latest)
            expires(census, latest);
        return OWED_IN_FLIGHT;
    }
    if (c->stage == CONN_EOF || is_shared_still(c, now))
        return OWED_NOTHING; /* the program does not care for it: the exit closes it */
    give_eof(c, now);
    expires(census, now + config.idle);
    return OWED_IDLE;
}

static enum owed look_at_opaque(struct conn *c, struct census *census, nsec_t now)
{
    struct sock_counts k = {0};
    if (conn_report_set(c, CONN_COUNTED_OPAQUE)) {
        stats.counts.opaque++;
        trace(TRACE_OPAQUE, c->fd, LOAD(c->opaque_reason));
        conn_log_note(c, HISTORY_OPAQUE);
    }
    nsec_t quiet_since = later(deferred.signal_at, LOAD(c->since));
    if (!c->unix_) {
        long err = sock_counts(c->fd, &k);
        if (sock_is_other(err) || (err == 0 && k.state == SOCK_CLOSED_STATE))
            return OWED_NOTHING;
        uint32_t quiet_ms = k.quiet_in_ms < k.quiet_out_ms ? k.quiet_in_ms : k.quiet_out_ms;
        nsec_t moved = err == 0 && k.timed ? now - (nsec_t)quiet_ms * NSEC_PER_MSEC : 0;
        quiet_since = c->stage == CONN_EOF ? LOAD(c->since) : later(quiet_since, moved);
    }
    if (c->stage != CONN_EOF && sock_unsent(c->fd) > 0)
        quiet_since = now; /* a reader that pauses: output is bounded by the deadline only */
    return idle_until(c, census, quiet_since + config.idle, now);
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

/* Nothing is on its way any more: all is acknowledged, or the peer has reset the connection (then the kernel goes on
 * counting what it has thrown away: tcp_ioctl, SIOCOUTQ). */
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

/* Half-closed or lingering: the output first, however long it takes; then the peer's end, not for long. That its kernel
 * acknowledges our FIN means that nothing of it is on its way here; a peer that has vanished never does. */
static enum owed look_at_ended(struct conn *c, struct census *census, nsec_t now)
{
    if (LOAD(c->must_linger) && peer_is_done(c))
        STORE(c->must_linger, false);
    if (!is_acked(c) && output_done(c)) {
        trace(TRACE_ACKED, c->fd, 0);
        STORE(c->acked_at, now);
        __atomic_store_n(&c->acked, true, __ATOMIC_RELEASE);
        __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    }
    if (!is_acked(c)) {
        close_watch(c); /* it may have ended before there was a pump; EEXIST otherwise */
        if (!only_fin_unacked(c))
            return OWED_ENDING;
        if (LOAD(c->acked_at) == 0)
            STORE(c->acked_at, now);
    }
    nsec_t until = LOAD(c->acked_at) + config.linger;
    if ((LOAD(c->must_linger) || !is_acked(c)) && now < until) {
        expires(census, until);
        return OWED_ENDING;
    }
    return OWED_NOTHING;
}

/* It is whose that touches it. One that the parent had only accepted is probably ours, though we have not come to it
 * yet, and the parent may not have closed it yet. */
static enum owed look_at_inherited(const struct conn *c, struct census *census, nsec_t now)
{
    nsec_t until = deferred.signal_at + config.idle;
    if (conn_is_opaque(c) || LOAD(c->read_bytes) + LOAD(c->written_bytes) > 0 || now >= until)
        return OWED_NOTHING;
    expires(census, until);
    return OWED_IDLE;
}

static enum owed look_at_open(struct conn *c, struct census *census, nsec_t now, bool first)
{
    if (conn_is_inherited(c))
        return look_at_inherited(c, census, now);
    if (first)
        verify(c);
    if (c->stale)
        return OWED_NOTHING;
    if (conn_is_opaque(c))
        return look_at_opaque(c, census, now);
    if (LOAD(c->fin))
        return look_at_ended(c, census, now); /* the program has said its last word: like nginx, it lingers */
    if (is_being_followed(c) || conn_in_flight(c) || (first && sock_unread(c->fd) > 0))
        return OWED_IN_FLIGHT;
    return idle_until(c, census, later(deferred.signal_at, LOAD(c->since)) + config.idle, now);
}

/* The entry is free for another use only when the descriptor is gone. */
static void drop_lingering(struct conn *c)
{
    trace(TRACE_DROPPED, c->fd, LOAD(c->report.late_bytes));
    conn_log_note(c, HISTORY_CLOSED);
    ownfd_close(c->fd);
    connections_free(c);
}

static enum owed look_at_lingering(struct conn *c, struct census *census, nsec_t now)
{
    bool ended;
    uint64_t crossed = sock_discard(c->fd, &ended);
    if (crossed > 0) {
        __atomic_add_fetch(&c->report.late_bytes, crossed, __ATOMIC_RELAXED);
        STORE(c->must_linger, true);
        if (conn_report_set(c, CONN_COUNTED_LATE_DATA))
            __atomic_add_fetch(&stats.counts.crossed, 1, __ATOMIC_RELAXED);
    }
    if (ended)
        STORE(c->must_linger, false);
    enum owed owed = look_at_ended(c, census, now);
    if (owed == OWED_NOTHING && (ended || now >= LOAD(c->acked_at) + config.linger)) {
        drop_lingering(c);
        return OWED_NOTHING;
    }
    return owed;
}

static enum owed look_at(struct conn *c, struct census *census, nsec_t now, bool first)
{
    enum owed owed = OWED_NOTHING;
    if (!conn_lock(&c->pin))
        return conn_is_alive(c) ? OWED_ENDING : OWED_NOTHING; /* its close will wake us */
    if (conn_is_alive(c))
        switch (__atomic_load_n(&c->stage, __ATOMIC_ACQUIRE)) {
        case CONN_ENDED: owed = look_at_ended(c, census, now); break;
        case CONN_LINGERING: owed = look_at_lingering(c, census, now); break;
        default: owed = look_at_open(c, census, now, first);
        }
    if (conn_log_on())
        conn_log_look(c, owed == OWED_IN_FLIGHT, first ? deferred.signal_at : now);
    connections_unpin(c);
    return owed;
}

static void count(struct census *census, enum owed owed)
{
    census->in_flight += owed == OWED_IN_FLIGHT;
    census->idle += owed == OWED_IDLE;
    census->ending += owed == OWED_ENDING;
}

/* Counted as in flight a moment ago: by what it has said, or by what nobody has read yet. (Then a call of the program's
 * wakes us; to look again and again until it comes would take the program's processor.) */
static bool is_still_owed(const struct conn *c)
{
    return conn_in_flight(c) || sock_unread(c->fd) > 0 || is_unfollowed(c);
}

void survey(struct census *census, nsec_t now, bool first)
{
    bool exiting = __atomic_load_n(&exit_guard.tid, __ATOMIC_ACQUIRE) != 0;
    census->leaving = exiting;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!conn_is_alive(c))
            continue;
        enum owed owed = look_at(c, census, now, first);
        if (first) {
            conn_report_clear(c, CONN_LATE);
            if (owed == OWED_IN_FLIGHT)
                conn_report_set(c, CONN_FROM_BEFORE);
            else
                conn_report_clear(c, CONN_FROM_BEFORE);
            stats.counts.in_flight += owed == OWED_IN_FLIGHT;
        }
        if (exiting && owed == OWED_ENDING && !is_acked(c))
            census->in_flight++; /* PID 1 takes the network with it: what is not acknowledged would be lost */
        if (exiting && owed == OWED_IN_FLIGHT) {
            if (!somebody_serves(c))
                owed = OWED_NOTHING;
            expires(census, now + config.idle); /* nobody tells of a thread's death */
        }
        count(census, owed);
        if (owed == OWED_NOTHING || owed == OWED_IDLE || wake.blocker)
            continue;
        /* Publish the witness, then look again: a change in between would have woken nobody. */
        __atomic_store_n(&wake.blocker, c, __ATOMIC_SEQ_CST);
        if (owed == OWED_IN_FLIGHT && !first && !is_still_owed(c))
            wake_now();
    }
}

bool survey_event(uint64_t token, nsec_t now)
{
    struct conn *c = pool_at(&connections, (uint32_t)token);
    if (!c || LOAD(c->generation) != (uint32_t)(token >> 32) || !conn_is_alive(c))
        return false;
    if (!conn_lock(&c->pin))
        return true;
    if (conn_is_alive(c)) {
        struct census none = {0};
        if (c->stage == CONN_LINGERING)
            look_at_lingering(c, &none, now);
        else if (c->stage == CONN_ENDED)
            look_at_ended(c, &none, now);
    }
    connections_unpin(c);
    return c == wake.blocker || wake.blocker == NULL;
}

/* ---- the sweep: connections on our ports that the table lacks ------------------------------------------- */

/* A close forgets the descriptor before it happens: then this one is about to go. */
static bool stays_open(int fd)
{
    const struct timespec moment = {0, 1000 * 1000};
    uint64_t inode = sock_inode(fd);
    sys2(SYS_nanosleep, &moment, 0);
    return inode != 0 && sock_inode(fd) == inode;
}

static void adopt_unknown(int fd, void *unused)
{
    (void)unused;
    fds_find_delegated(fd);
    if (slot_of(fd) != 0 || ownfd_has(fd))
        return;
    if (!fds_find(fd))
        return;
    uint32_t slot = slot_of(fd);
    if (!stays_open(fd)) {
        if (slot_of(fd) == slot)
            fds_forget(fd);
        return;
    }
    stats.counts.refused_unknown++;
}

void survey_sweep(void)
{
    proc_own_descriptors(adopt_unknown, NULL);
}

/* ---- what a release cuts ---------------------------------------------------------------------------------- */

static bool is_cut(const struct conn *c)
{
    if (!conn_is_alive(c) || conn_is_inherited(c) || c->stale)
        return false;
    if (c->stage >= CONN_ENDED)
        return !is_acked(c) && !only_fin_unacked(c);
    if (conn_in_flight(c))
        return true;
    return sock_unread(c->fd) > 0;
}

static void describe_cut(struct report_cut *cut, const struct conn *c)
{
    struct sock_counts k;
    cut->pid = self_pid();
    cut->method = conn_method(c);
    while (cut->method[cut->method_len])
        cut->method_len++;
    long unread = sock_unread(c->fd);
    cut->unread_bytes = unread > 0 ? (uint64_t)unread : 0;
    cut->request_bytes = c->request_bytes;
    if (!conn_is_opaque(c) && !http1_between(&c->out)) {
        cut->response_bytes = c->response_bytes;
        cut->head_sent = !http1_in_head(&c->out);
        cut->has_total = cut->head_sent && c->out.facts.has_length;
        cut->response_total = c->response_bytes + c->out.left;
    }
    if (!c->unix_ && sock_counts(c->fd, &k) == 0)
        cut->age = (nsec_t)k.quiet_in_ms * NSEC_PER_MSEC;
}

/* The program may go on until it has its signal, and close this one: not while our calls are at it. */
unsigned survey_cut(void (*f)(const struct report_cut *cut, void *arg), void *arg)
{
    unsigned cuts = 0;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        struct report_cut cut;
        struct sock_address peer;
        char text[SOCK_TEXT];
        if (!c->live || !conn_lock(&c->pin))
            continue;
        bool counts = is_cut(c);
        if (counts) {
            conn_log_aborted(c);
            memset(&peer, 0, sizeof peer);
            sock_peer(c->fd, &peer);
            memset(&cut, 0, sizeof cut);
            describe_cut(&cut, c);
        }
        connections_unpin(c);
        if (!counts)
            continue;
        cuts++;
        sock_text(&peer, text);
        cut.peer = text;
        f(&cut, arg);
    }
    return cuts;
}
