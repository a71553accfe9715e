/* external.c: see external.h. Each step is one look at all connections (sock_diag), a judgement of each
 * (activity.h), and what the drain (core/drain.h) makes of the sum.
 *
 * A look is taken when the kernel says that a TCP socket of the program has ended, and, since it says nothing when bytes
 * come or go, also in a cadence: every 5 to 50 ms, so that looking costs a twentieth of a processor (with thousands of
 * connections more), and only while a drain is going on. Holding descriptors of the connections to be told sooner is out of
 * the question: while we had one, the program's close would close nothing. */
#include "launcher/external/external.h"

#include "core/drain.h"
#include "core/report.h"
#include "launcher/external/close_conns.h"
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

enum { CUTS_MAX = 256 };

struct outside {
    const struct options *options;
    int signal;
    uint64_t wall_ms;
    struct drain drain;
    struct watch watch;
    int endings;
    nsec_t owed_at;
    bool owed; /* something was, at the last look */
};

#define SAY_EVERY (2 * NSEC_PER_MSEC) /* while farewells are being said */

/* How patient we are at this time. In the last fifth before the deadline shorter and shorter pauses will do: at the
 * deadline all would be cut. (Who asks regularly has had its farewell long before, if the program lets it be said: one
 * that corks and uncorks by itself does not.) */
static struct guest_patience patience(const struct outside *x, nsec_t now)
{
    const nsec_t shortest = 12 * NSEC_PER_MSEC; /* more than two looks and two ticks */
    const struct options *o = x->options;
    struct guest_patience p = {x->drain.signal_at, o->idle, o->linger};
    nsec_t end = x->drain.signal_at + o->timeout, fifth = o->timeout / 5, left = now < end ? end - now : 0;
    if (!o->timeout || left >= fifth)
        return p;
    nsec_t share = (nsec_t)((double)o->idle * ((double)left / (double)fifth));
    p.idle = share > shortest ? share : p.idle < shortest ? p.idle : shortest;
    p.since = 0; /* what counts now is the pause alone */
    return p;
}

/* ---- the sum -------------------------------------------------------------------------------------------------------- */

static void sooner(nsec_t *at, nsec_t other)
{
    if (other && (!*at || other < *at))
        *at = other;
}

/* Where nothing can be let go, an idle one is left to the program: its signal will close it. */
static void count_guest(const struct outside *x, struct census *c, enum guest_is is, nsec_t until)
{
    sooner(&c->next_expiry, until);
    switch (is) {
    case GUEST_QUEUED: c->queued++; break;
    case GUEST_BUSY:
    case GUEST_UNSURE: c->in_flight++; break;
    case GUEST_ENDING: c->ending++; break;
    case GUEST_RESTING: c->idle += !x->watch.cannot_take; break;
    case GUEST_IDLE:
        c->idle += !x->watch.cannot_take;
        break; /* not let go yet: it has just spoken, or it is too early */
    case GUEST_LEAVING: c->idle++; break;
    case GUEST_DONE: break;
    }
}

static struct census take_census(struct outside *x, nsec_t now)
{
    struct census c = {.last_accept = x->watch.last_accept};
    const struct guest_patience p = patience(x, now);
    for (unsigned i = 0; i < x->watch.here.count; i++) {
        struct visitor *v = &x->watch.here.at[i];
        nsec_t until;
        if (v->foreign)
            continue;
        if (v->guest.now.state == DIAG_SYN_RECV) {
            c.half_open++;
            continue;
        }
        part_uncork(&x->watch, v, now);
        if (v->farewell.fd >= 0 && part_is_left_to_us(&x->watch, v))
            observe_drop_cork(&x->watch, v);
        enum guest_is is = guest_is(&v->guest, &p, now, &until);
        if (is == GUEST_IDLE && drain_may_close_idle(&x->drain)) {
            part_let_go(&x->watch, v, now);
            is = guest_is(&v->guest, &p, now, &until);
        } else if (v->farewell.fd < 0 && drain_may_close_idle(&x->drain) && guest_is_regular(&v->guest)) {
            part_begin_farewell(&x->watch, v, now);
        }
        count_guest(x, &c, is, until);
    }
    /* What the kernel lists is not of one moment: one that is missing may be there at the next look. */
    bool owed = c.queued + c.in_flight + c.idle + c.ending > 0;
    c.ending += !owed && x->owed;
    x->owed = owed;
    if (owed)
        x->owed_at = now;
    return c;
}

/* At the signal. Those of which it cannot be told are opaque. */
static void count_first(struct outside *x, nsec_t now)
{
    const struct guest_patience p = patience(x, now);
    for (unsigned i = 0; i < x->watch.here.count; i++) {
        const struct visitor *v = &x->watch.here.at[i];
        nsec_t until;
        if (v->foreign || v->guest.now.state == DIAG_SYN_RECV)
            continue;
        x->watch.counts.opaque++;
        switch (guest_is(&v->guest, &p, now, &until)) {
        case GUEST_QUEUED:
        case GUEST_BUSY: x->watch.counts.in_flight++; break;
        default: break;
        }
    }
}

/* ---- those that end ------------------------------------------------------------------------------------------------- */

struct hearing {
    struct outside *x;
    bool any; /* of ours */
};

static bool is_ours(const struct doors *d, uint16_t port)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].ours && d->at[i].is.local_port == port)
            return true;
    return false;
}

static void hear(const struct diag_socket *s, void *arg)
{
    struct hearing *h = arg;
    if (!is_ours(&h->x->watch.doors, s->local_port))
        return;
    h->any = true;
    watch_ended(&h->x->watch, s);
}

/* Returns whether a connection has ended, or may have. */
static bool hear_endings(struct outside *x)
{
    struct hearing h = {.x = x};
    if (x->endings < 0)
        return false;
    bool lost = diag_read_endings(x->endings, hear, &h);
    return h.any || lost;
}

/* The kernel says it a little later than it is so. Without its word what was owed counts as cut. */
static void hear_endings_out(struct outside *x)
{
    enum { TIMES = 10, PATIENCE_MS = 5 };
    hear_endings(x);
    for (int i = 0; i < TIMES && x->endings >= 0 && departed_waits(&x->watch.departed); i++) {
        struct pollfd said = {x->endings, POLLIN, 0};
        poll(&said, 1, PATIENCE_MS);
        hear_endings(x);
    }
}

/* ---- the report ----------------------------------------------------------------------------------------------------- */

static bool is_owed(const struct outside *x, const struct visitor *v, nsec_t now)
{
    const struct guest_patience p = patience(x, now);
    nsec_t until;
    if (v->foreign || v->guest.now.state == DIAG_SYN_RECV)
        return false;
    enum guest_is is = guest_is(&v->guest, &p, now, &until);
    bool may_be = v->guest.word == WORD_CLIENT || v->guest.now.unread > 0 || v->guest.now.unsent > 0;
    return is == GUEST_QUEUED || is == GUEST_BUSY || is == GUEST_UNSURE || (is == GUEST_IDLE && may_be);
}

struct cuts {
    unsigned count;
    struct report_cut at[CUTS_MAX];
    char peer[CUTS_MAX][64];
};

static void add_cut(struct outside *x, struct cuts *cuts, const struct diag_socket *s, int pid)
{
    x->watch.counts.cut++;
    x->watch.counts.unread_bytes += s->unread;
    if (cuts->count == CUTS_MAX)
        return;
    unsigned i = cuts->count++;
    diag_text(s->family, s->peer, s->peer_port, cuts->peer[i]);
    cuts->at[i] = (struct report_cut){
        .peer = cuts->peer[i], .pid = pid, .method = "", .age = s->quiet_ms * NSEC_PER_MSEC, .unread_bytes = s->unread};
}

/* Those that are still here, and those whose process has died. */
static void find_cuts(struct outside *x, struct cuts *cuts, enum report_end end, enum departed_why why, nsec_t now)
{
    for (unsigned i = 0; end != REPORT_DRAINED && i < x->watch.here.count; i++) {
        const struct visitor *v = &x->watch.here.at[i];
        const struct process_socket *holder = process_sockets_find(&x->watch.family, v->guest.now.inode);
        if (is_owed(x, v, now))
            add_cut(x, cuts, &v->guest.now, holder ? holder->pid : 0);
    }
    for (unsigned i = 0; i < x->watch.departed.count; i++) {
        const struct departed *one = &x->watch.departed.at[i];
        if (departed_was_cut(one, why))
            add_cut(x, cuts, &one->guest.now, one->holder);
    }
}

static void say_end(struct outside *x, enum report_end end, enum departed_why why, nsec_t now)
{
    static struct cuts cuts;
    cuts.count = 0;
    hear_endings_out(x);
    find_cuts(x, &cuts, end, why, now);
    for (unsigned i = 0; i < x->watch.here.count; i++) {
        const struct guest *g = &x->watch.here.at[i].guest;
        x->watch.counts.crossed += g->crossed;
        x->watch.counts.served_late += g->asked;
        x->watch.counts.idle_closed += g->let_go_at && !g->now.inode && !x->watch.here.at[i].corked;
    }
    const struct drain *d = &x->drain;
    const struct report r = {
        .pid = x->watch.root,
        .signal = x->signal,
        .processes = x->watch.family.processes,
        .wall_start_ms = x->wall_ms,
        .took = now - d->signal_at,
        .door = d->door_closed_at && x->watch.doors.how ? d->door_closed_at - d->signal_at : 0,
        .tail = x->owed_at ? now - x->owed_at : now - d->signal_at,
        .end = end,
        .how = "outside",
        .hidden = x->watch.doors.how,
        .counts = x->watch.counts,
    };
    external_report(x->options, &r, cuts.at, cuts.count);
}

/* ---- the face ------------------------------------------------------------------------------------------------------- */

static bool names_unix(const struct options *o)
{
    for (unsigned i = 0; i < o->listen_count; i++)
        if (o->listen[i].family == 1)
            return true;
    return false;
}

static void say_beginning(const struct outside *x)
{
    char number[16];
    snprintf(number, sizeof number, "%d", x->signal);
    host_log(LOG_INFO, "signal withheld, draining from outside", "signal", number, NULL);
    if (names_unix(x->options))
        host_log(LOG_WARN, "listeners of AF_UNIX are not drained from outside", NULL);
    if (x->watch.family.hidden)
        host_log(LOG_WARN,
                 "the command's descriptors may not be looked at: what LASTCALL_LISTEN names is taken for its own",
                 NULL);
}

struct outside *outside_begin(int root, int signal, const struct options *o, nsec_t now)
{
    struct outside *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->options = o;
    x->watch.root = root;
    x->signal = signal;
    x->wall_ms = clock_wall_ms();
    drain_signal(&x->drain, now);
    x->endings = diag_endings();
    bool found = doors_find(&x->watch.doors, &x->watch.family, o);
    if (found && doors_ours(&x->watch.doors) > 0) {
        say_beginning(x);
        return x;
    }
    if (x->watch.doors.unknown)
        host_log(LOG_WARN,
                 "the command's descriptors may not be looked at, so that its listeners are not known and nothing is "
                 "waited for; "
                 "LASTCALL_LISTEN can name them",
                 NULL);
    else if (!found)
        host_log(LOG_WARN, "the command's sockets cannot be seen, so that nothing is waited for", "because",
                 "no sock_diag or no /proc", NULL);
    else
        host_log(LOG_DEBUG, "nothing to drain from outside: the command has no TCP listener that LASTCALL_LISTEN names",
                 NULL);
    outside_end(x);
    return NULL;
}

void outside_again(struct outside *x, nsec_t now)
{
    drain_signal(&x->drain, now);
}

int outside_fd(const struct outside *x)
{
    return x->endings;
}

static int signal_to_pass_on(const struct outside *x)
{
    return x->options->forward ? x->options->forward : x->signal;
}

static void send_to(int pid, void *arg)
{
    const struct outside *x = arg;
    if (pid != x->watch.root)
        kill(pid, signal_to_pass_on(x));
}

void outside_pass_on(struct outside *x)
{
    if (watch_family(&x->watch))
        doors_servers(&x->watch.doors, &x->watch.family, send_to, x);
    kill(x->watch.root, signal_to_pass_on(x));
}

static void close_doors(struct outside *x)
{
    char why[64];
    struct doors found = {0};
    if (doors_find(&found, &x->watch.family, x->options)) { /* the lame duck may have made new ones */
        doors_free(&x->watch.doors);
        x->watch.doors = found;
    } else {
        doors_free(&found);
    }
    doors_hide(&x->watch.doors, &x->watch.family);
    if (!x->watch.doors.error)
        return;
    if (x->watch.doors.error == EPERM || x->watch.doors.error == ENOSYS) {
        part_cannot_take(&x->watch, x->watch.doors.error);
        return;
    }
    snprintf(why, sizeof why, "%s", strerrordesc_np(x->watch.doors.error));
    host_log(LOG_WARN, "a listener stays open: the kernel will not hide it", "because", why, NULL);
}

static enum report_end end_of(const struct drain *d)
{
    return d->again ? REPORT_SECOND_SIGNAL : d->expired ? REPORT_DEADLINE : REPORT_DRAINED;
}

/* One look and what follows from it; again at once when the doors have been closed, since those who came meanwhile
 * are in their queues. */
static struct drain_actions look_and_act(struct outside *x, nsec_t now)
{
    for (;;) {
        bool first = !x->watch.looked;
        struct census c = {.in_flight = 1}; /* so much is assumed of what cannot be seen, until the deadline */
        if (watch_look(&x->watch, now)) {
            if (first)
                count_first(x, now);
            c = take_census(x, now);
        }
        struct drain_actions act = drain_step(&x->drain, &c, x->options, now);
        if (!act.hide)
            return act;
        close_doors(x);
    }
}

enum outside_next outside_step(struct outside *x, nsec_t now, nsec_t *wake_at)
{
    if (hear_endings(x))
        x->watch.look_at = x->watch.looked_at + LOOK_LEAST;
    part_say_farewells(&x->watch, now);
    if (now >= x->watch.look_at || x->drain.again) {
        struct drain_actions act = look_and_act(x, now);
        if (act.release) {
            say_end(x, end_of(&x->drain), DEPARTED_IN_PEACE, now);
            return OUTSIDE_PASS_ON;
        }
        if (act.wake_at && act.wake_at < x->watch.look_at)
            x->watch.look_at = act.wake_at > now + LOOK_LEAST ? act.wake_at : now + LOOK_LEAST;
    }
    *wake_at = x->watch.look_at;
    if (x->watch.farewells > 0)
        sooner(wake_at, now + SAY_EVERY);
    return OUTSIDE_WAIT;
}

void outside_gone(struct outside *x, bool killed, nsec_t now)
{
    hear_endings(x);
    watch_look(&x->watch, now);
    say_end(x, REPORT_EXIT, killed ? DEPARTED_BY_SIGNAL : DEPARTED_BY_EXIT, now);
}

void outside_end(struct outside *x)
{
    if (x->endings >= 0)
        close(x->endings);
    watch_free(&x->watch);
    free(x);
}
