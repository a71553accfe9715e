/* external.c: see external.h. Each step is one scan of all connections (sock_diag), a judgement of each connection
 * (activity.h), and the decision of the drain (core/drain.h) on the sum.
 *
 * A scan is made when the kernel reports that a TCP socket of the program has ended. The kernel reports no bytes
 * that come or go, so scans also run periodically, only during a drain: every 5 to 50 ms, so that the scans take a
 * twentieth of a processor (more with thousands of connections). Descriptors of the connections would report sooner,
 * but cannot be held: while the launcher had such a descriptor, the program's close would not end the connection. */
#include "launcher/external/external.h"

#include "core/drain.h"
#include "core/report_format.h"
#include "launcher/external/close_conns.h"
#include "launcher/external/deliver.h"
#include "launcher/external/report.h"
#include "launcher/external/observe.h"
#include "launcher/host/clock.h"
#include "launcher/host/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ABORTS_MAX = 256 };

struct external {
    const struct options *options;
    int signal;
    uint64_t wall_ms;
    struct drain drain;
    struct observer observer;
    int endings;
    nsec_t outstanding_at;
    bool outstanding; /* a request or response was outstanding at the last scan */
    bool told;        /* the first line of the report is written */
    bool reported;    /* and the last */
    nsec_t kill_at;   /* the deadline is over, and the program has had its signal just now; 0: not so */
};

/* What a program that gets its signal only at the deadline has, to end by itself. */
#define LAST_MOMENT (150 * NSEC_PER_MSEC)

#define CORK_STEP_EVERY (2 * NSEC_PER_MSEC) /* while closes wait under a cork */

/* How long a pause may be at this time. In the last fifth of the time before the deadline ever shorter pauses count
 * as idle: at the deadline every open connection would be aborted. (A connection with regular requests was closed
 * under a cork long before, unless its program sets and clears TCP_CORK itself.) */
static struct activity_limits patience(const struct external *x, nsec_t now)
{
    const nsec_t shortest = 12 * NSEC_PER_MSEC; /* more than two scans and two kernel ticks */
    const struct options *o = x->options;
    struct activity_limits p = {x->drain.signal_at, o->idle, o->linger};
    nsec_t end = x->drain.signal_at + o->timeout, fifth = o->timeout / 5, left = now < end ? end - now : 0;
    if (!o->timeout || left >= fifth)
        return p;
    nsec_t share = (nsec_t)((double)o->idle * ((double)left / (double)fifth));
    p.idle = share > shortest ? share : p.idle < shortest ? p.idle : shortest;
    p.since = 0; /* now the pause alone counts */
    return p;
}

/* ---- the sum ----------------------------------------------------------------------------------------------------- */

static void sooner(nsec_t *at, nsec_t other)
{
    if (other && (!*at || other < *at))
        *at = other;
}

/* Where no read shutdown can be made (cannot_take), an idle connection does not hold the drain: the program closes
 * the connection when the signal is delivered. */
static void count_conn(const struct external *x, struct census *c, enum activity_state is, nsec_t until)
{
    sooner(&c->next_expiry, until);
    switch (is) {
    case ACTIVITY_QUEUED: c->queued++; break;
    case ACTIVITY_IN_FLIGHT:
    case ACTIVITY_UNSURE: c->in_flight++; break;
    case ACTIVITY_ENDING: c->ending++; break;
    case ACTIVITY_QUIET: c->idle += !x->observer.cannot_take; break;
    case ACTIVITY_IDLE:
        c->idle += !x->observer.cannot_take;
        break; /* no read shutdown yet: bytes came or went just now, or it is too early (drain_may_close_idle) */
    case ACTIVITY_READ_SHUT: c->idle++; break;
    case ACTIVITY_DONE: break;
    }
}

static void log_own_handler(const struct options *o)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)(o->shutdown_time / NSEC_PER_MSEC));
    host_log(LOG_INFO,
             "the program's own handler runs when the drain is over, or before its deadline; "
             "LASTCALL_DELIVER=first runs it at once",
             "shutdown_time_ms", number, NULL);
}

/* Requests that the program has dropped: it has closed their connections. */
static unsigned count_dropped(const struct external *x)
{
    unsigned count = 0;
    for (unsigned i = 0; i < x->observer.closed.count; i++)
        count += closed_conns_was_aborted(&x->observer.closed.at[i], PROGRAM_LIVES);
    return count;
}

/* What will the program do when it gets its signal? Asked at the signal, and from when on the answer decides, since
 * that costs a walk through /proc. */
static enum program_answer answer(struct external *x, nsec_t now)
{
    const struct options *o = x->options;
    bool decides = o->deliver_first || (o->timeout && now + o->shutdown_time >= x->drain.signal_at + o->timeout);
    if (x->told && !decides)
        return PROGRAM_DIES;
    enum program_answer program = deliver_answer(&x->observer, x->signal, o);
    if (!x->told && program == PROGRAM_SHUTS_DOWN && !o->deliver_first)
        log_own_handler(o);
    return program;
}

static struct census take_census(struct external *x, nsec_t now)
{
    struct census c = {.last_accept = x->observer.last_accept};
    const struct activity_limits p = patience(x, now);
    for (unsigned i = 0; i < x->observer.here.count; i++) {
        struct observed_conn *conn = &x->observer.here.at[i];
        nsec_t until;
        if (conn->external)
            continue;
        if (conn->activity.now.state == DIAG_SYN_RECV) {
            c.half_open++;
            continue;
        }
        close_conns_uncork(&x->observer, conn, now);
        if (conn->cork.fd >= 0 && close_conns_has_no_other_holder(&x->observer, conn))
            observe_drop_cork(&x->observer, conn);
        enum activity_state is = activity_state(&conn->activity, &p, now, &until);
        if (is == ACTIVITY_IDLE && drain_may_close_idle(&x->drain)) {
            close_conns_shut_idle(&x->observer, conn, now);
            is = activity_state(&conn->activity, &p, now, &until);
        } else if (conn->cork.fd < 0 && drain_may_close_idle(&x->drain) && activity_is_regular(&conn->activity)) {
            close_conns_begin_cork(&x->observer, conn, now);
        }
        count_conn(x, &c, is, until);
    }
    c.answer = (uint8_t)answer(x, now);
    if (x->drain.phase == DRAIN_GUARDING)
        c.aborted = count_dropped(x);
    /* The kernel's list is no snapshot: a connection that is missing may be there in the next scan. */
    bool outstanding = c.queued + c.in_flight + c.idle + c.ending > 0;
    c.ending += !outstanding && x->outstanding;
    x->outstanding = outstanding;
    if (outstanding)
        x->outstanding_at = now;
    return c;
}

/* At the signal. A connection whose state the counts do not prove is opaque. */
static void count_first(struct external *x, nsec_t now)
{
    const struct activity_limits p = patience(x, now);
    for (unsigned i = 0; i < x->observer.here.count; i++) {
        const struct observed_conn *conn = &x->observer.here.at[i];
        nsec_t until;
        if (conn->external || conn->activity.now.state == DIAG_SYN_RECV)
            continue;
        x->observer.counts.opaque++;
        switch (activity_state(&conn->activity, &p, now, &until)) {
        case ACTIVITY_QUEUED:
        case ACTIVITY_IN_FLIGHT: x->observer.counts.in_flight++; break;
        default: break;
        }
    }
}

/* ---- those that end ---------------------------------------------------------------------------------------------- */

struct reading {
    struct external *x;
    bool any; /* an ended connection came by a listener of the program */
};

static bool is_ours(const struct listeners *d, uint16_t port)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].ours && d->at[i].diag.local_port == port)
            return true;
    return false;
}

static void take_ending(const struct diag_socket *s, void *arg)
{
    struct reading *r = arg;
    if (!is_ours(&r->x->observer.listeners, s->local_port))
        return;
    r->any = true;
    observe_ended(&r->x->observer, s);
}

/* Returns whether a connection has ended, or may have. */
static bool read_endings(struct external *x)
{
    struct reading r = {.x = x};
    if (x->endings < 0)
        return false;
    bool lost = sock_diag_read_endings(x->endings, take_ending, &r);
    return r.any || lost;
}

/* The kernel sends a connection's final counts a little after the end of the connection, from a work queue
 * (sock_diag_broadcast_destroy), which on a busy machine gets its processor late. Without final counts an outstanding
 * response counts as aborted. */
static void read_all_endings(struct external *x)
{
    enum { TIMES = 100, PATIENCE_MS = 5 };
    read_endings(x);
    for (int i = 0; i < TIMES && x->endings >= 0 && closed_conns_awaits_final(&x->observer.closed); i++) {
        struct pollfd said = {x->endings, POLLIN, 0};
        poll(&said, 1, PATIENCE_MS);
        read_endings(x);
    }
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

static void report_begun(struct external *x)
{
    const struct report_begun begun = {
        .pid = x->observer.root,
        .signal = x->signal,
        .mode = "external",
        .wall_start_ms = x->wall_ms,
        .in_flight = x->observer.counts.in_flight,
        .deadline = x->options->timeout,
    };
    if (!x->told)
        external_report_begun(x->options, &begun);
    x->told = true;
}

static bool is_outstanding(const struct external *x, const struct observed_conn *conn, nsec_t now)
{
    const struct activity_limits p = patience(x, now);
    nsec_t until;
    if (conn->external || conn->activity.now.state == DIAG_SYN_RECV)
        return false;
    enum activity_state is = activity_state(&conn->activity, &p, now, &until);
    bool may_be =
        conn->activity.last_sender == SENDER_CLIENT || conn->activity.now.unread > 0 || conn->activity.now.unsent > 0;
    return is == ACTIVITY_QUEUED || is == ACTIVITY_IN_FLIGHT || is == ACTIVITY_UNSURE ||
           (is == ACTIVITY_IDLE && may_be);
}

struct aborts {
    unsigned count;
    struct report_aborted at[ABORTS_MAX];
    char peer[ABORTS_MAX][64];
};

static void add_abort(struct external *x, struct aborts *aborts, const struct diag_socket *s, int pid)
{
    x->observer.counts.aborted++;
    x->observer.counts.unread_bytes += s->unread;
    if (aborts->count == ABORTS_MAX)
        return;
    unsigned i = aborts->count++;
    sock_diag_text(s->family, s->peer, s->peer_port, aborts->peer[i]);
    aborts->at[i] = (struct report_aborted){.peer = aborts->peer[i],
                                            .pid = pid,
                                            .method = "",
                                            .age = s->quiet_ms * NSEC_PER_MSEC,
                                            .unread_bytes = s->unread};
}

/* The aborted connections: those still open, and those that a process closed by dying. */
static void find_aborts(struct external *x, struct aborts *aborts, enum report_end end, enum program_end why,
                        nsec_t now)
{
    for (unsigned i = 0; end != REPORT_DRAINED && i < x->observer.here.count; i++) {
        const struct observed_conn *conn = &x->observer.here.at[i];
        const struct process_socket *holder = process_sockets_find(&x->observer.sockets, conn->activity.now.inode);
        if (is_outstanding(x, conn, now))
            add_abort(x, aborts, &conn->activity.now, holder ? holder->pid : 0);
    }
    for (unsigned i = 0; i < x->observer.closed.count; i++) {
        const struct closed_conn *one = &x->observer.closed.at[i];
        if (closed_conns_was_aborted(one, why))
            add_abort(x, aborts, &one->activity.now, one->holder);
    }
}

static void report_end_of_drain(struct external *x, enum report_end end, enum program_end why, nsec_t now)
{
    static struct aborts aborts;
    if (x->reported)
        return;
    x->reported = true;
    report_begun(x);
    aborts.count = 0;
    read_all_endings(x);
    find_aborts(x, &aborts, end, why, now);
    if (end == REPORT_EXIT && x->drain.phase == DRAIN_GUARDING && x->observer.counts.aborted == 0)
        end = REPORT_DRAINED; /* it had its signal, and has done what it should */
    for (unsigned i = 0; i < x->observer.here.count; i++) {
        const struct activity *a = &x->observer.here.at[i].activity;
        x->observer.counts.late_data += a->late_data;
        x->observer.counts.served_after_signal += a->requests;
        x->observer.counts.idle_closed += a->read_shut_at && !a->now.inode && !x->observer.here.at[i].corked;
    }
    const struct drain *d = &x->drain;
    const struct report r = {
        .pid = x->observer.root,
        .signal = x->signal,
        .processes = x->observer.sockets.processes,
        .wall_start_ms = x->wall_ms,
        .duration = now - d->signal_at,
        .accept_stopped =
            d->accept_stopped_at && x->observer.listeners.accept_stop ? d->accept_stopped_at - d->signal_at : 0,
        .exit_delay = x->outstanding_at ? now - x->outstanding_at : now - d->signal_at,
        .end = end,
        .mode = "external",
        .accept_stop = x->observer.listeners.accept_stop,
        .counts = x->observer.counts,
    };
    external_report(x->options, &r, aborts.at, aborts.count);
}

/* ---- the face ---------------------------------------------------------------------------------------------------- */

static bool names_unix(const struct options *o)
{
    for (unsigned i = 0; i < o->listen_count; i++)
        if (o->listen[i].family == 1)
            return true;
    return false;
}

static void log_beginning(const struct external *x)
{
    char number[16];
    snprintf(number, sizeof number, "%d", x->signal);
    host_log(LOG_INFO, "signal deferred, draining externally", "signal", number, NULL);
    if (names_unix(x->options))
        host_log(LOG_WARN, "listeners of AF_UNIX are not drained externally", NULL);
    if (x->observer.sockets.hidden)
        host_log(LOG_WARN,
                 "the command's descriptors may not be looked at: what LASTCALL_LISTEN names is taken for its own",
                 NULL);
}

struct external *external_begin(int root, int signal, const struct options *o, nsec_t now)
{
    struct external *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->options = o;
    x->observer.root = root;
    x->signal = signal;
    x->wall_ms = clock_wall_ms();
    drain_signal(&x->drain, now);
    x->endings = sock_diag_endings();
    bool found = listeners_find(&x->observer.listeners, &x->observer.sockets, o);
    bool serves = found && listeners_count_ours(&x->observer.listeners) > 0;
    bool ignored = serves && deliver_is_ignored(&x->observer, signal, o);
    if (serves && !ignored) {
        log_beginning(x);
        return x;
    }
    if (ignored)
        host_log(LOG_INFO, "the command ignores the signal, and goes on serving: it is not drained", NULL);
    else if (x->observer.listeners.unknown)
        host_log(LOG_WARN,
                 "the command's descriptors may not be looked at, so that its listeners are not known and nothing is "
                 "waited for; "
                 "LASTCALL_LISTEN can name them",
                 NULL);
    else if (!found)
        host_log(LOG_WARN, "the command's sockets cannot be seen, so that nothing is waited for", "because",
                 "no sock_diag or no /proc", NULL);
    else
        host_log(LOG_DEBUG, "nothing to drain externally: the command has no TCP listener that LASTCALL_LISTEN names",
                 NULL);
    external_end(x);
    return NULL;
}

static void pass_on(struct external *x, bool shuts_down)
{
    deliver_signal(&x->observer, deliver_which(&x->observer, x->signal, x->options, shuts_down));
}

void external_again(struct external *x, nsec_t now)
{
    if (x->drain.phase == DRAIN_GUARDING)
        pass_on(x, false);
    else
        drain_signal(&x->drain, now);
}

int external_fd(const struct external *x)
{
    return x->endings;
}

static void stop_accepting(struct external *x)
{
    char why[64];
    struct listeners found = {0};
    if (listeners_find(&found, &x->observer.sockets,
                       x->options)) { /* the program may have made new listeners during the lame duck */
        listeners_free(&x->observer.listeners);
        x->observer.listeners = found;
    } else {
        listeners_free(&found);
    }
    listeners_stop_accepting(&x->observer.listeners, &x->observer.sockets);
    if (!x->observer.listeners.error)
        return;
    if (x->observer.listeners.error == EPERM || x->observer.listeners.error == ENOSYS) {
        close_conns_cannot_take(&x->observer, x->observer.listeners.error);
        return;
    }
    snprintf(why, sizeof why, "%s", strerrordesc_np(x->observer.listeners.error));
    host_log(LOG_WARN, "a listener stays open: the kernel will not hide it", "because", why, NULL);
}

static enum report_end end_of(const struct drain *d)
{
    return d->again ? REPORT_SECOND_SIGNAL : d->expired ? REPORT_DEADLINE : REPORT_DRAINED;
}

/* One scan and the drain's decision; once the listeners have stopped accepting, scan again at once, since
 * connections that came meanwhile are in the accept queues. */
static struct drain_actions look_and_act(struct external *x, nsec_t now)
{
    bool delivers = false;
    for (;;) {
        bool first = !x->observer.looked;
        struct census c = {.in_flight =
                               1}; /* without a scan one request is assumed to be in flight, until the deadline */
        if (observe_connections(&x->observer, now)) {
            if (first)
                count_first(x, now);
            c = take_census(x, now);
        }
        report_begun(x);
        struct drain_actions act = drain_step(&x->drain, &c, x->options, now);
        if (act.stop_accepting)
            stop_accepting(x);
        if (delivers || act.deliver)
            delivers = act.deliver = true;
        if (!act.stop_accepting)
            return act;
    }
}

static enum external_next killed(struct external *x)
{
    deliver_kill(&x->observer);
    return EXTERNAL_ABORTED;
}

/* The report comes before the program can end. */
static enum external_next carry_out(struct external *x, const struct drain_actions *act, nsec_t now)
{
    if (act->finish)
        report_end_of_drain(x, end_of(&x->drain), PROGRAM_LIVES, now);
    if (act->deliver)
        pass_on(x, !act->finish);
    if (act->abort && !act->deliver)
        return killed(x);
    x->kill_at = act->abort ? now + LAST_MOMENT : 0;
    return act->finish && !act->abort ? EXTERNAL_OVER : EXTERNAL_WAIT;
}

static enum external_next look(struct external *x, nsec_t now)
{
    struct drain_actions act = look_and_act(x, now);
    if (act.wake_at && act.wake_at < x->observer.look_at)
        x->observer.look_at = act.wake_at > now + OBSERVE_LEAST ? act.wake_at : now + OBSERVE_LEAST;
    return carry_out(x, &act, now);
}

enum external_next external_step(struct external *x, nsec_t now, nsec_t *wake_at)
{
    enum external_next next = EXTERNAL_WAIT;
    if (x->kill_at) {
        *wake_at = x->kill_at;
        return now >= x->kill_at ? killed(x) : EXTERNAL_WAIT;
    }
    if (read_endings(x))
        x->observer.look_at = x->observer.looked_at + OBSERVE_LEAST;
    close_conns_step_corks(&x->observer, now);
    if (now >= x->observer.look_at || x->drain.again)
        next = look(x, now);
    *wake_at = x->kill_at ? x->kill_at : x->observer.look_at;
    if (x->observer.corks > 0)
        sooner(wake_at, now + CORK_STEP_EVERY);
    return next;
}

void external_program_ended(struct external *x, bool killed, nsec_t now)
{
    read_endings(x);
    observe_connections(&x->observer, now);
    report_end_of_drain(x, REPORT_EXIT, killed ? PROGRAM_KILLED : PROGRAM_EXITED, now);
}

void external_end(struct external *x)
{
    if (x->endings >= 0)
        close(x->endings);
    observe_free(&x->observer);
    free(x);
}
