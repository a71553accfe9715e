/* outside.c: see outside.h. Each step is one look at all connections (sock_diag), a judgement of each
 * (outside_guest.h), and what the drain (core/drain.h) makes of the sum.
 *
 * A look is taken when the kernel says that a TCP socket of the program has ended, and, since it says nothing when bytes
 * come or go, also in a cadence: every 5 to 50 ms, so that looking costs a twentieth of a processor (with thousands of
 * connections more), and only while a drain is going on. Holding descriptors of the connections to be told sooner is out of
 * the question: while we had one, the program's close would close nothing. */
#include "outside.h"

#include "../core/drain.h"
#include "../core/report.h"
#include "../sys/net.h"
#include "outside_door.h"
#include "outside_farewell.h"
#include "outside_guest.h"
#include "outside_say.h"
#include "runlog.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CUTS_MAX = 256, FAREWELLS_AT_ONCE = 128 };

struct visitor { /* a connection to one of our ports */
    struct guest guest;
    bool foreign; /* another program's, which shares the port */
    struct farewell farewell;
    bool corked; /* since it was said */
};

struct visitors { /* by cookie */
    struct visitor *at;
    unsigned count, room;
};

struct outside {
    const struct options *options;
    int root, signal;
    uint64_t wall_ms;
    struct drain drain;
    struct family family;
    struct doors doors;
    struct visitors here, before; /* of this look, of the last */
    bool whole;                   /* this look: there was memory for all */
    bool looked;                  /* once at least */
    int cannot_take;              /* an error number: descriptors cannot be taken over here */
    int endings;
    nsec_t looked_at, look_at; /* the last look; the next */
    unsigned farewells;        /* being said */
    nsec_t last_accept, owed_at;
    bool owed; /* something was, at the last look */
    struct report_counts counts;
};

#define LOOK_LEAST (5 * NSEC_PER_MSEC)
#define LOOK_MOST  (50 * NSEC_PER_MSEC)
#define SAY_EVERY  (2 * NSEC_PER_MSEC) /* while farewells are being said */

static nsec_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the connections ------------------------------------------------------------------------------------------------ */

static void add_visitor(const struct diag_socket *s, void *arg)
{
    struct outside *x = arg;
    struct visitors *v = &x->here;
    if (!doors_has(&x->doors, s))
        return;
    if (v->count == v->room) {
        unsigned room = v->room ? 2 * v->room : 256;
        struct visitor *grown = reallocarray(v->at, room, sizeof *grown);
        x->whole = x->whole && grown;
        if (!grown)
            return;
        v->at = grown;
        v->room = room;
    }
    v->at[v->count++].guest.now = *s;
}

static int by_cookie(const void *a, const void *b)
{
    const struct visitor *x = a, *y = b;
    return x->guest.now.cookie < y->guest.now.cookie ? -1 : x->guest.now.cookie > y->guest.now.cookie;
}

static bool reads_family_anew(struct outside *x)
{
    return family_read(&x->family, x->root, NULL, NULL);
}

/* One whose inode was not seen before: whose is it? Where we may not look, its port has to tell. */
static void place(struct outside *x, struct visitor *v, bool *fresh)
{
    uint64_t inode = v->guest.now.inode;
    if (!inode || x->family.hidden > 0)
        return;
    if (!family_find(&x->family, inode) && !*fresh)
        *fresh = reads_family_anew(x);
    v->foreign = !family_find(&x->family, inode);
}

/* Whoever was here at the last look keeps what was learnt of it. Both lists are in order. */
static void recognise(struct outside *x, nsec_t now)
{
    bool fresh = false;
    const struct visitors *old = &x->before;
    for (unsigned i = 0, j = 0; i < x->here.count; i++) {
        struct visitor *v = &x->here.at[i];
        const struct diag_socket seen = v->guest.now;
        while (j < old->count && old->at[j].guest.now.cookie < seen.cookie)
            j++;
        bool known = j < old->count && old->at[j].guest.now.cookie == seen.cookie;
        if (known) {
            *v = old->at[j];
            guest_see(&v->guest, &seen, now);
        } else {
            v->foreign = v->corked = false;
            v->farewell.fd = -1;
            guest_meet(&v->guest, &seen, now);
            x->last_accept = x->looked ? now : x->last_accept;
        }
        if (!known || old->at[j].guest.now.inode != seen.inode)
            place(x, v, &fresh);
    }
}

static void drop_farewell(struct outside *x, struct visitor *v)
{
    x->farewells -= v->farewell.fd >= 0;
    farewell_drop(&v->farewell);
}

/* Those that have closed as they should. */
static void count_gone(struct outside *x)
{
    for (unsigned i = 0, j = 0; i < x->before.count; i++) {
        struct visitor *v = &x->before.at[i];
        const struct guest *g = &v->guest;
        while (j < x->here.count && x->here.at[j].guest.now.cookie < g->now.cookie)
            j++;
        if (j < x->here.count && x->here.at[j].guest.now.cookie == g->now.cookie)
            continue;
        drop_farewell(x, v);
        x->counts.idle_closed += g->let_go_at && !v->corked;
        x->counts.crossed += g->crossed;
        x->counts.served_late += g->asked;
    }
}

/* One port and one family can be asked for; of several, all that there is is looked through. */
static struct diag_wish wish_for(const struct doors *d)
{
    struct diag_wish wish = {.states = 1u << DIAG_ESTABLISHED | 1u << DIAG_SYN_RECV | 1u << DIAG_FIN_WAIT1 |
                                       1u << DIAG_FIN_WAIT2 | 1u << DIAG_CLOSE_WAIT | 1u << DIAG_LAST_ACK |
                                       1u << DIAG_CLOSING};
    bool first = true;
    for (unsigned i = 0; i < d->count; i++) {
        const struct diag_socket *s = &d->at[i].is;
        if (!d->at[i].ours)
            continue;
        wish.port = first || wish.port == s->local_port ? s->local_port : 0;
        wish.family = first || wish.family == s->family ? s->family : 0;
        first = false;
    }
    return wish;
}

/* False: it could not be taken. Then all is as it was at the last. */
static bool look(struct outside *x, nsec_t now)
{
    if (x->farewells > 0)
        reads_family_anew(x);
    const struct diag_wish wish = wish_for(&x->doors);
    struct visitors last = x->here;
    x->here = x->before;
    x->before = last;
    x->here.count = 0;
    x->whole = true;
    x->looked_at = now;
    x->look_at = now + LOOK_MOST;
    if (!diag_ask(&wish, add_visitor, x) || !x->whole) {
        x->before = x->here;
        x->here = last;
        return false;
    }
    if (x->here.count > 1)
        qsort(x->here.at, x->here.count, sizeof *x->here.at, by_cookie);
    recognise(x, now);
    count_gone(x);
    x->looked = true;
    nsec_t pause = 19 * (clock_now() - now);
    x->look_at = now + (pause < LOOK_LEAST ? LOOK_LEAST : pause > LOOK_MOST ? LOOK_MOST : pause);
    return true;
}

/* ---- letting go ----------------------------------------------------------------------------------------------------- */

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

/* Between our look and now it may have spoken: then it is not idle. What comes after this is still read by the program if
 * it comes before the program has seen the end of file; what comes later meets a connection that is being closed. */
static bool still_quiet(int fd, const struct guest *g)
{
    struct sock_counts counts;
    return sock_counts(fd, &counts) == 0 && counts.received == g->now.received && sock_unread(fd) == 0;
}

static int descriptor_of(struct outside *x, uint64_t inode)
{
    const struct family_socket *s = family_find(&x->family, inode);
    int fd = s ? door_take(s) : -ESRCH;
    if (fd != -ESRCH || !reads_family_anew(x)) /* a process may have ended that had it, or have handed it on */
        return fd;
    s = family_find(&x->family, inode);
    return s ? door_take(s) : x->family.hidden ? -EPERM : -ESRCH;
}

static void say_cannot_take(int error)
{
    char why[128];
    snprintf(why, sizeof why, "%s (seccomp, yama, or a program of other privileges)", strerrordesc_np(error));
    runlog(LOG_WARN,
           "sockets cannot be taken over from the program: listeners stay open, idle connections are not let go, and "
           "the signal "
           "is held only until nothing is in flight",
           "because", why, NULL);
}

/* A descriptor of the connection, or -1. */
static int take(struct outside *x, const struct guest *g)
{
    if (x->cannot_take)
        return -1;
    int fd = descriptor_of(x, g->now.inode);
    if (fd < 0 && fd != -ESRCH) {
        x->cannot_take = -fd;
        say_cannot_take(-fd);
    }
    return fd < 0 ? -1 : fd;
}

static void let_go(struct outside *x, struct visitor *v, nsec_t now)
{
    drop_farewell(x, v);
    int fd = take(x, &v->guest);
    if (fd < 0)
        return;
    if (still_quiet(fd, &v->guest) && shutdown(fd, SHUT_RD) == 0)
        guest_let_go(&v->guest, now);
    close(fd);
}

static void begin_farewell(struct outside *x, struct visitor *v, nsec_t now)
{
    int fd = x->farewells < FAREWELLS_AT_ONCE ? take(x, &v->guest) : -1;
    if (fd < 0)
        return;
    farewell_begin(&v->farewell, fd, now);
    x->farewells++;
}

static void say_farewells(struct outside *x, nsec_t now)
{
    for (unsigned i = 0; i < x->here.count && x->farewells > 0; i++) {
        struct visitor *v = &x->here.at[i];
        if (v->farewell.fd < 0 || !farewell_step(&v->farewell, now))
            continue;
        x->farewells--;
        v->corked = true;
        guest_let_go(&v->guest, now);
        x->counts.farewells++;
    }
}

/* Whoever holds it besides us may have closed it, or its client may have: then nothing of ours must stand in the way. */
static bool is_left_to_us(const struct outside *x, const struct visitor *v)
{
    return v->guest.now.state != DIAG_ESTABLISHED || !family_find(&x->family, v->guest.now.inode);
}

/* It has not closed: a response that goes on. That must not wait for the cork. */
static void uncork(struct outside *x, struct visitor *v, nsec_t now)
{
    const nsec_t patience = 100 * NSEC_PER_MSEC;
    if (!v->corked || !v->guest.now.inode || now < v->guest.let_go_at + patience)
        return;
    struct farewell f = {.fd = take(x, &v->guest)};
    farewell_drop(&f);
    v->corked = false;
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
    case GUEST_RESTING: c->idle += !x->cannot_take; break;
    case GUEST_IDLE: c->idle += !x->cannot_take; break; /* not let go yet: it has just spoken, or it is too early */
    case GUEST_LEAVING: c->idle++; break;
    case GUEST_DONE: break;
    }
}

static struct census take_census(struct outside *x, nsec_t now)
{
    struct census c = {.last_accept = x->last_accept};
    const struct guest_patience p = patience(x, now);
    for (unsigned i = 0; i < x->here.count; i++) {
        struct visitor *v = &x->here.at[i];
        nsec_t until;
        if (v->foreign)
            continue;
        if (v->guest.now.state == DIAG_SYN_RECV) {
            c.half_open++;
            continue;
        }
        uncork(x, v, now);
        if (v->farewell.fd >= 0 && is_left_to_us(x, v))
            drop_farewell(x, v);
        enum guest_is is = guest_is(&v->guest, &p, now, &until);
        if (is == GUEST_IDLE && drain_may_close_idle(&x->drain)) {
            let_go(x, v, now);
            is = guest_is(&v->guest, &p, now, &until);
        } else if (v->farewell.fd < 0 && drain_may_close_idle(&x->drain) && guest_is_regular(&v->guest)) {
            begin_farewell(x, v, now);
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
    for (unsigned i = 0; i < x->here.count; i++) {
        const struct visitor *v = &x->here.at[i];
        nsec_t until;
        if (v->foreign || v->guest.now.state == DIAG_SYN_RECV)
            continue;
        x->counts.opaque++;
        switch (guest_is(&v->guest, &p, now, &until)) {
        case GUEST_QUEUED:
        case GUEST_BUSY: x->counts.in_flight++; break;
        default: break;
        }
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

static unsigned cuts_of(struct outside *x, struct report_cut *cuts, char (*peers)[64], nsec_t now)
{
    unsigned count = 0;
    for (unsigned i = 0; i < x->here.count; i++) {
        const struct visitor *v = &x->here.at[i];
        const struct diag_socket *s = &v->guest.now;
        if (!is_owed(x, v, now))
            continue;
        x->counts.cut++;
        x->counts.unread_bytes += s->unread;
        if (count == CUTS_MAX)
            continue;
        const struct family_socket *holder = family_find(&x->family, s->inode);
        diag_text(s->family, s->peer, s->peer_port, peers[count]);
        cuts[count] = (struct report_cut){.peer = peers[count],
                                          .pid = holder ? holder->pid : 0,
                                          .method = "",
                                          .age = s->quiet_ms * NSEC_PER_MSEC,
                                          .unread_bytes = s->unread};
        count++;
    }
    return count;
}

static void say_end(struct outside *x, enum report_end end, nsec_t now)
{
    static struct report_cut cuts[CUTS_MAX];
    static char peers[CUTS_MAX][64];
    unsigned cut = end == REPORT_DRAINED ? 0 : cuts_of(x, cuts, peers, now);
    for (unsigned i = 0; i < x->here.count; i++) {
        const struct guest *g = &x->here.at[i].guest;
        x->counts.crossed += g->crossed;
        x->counts.served_late += g->asked;
        x->counts.idle_closed += g->let_go_at && !g->now.inode && !x->here.at[i].corked;
    }
    const struct drain *d = &x->drain;
    const struct report r = {
        .pid = x->root,
        .signal = x->signal,
        .processes = x->family.processes,
        .wall_start_ms = x->wall_ms,
        .took = now - d->signal_at,
        .door = d->door_closed_at && x->doors.how ? d->door_closed_at - d->signal_at : 0,
        .tail = x->owed_at ? now - x->owed_at : now - d->signal_at,
        .end = end,
        .how = "outside",
        .hidden = x->doors.how,
        .counts = x->counts,
    };
    outside_report(x->options, &r, cuts, cut);
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
    runlog(LOG_INFO, "signal withheld, draining from outside", "signal", number, NULL);
    if (names_unix(x->options))
        runlog(LOG_WARN, "listeners of AF_UNIX are not drained from outside", NULL);
    if (x->family.hidden)
        runlog(LOG_WARN,
               "the command's descriptors may not be looked at: what LASTCALL_LISTEN names is taken for its own", NULL);
}

struct outside *outside_begin(int root, int signal, const struct options *o, nsec_t now)
{
    struct outside *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->options = o;
    x->root = root;
    x->signal = signal;
    x->wall_ms = wall_ms();
    drain_signal(&x->drain, now);
    x->endings = diag_endings();
    bool found = doors_find(&x->doors, &x->family, root, o);
    if (found && doors_ours(&x->doors) > 0) {
        say_beginning(x);
        return x;
    }
    if (x->doors.unknown)
        runlog(LOG_WARN,
               "the command's descriptors may not be looked at, so that its listeners are not known and nothing is "
               "waited for; "
               "LASTCALL_LISTEN can name them",
               NULL);
    else if (!found)
        runlog(LOG_WARN, "the command's sockets cannot be seen, so that nothing is waited for", "because",
               "no sock_diag or no /proc", NULL);
    else
        runlog(LOG_DEBUG, "nothing to drain from outside: the command has no TCP listener that LASTCALL_LISTEN names",
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
    if (pid != x->root)
        kill(pid, signal_to_pass_on(x));
}

void outside_pass_on(struct outside *x)
{
    if (reads_family_anew(x))
        doors_servers(&x->doors, &x->family, send_to, x);
    kill(x->root, signal_to_pass_on(x));
}

static bool is_ours(uint16_t port, void *arg)
{
    const struct doors *d = arg;
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].ours && d->at[i].is.local_port == port)
            return true;
    return false;
}

static void close_doors(struct outside *x)
{
    char why[64];
    reads_family_anew(x);
    doors_hide(&x->doors, &x->family);
    if (!x->doors.error)
        return;
    if (x->doors.error == EPERM || x->doors.error == ENOSYS) {
        x->cannot_take = x->doors.error;
        say_cannot_take(x->doors.error);
        return;
    }
    snprintf(why, sizeof why, "%s", strerrordesc_np(x->doors.error));
    runlog(LOG_WARN, "a listener stays open: the kernel will not hide it", "because", why, NULL);
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
        bool first = !x->looked;
        struct census c = {.in_flight = 1}; /* so much is assumed of what cannot be seen, until the deadline */
        if (look(x, now)) {
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
    if (x->endings >= 0 && diag_has_ended(x->endings, is_ours, &x->doors))
        x->look_at = x->looked_at + LOOK_LEAST;
    say_farewells(x, now);
    if (now >= x->look_at || x->drain.again) {
        struct drain_actions act = look_and_act(x, now);
        if (act.release) {
            say_end(x, end_of(&x->drain), now);
            return OUTSIDE_PASS_ON;
        }
        if (act.wake_at && act.wake_at < x->look_at)
            x->look_at = act.wake_at > now + LOOK_LEAST ? act.wake_at : now + LOOK_LEAST;
    }
    *wake_at = x->look_at;
    if (x->farewells > 0)
        sooner(wake_at, now + SAY_EVERY);
    return OUTSIDE_WAIT;
}

void outside_gone(struct outside *x, nsec_t now)
{
    say_end(x, REPORT_EXIT, now);
}

void outside_end(struct outside *x)
{
    if (x->endings >= 0)
        close(x->endings);
    for (unsigned i = 0; i < x->here.count; i++)
        farewell_drop(&x->here.at[i].farewell);
    free(x->here.at);
    free(x->before.at);
    doors_free(&x->doors);
    family_free(&x->family);
    free(x);
}
