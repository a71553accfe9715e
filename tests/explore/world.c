/* world.c: see world.h. */
#include "kernel.h"

#include "edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const event_names[EVENTS] = {
    [THREAD_STEPS] = "the drain thread steps",
    [IS_SENT_TERM] = "is sent TERM",
    [GETS_COMMAND] = "gets its command",
    [FORKS] = "forks",
    [SETTLES] = "settles",
    [EXITS] = "exits",
    [ENDS] = "ends",
    [IS_KILLED] = "is killed",
    [ACCEPTS] = "accepts",
    [CONNECTS] = "connects",
    [IS_QUEUED] = "is queued",
    [SENDS] = "sends",
    [IS_READ] = "is read",
    [IS_ANSWERED] = "is answered",
    [READS_END] = "is read to its end",
    [IS_CLOSED] = "is closed",
    [IS_ACKED] = "acknowledges",
    [HANGS_UP] = "hangs up",
    [TIME_PASSES] = "time passes",
};

const struct game *game;

static const char *const pieces[] = {"GET / HT", "TP/1.1\r\nHost: a\r\n\r\n", "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"};
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* ---- the real connections: each different one is kept once ------------------------------------------------------ */

enum { CONNS_MAX = 1 << 16 };
static struct conn *conns;
static uint32_t conns_seen, *conn_index;

static uint64_t mix(const void *data, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15;
    for (const char *at = data, *end = at + n; at + 8 <= end; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = (h ^ word) * 0xff51afd7ed558ccd;
        h ^= h >> 32;
    }
    return h;
}

static uint32_t keep_conn(struct conn *c)
{
    /* What only counts bytes, or remembers them, says nothing of what is to come. */
    c->read_bytes = c->written_bytes = c->message.in = c->message.out = c->report.late_bytes = 0;
    c->in.facts.method_len = 0;
    if (c->ring.head == c->ring.tail && c->ring.left == 0) {
        c->ring.head = c->ring.tail = 0;
        memset(c->ring.run, 0, sizeof c->ring.run); /* not what is pending */
    }
    if (!conns) {
        conns = calloc(CONNS_MAX, sizeof *conns);
        conn_index = calloc(CONNS_MAX * 4, sizeof *conn_index);
    }
    uint32_t at = (uint32_t)mix(c, sizeof *c & ~(size_t)7) % (CONNS_MAX * 4);
    for (; conn_index[at]; at = (at + 1) % (CONNS_MAX * 4))
        /* With its padding, which nobody writes. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        if (memcmp(&conns[conn_index[at]], c, sizeof *c) == 0)
            return conn_index[at];
    if (++conns_seen >= CONNS_MAX) {
        fprintf(stderr, "explore: more different connections than there is room for\n");
        abort();
    }
    memcpy(&conns[conns_seen], c, sizeof *c);
    return conn_index[at] = conns_seen;
}

unsigned world_conns(void)
{
    return conns_seen;
}

static struct conn conn_of(const struct client *c)
{
    return conns[c->conn];
}

static enum conn_stage stage_of(const struct client *c)
{
    return (enum conn_stage)conns[c->conn].stage;
}

/* ---- what is so, whoever believes what -------------------------------------------------------------------------- */

static unsigned requests_begun(const struct client *c)
{
    return (c->sent >= HALF) + (c->sent >= SECOND);
}

static unsigned requests_whole(unsigned pieces_there)
{
    return (pieces_there >= FIRST) + (pieces_there >= SECOND);
}

static bool awaits_answer(const struct client *c)
{
    return !c->late_data && requests_begun(c) > c->answered;
}

static bool is_delivered(const struct process *p) /* its drain is over */
{
    return p->delivering && p->phase != DRAIN_GUARDING;
}

static bool is_bound(const struct process *p)
{
    return p->life == ALIVE && p->begun && !is_delivered(p);
}

/* Has this process, or the queue, anything that somebody waits for? */
static bool is_anything_open(const struct world *w, unsigned who)
{
    for (const struct client *c = w->client; c < w->client + CLIENTS; c++)
        if (c->place == QUEUED ||
            (c->place == ACCEPTED && c->owner == who && (requests_begun(c) > c->answered || c->sent > c->read)))
            return true;
    return false;
}

/* What would be lost if this process had its signal now? */
static const char *lost_with(const struct world *w, unsigned who, bool with_idle)
{
    const struct process *p = &w->proc[who];
    for (const struct client *c = w->client; c < w->client + CLIENTS; c++) {
        if (c->place != ACCEPTED || c->owner != who || c->late_data)
            continue;
        const struct conn k = conn_of(c);
        if (stage_of(c) < CONN_HALF_CLOSED && awaits_answer(c))
            return "delivered with a request in flight";
        if (stage_of(c) >= CONN_HALF_CLOSED && c->unsent == UNSENT_BYTES)
            return "delivered with output that is not acknowledged";
        nsec_t window = (k.since > p->signal_at ? k.since : p->signal_at) + game->options.idle;
        if (with_idle && stage_of(c) == CONN_OPEN && w->now < window)
            return "delivered within an idle window";
    }
    return NULL;
}

/* guarded: the program had its signal before, and its handler closes the listener. */
static const char *lost_in_queue(const struct world *w, unsigned who, bool guarded)
{
    nsec_t stopping_from = w->proc[who].drain.stopping_from;
    bool closed = w->now >= (w->moved > stopping_from ? w->moved : stopping_from) + game->options.idle;
    for (const struct client *c = w->client; c < w->client + CLIENTS; c++)
        if ((c->place == QUEUED && !c->late_data) || (c->place == SYN_SENT && !closed && !guarded))
            return "delivered with a connection in the accept queue";
    return NULL;
}

static bool is_participant(const struct world *w, unsigned who, unsigned coordinator)
{
    const struct slot *s = &w->slot[who];
    return who == coordinator || (w->proc[who].life == ALIVE && s->state == MEMBER_SERVES && s->parent != 0 &&
                                  s->parent == w->slot[coordinator].serial && !(w->proc[coordinator].watch[who] & 4));
}

/* The process's signal has just been delivered: was that right? */
static const char *judge_delivered(const struct world *w, unsigned who, bool is_coordinated, bool guarded)
{
    const struct process *p = &w->proc[who];
    const char *lost = NULL;
    if (p->unclean)
        return NULL;
    if (p->exits) /* nobody could serve them: it has no other threads */
        return NULL;
    if (is_coordinated)
        return lost_with(w, who, false);
    if (p->accept_stopped != 2)
        lost = lost_in_queue(w, who, guarded);
    for (unsigned q = 0; q < PROCS && !lost; q++)
        if (is_participant(w, q, who) && !w->proc[q].exits && !w->proc[q].unclean)
            lost = lost_with(w, q, true);
    return lost;
}

/* ---- what the kernel says --------------------------------------------------------------------------------------- */

void world_queues(const struct world *w, unsigned who, struct census *census)
{
    const struct process *p = &w->proc[who];
    for (const struct client *c = w->client; c < w->client + CLIENTS; c++) {
        if (p->accept_stopped != 2 && !p->left)
            census->queued += c->place == QUEUED;
        if (drain_state.drain.phase == DRAIN_STOPPING_ACCEPT)
            census->half_open += c->place == SYN_SENT;
    }
    census->queue_moved = w->moved;
}

bool world_stop_listener(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    struct listener *l = &listeners.entry[0];
    if (p->accept_stopped || p->shut)
        return false;
    l->live = l->shared = true;
    l->inode = 1;
    listeners.used = 1;
    holders_decide(l);
    p->accept_stopped = l->external ? 2 : 1;
    if (l->external) /* a listener that others use on is left to them */
        p->left = 1;
    else
        w->hidden = w->hidden ? w->hidden : w->now;
    return true;
}

/* True: nothing holds it open here. Closing it would end what is in its queue, and handshakes. */
bool world_close_listener(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    for (const struct client *c = w->client; c < w->client + CLIENTS && !p->left; c++)
        if (c->place == QUEUED || c->place == SYN_SENT)
            return false;
    p->shut = 1;
    return true;
}

/* Nothing happens between two questions of conn_drain, so all are answered beforehand. A client that has acknowledged
 * our FIN closes too. */
static struct conn_facts facts_of(const struct client *c, const struct conn *k)
{
    struct conn_facts f;
    conn_drain_look(&f, k);
    f.known = UINT32_MAX;
    f.peer_ended = true;
    f.only_fin = c->unsent == UNSENT_FIN;
    f.unread = c->sent > c->read;
    return f;
}

/* What scan.c remembers of the answers, and does. */
static void scan_one(struct client *c, const struct conn_policy *policy, struct census *census, bool exits, nsec_t now)
{
    struct conn k;
    struct conn_facts f = facts_of(c, &conns[c->conn]);
    bool ended = f.stage >= CONN_HALF_CLOSED, acked = ended && !f.acked && !c->unsent;
    bool only_fin = ended && !f.acked && f.only_fin && f.acked_at == 0;
    if (acked)
        f.acked = true;
    if (only_fin)
        f.acked_at = now;
    struct conn_decision d = conn_drain(&f, policy, now);
    if (exits)
        conn_drain_in_exit(&d, false, f.acked, policy, now); /* the program has no other threads */
    conn_drain_count(census, &d);
    if (d.action == CONN_CLOSE_LINGERING) {
        c->place = GONE;
    } else if (acked || only_fin || d.action == CONN_SHUT_READ) {
        k = conns[c->conn];
        k.acked = f.acked;
        k.acked_at = f.acked ? 0 : f.acked_at; /* nothing depends on it any more */
        if (d.action == CONN_SHUT_READ) {
            k.since = now;
            k.stage = CONN_READ_SHUT;
        }
        c->conn = keep_conn(&k);
    }
}

void world_scan(struct world *w, unsigned who, struct census *census, bool first)
{
    const struct conn_policy policy = {deferred.signal_at,
                                       config.idle,
                                       config.linger,
                                       drain_may_close_idle(&drain_state.drain),
                                       first,
                                       drain_state.drain.phase == DRAIN_GUARDING};
    bool exits = w->proc[who].exits;
    census->leaving = exits;
    for (struct client *c = w->client; c < w->client + CLIENTS; c++)
        if (c->place == ACCEPTED && c->owner == who)
            scan_one(c, &policy, census, exits, w->now);
}

/* ---- the drain's thread ------------------------------------------------------------------------------------------ */

static const char *judge_step(const struct world *w, const struct process *p, uint8_t before, bool stopped,
                              bool delivered)
{
    nsec_t duck = deferred.signal_at + game->options.delay;
    uint8_t after = drain_state.drain.phase;
    if (after < before && !(before == DRAIN_DRAINED && after == DRAIN_EMPTYING))
        return "a phase comes back";
    if ((after == DRAIN_DONE) != delivered || (after >= DRAIN_GUARDING) != deferred.delivering)
        return "delivered without saying so, or the other way round";
    if (stopped && game->options.delay_quiet == 0 && w->now < duck && group.coordinator == MEMBER_NONE)
        return "accepting stops in the lame duck phase";
    if (p->urgent && !delivered)
        return "a second signal does not deliver";
    if (game->options.timeout && w->now >= deferred.signal_at + game->options.timeout && !delivered)
        return "the deadline does not deliver";
    return NULL;
}

/* The program's own shutdown, inside the drain. */
static const char *judge_guard(const struct world *w, unsigned who, uint8_t before)
{
    const struct process *p = &w->proc[who];
    uint8_t after = drain_state.drain.phase;
    nsec_t from = deferred.signal_at + game->options.timeout - game->options.shutdown_time;
    if (p->delivered > 1)
        return "it has its signal twice";
    if (p->aborted && !is_anything_open(w, who))
        return "ended with nothing outstanding";
    if (game->handles && before < DRAIN_GUARDING && after == DRAIN_GUARDING && w->now < from)
        return "it shuts down too early";
    if (game->handles && after < DRAIN_GUARDING && w->now >= from)
        return "it has no time for its own shutdown";
    return NULL;
}

static const char *judge_delivery(struct world *w, unsigned who, bool guarded)
{
    struct process *p = &w->proc[who];
    bool is_coordinated = group.coordinator != MEMBER_NONE;
    bool coordinator_delivers = is_coordinated && w->proc[group.coordinator].delivering;
    p->unclean =
        drain_state.drain.again || drain_state.drain.expired || (is_coordinated && w->proc[group.coordinator].unclean);
    if (is_coordinated && !coordinator_delivers && !p->unclean && !p->exits && w->proc[group.coordinator].life == ALIVE)
        return "delivered before its coordinator";
    return judge_delivered(w, who, is_coordinated, guarded);
}

static const char *thread_steps(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    uint8_t before = drain_state.drain.phase, stopped_before = p->accept_stopped;
    p->woken = 0;
    bool delivered = !edge_step(p);
    const char *wrong = judge_step(w, p, before, p->accept_stopped != stopped_before, delivered);
    if (!wrong)
        wrong = judge_guard(w, who, before);
    if (delivered && !wrong)
        wrong = judge_delivery(w, who, before == DRAIN_GUARDING);
    return wrong;
}

static bool can_step(const struct world *w, unsigned who)
{
    const struct process *p = &w->proc[who];
    return is_bound(p) && (p->woken || (p->wake_at != 0 && p->wake_at <= w->now));
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static void free_clients(struct world *w, unsigned who)
{
    for (struct client *c = w->client; c < w->client + CLIENTS; c++)
        if (c->place == ACCEPTED && c->owner == who)
            c->place = GONE;
    bool somebody = false;
    for (unsigned q = 0; q < PROCS; q++)
        somebody = somebody || (w->proc[q].life == ALIVE && !w->proc[q].left);
    for (struct client *c = w->client; c < w->client + CLIENTS && !somebody; c++)
        if (c->place == QUEUED || c->place == SYN_SENT)
            c->place = GONE;
}

static void die(struct world *w, unsigned who)
{
    w->proc[who].life = DEAD;
    w->proc[who].command = 0;
    for (unsigned q = 0; q < PROCS; q++)
        if (q != who && is_bound(&w->proc[q]) && (w->proc[q].watch[who] & 5) == 1) {
            w->proc[q].deaths |= (uint8_t)(1 << who);
            w->proc[q].woken = 1;
        }
    free_clients(w, who);
}

static void send_term(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    p->terms++;
    if (!p->pending && coordinator_delivered()) { /* its coordinator's doing, after its delivery */
        p->unclean = w->proc[1 - who].unclean;
        deferred.delivering = 1;
        return;
    }
    if (p->terms > 1 && w->now >= deferred.signal_at + DRAIN_REPEAT)
        p->urgent = 1;
    deferred.pending = 1;
    p->signals++;
    edge_begin(p, NULL, w->now);
}

/* Once a process has stopped accepting it asks no more. */
static void queue_moves(struct world *w)
{
    bool stopped = !w->hidden;
    for (unsigned q = 0; q < PROCS; q++)
        stopped = stopped || w->proc[q].phase > DRAIN_STOPPING_ACCEPT;
    w->moved = stopped ? w->moved : w->now;
}

static bool may_exit_anytime(unsigned who)
{
    return game->exits && who == 1;
}

/* Its handler waits for what is outstanding. */
static bool shuts_down(const struct world *w, unsigned who)
{
    return w->proc[who].phase == DRAIN_GUARDING && !is_anything_open(w, who);
}

static bool process_event(struct world *w, enum event e, unsigned who, const char **wrong)
{
    struct process *p = &w->proc[who];
    if (p->life != ALIVE && e != FORKS)
        return false;
    switch (e) {
    case THREAD_STEPS:
        if (!can_step(w, who))
            return false;
        *wrong = thread_steps(w, who);
        return true;
    case IS_SENT_TERM:
        if (p->terms >= game->terms || p->delivering || w->slot[who].state != MEMBER_SERVES)
            return false;
        send_term(w, who);
        return true;
    case GETS_COMMAND:
        if (!p->command)
            return false;
        p->command = 0;
        if (!p->delivering)
            edge_follow(p, w->now);
        return true;
    case FORKS: /* who: the child */
        if (!game->forks || who != 1 || p->life != NOT_FORKED || w->proc[0].life != ALIVE || w->proc[0].delivering)
            return false;
        group_table_claim(edge_table(), 0, MEMBER_STARTING, w->now);
        p->life = ALIVE;
        p->coordinator = MEMBER_NONE;
        return true;
    case SETTLES:
        if (w->slot[who].state != MEMBER_STARTING)
            return false;
        member_settle();
        edge_follow(p, w->now);
        return true;
    case EXITS:
        if (p->exits || !is_bound(p) || !(may_exit_anytime(who) || shuts_down(w, who)))
            return false;
        p->exits = p->woken = 1;
        return true;
    case ENDS: /* the program had its signal, or its leave */
        if (!is_delivered(p) || (!p->pending && !p->exits && w->proc[1 - who].life == ALIVE))
            return false;
        member_leave();
        return true;
    case IS_KILLED: return game->kills;
    case ACCEPTS:
        if (p->left || p->shut || is_delivered(p) || p->exits || w->slot[who].state != MEMBER_SERVES)
            return false;
        for (struct client *c = w->client; c < w->client + CLIENTS; c++)
            if (c->place == QUEUED) {
                struct conn k;
                memset(&k, 0, sizeof k);
                conn_init(&k, 3, 0, false);
                k.since = w->now;
                c->place = ACCEPTED;
                queue_moves(w);
                c->owner = (uint8_t)who;
                c->conn = keep_conn(&k);
                p->woken = p->begun;
                if (p->begun) {
                    group_wake_coordinators();
                    group_wake_participants();
                }
                if (p->begun && game->options.delay_quiet)
                    p->served_at = w->now;
                return true;
            }
        return false;
    default: return false;
    }
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void end_conn(struct client *c, struct conn *k, uint8_t unsent, nsec_t now)
{
    k->since = now;
    k->stage = CONN_HALF_CLOSED;
    c->unsent = unsent;
}

static void read_pieces(struct client *c, struct conn *k)
{
    for (; c->read < c->sent; c->read++)
        if (k->stage < CONN_HALF_CLOSED)
            conn_received(k, pieces[c->read], strlen(pieces[c->read]));
}

/* The whole response; it sends the close option if it is the last outstanding one (track/close_notice.c,
 * conn_last_head). */
static void answer(struct client *c, struct conn *k, const struct process *p, nsec_t now)
{
    struct http1_span chunk = {response, sizeof response - 1};
    bool last = p->phase != DRAIN_SERVING && conn_last_head(k, &chunk, 1, c->sent > c->read) == 0;
    conn_sent(k, response, sizeof response - 1, sizeof response - 1);
    c->answered++;
    k->since = now;
    if (p->phase != DRAIN_SERVING && k->ring.pending == 0 && (last || k->stage == CONN_READ_SHUT))
        end_conn(c, k, UNSENT_BYTES, now);
}

static bool is_last_chance_over(const struct client *c, nsec_t now)
{
    const struct conn k = conn_of(c);
    return k.stage >= CONN_HALF_CLOSED || (k.stage == CONN_READ_SHUT && now >= k.since + game->options.idle);
}

static bool taken_event(struct client *c, enum event e, struct world *w)
{
    struct process *p = &w->proc[c->owner];
    struct conn k = conn_of(c);
    bool drains = p->phase >= DRAIN_STOPPING_ACCEPT;
    if (p->life != ALIVE || is_delivered(p))
        return false;
    switch (e) {
    case IS_READ:
        if (c->read >= c->sent || k.stage == CONN_LINGERING)
            return false;
        read_pieces(c, &k);
        break;
    case IS_ANSWERED:
        if (k.stage >= CONN_HALF_CLOSED || requests_whole(c->read) <= c->answered)
            return false;
        answer(c, &k, p, w->now);
        break;
    case READS_END: /* the virtual one */
        if (k.stage != CONN_READ_SHUT || c->read < c->sent || conn_in_flight(&k) || !drains)
            return false;
        end_conn(c, &k, UNSENT_FIN, w->now);
        break;
    case IS_CLOSED: /* because it was ended, or the client has gone */
        if (c->read < c->sent || k.stage == CONN_LINGERING || (k.stage != CONN_HALF_CLOSED && !c->hung_up) ||
            (k.stage != CONN_HALF_CLOSED && requests_whole(c->read) > c->answered))
            return false;
        k.stage = CONN_LINGERING;
        if (!c->unsent)
            c->place = GONE;
        break;
    case IS_ACKED:
        if (!c->unsent)
            return false;
        c->unsent = 0;
        break;
    default: return false;
    }
    c->conn = keep_conn(&k);
    p->woken = p->begun;
    return true;
}

static bool client_event(struct world *w, enum event e, unsigned who)
{
    struct client *c = &w->client[who];
    bool talks = c->place == QUEUED || (c->place == ACCEPTED && !is_delivered(&w->proc[c->owner]));
    switch (e) {
    case CONNECTS:
        if (c->place != CLOSED || w->hidden)
            return false;
        c->place = SYN_SENT;
        return true;
    case IS_QUEUED:
        if (c->place != SYN_SENT)
            return false;
        c->place = QUEUED;
        /* So long a handshake is waited for. */
        c->late_data = w->hidden && w->now >= (w->moved > w->hidden ? w->moved : w->hidden) + game->options.idle;
        for (unsigned q = 0; q < PROCS; q++)
            w->proc[q].woken |= is_bound(&w->proc[q]) && !w->proc[q].left;
        return true;
    case SENDS:
        if (!talks || c->hung_up || c->sent >= (game->requests > 1 ? SECOND : FIRST))
            return false;
        if (c->place == ACCEPTED && is_last_chance_over(c, w->now))
            c->late_data = 1;
        c->sent++;
        return true;
    case HANGS_UP:
        if (c->place != ACCEPTED || c->hung_up || awaits_answer(c))
            return false;
        c->hung_up = 1;
        return true;
    default: return c->place == ACCEPTED && taken_event(c, e, w);
    }
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* The only process has stopped accepting, and no client is on its way: is the port still not free? */
static bool is_port_held(const struct world *w)
{
    const struct process *p = &w->proc[0];
    if (game->worker || game->forks || !is_bound(p) || p->phase != DRAIN_EMPTYING || p->shut)
        return false;
    for (const struct client *c = w->client; c < w->client + CLIENTS; c++)
        if (c->place == SYN_SENT || c->place == QUEUED)
            return false;
    return true;
}

/* To the next moment at which anybody has something to do; no further than the next second. */
static bool time_passes(struct world *w, const char **wrong)
{
    nsec_t next = (w->now / NSEC_PER_SEC + 1) * NSEC_PER_SEC;
    bool drains = false;
    for (unsigned q = 0; q < PROCS; q++) {
        const struct process *p = &w->proc[q];
        if (can_step(w, q))
            return false;
        drains = drains || is_bound(p);
        if (is_bound(p) && p->wake_at > w->now && p->wake_at < next)
            next = p->wake_at;
    }
    if (!drains)
        return false;
    if (is_port_held(w))
        *wrong = "its listener stays open";
    w->now = next;
    for (unsigned q = 0; q < PROCS && game->options.timeout; q++)
        if (is_bound(&w->proc[q]) && next > w->proc[q].signal_at + game->options.timeout)
            *wrong = "it sleeps over its deadline";
    return true;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct client));
}

bool world_event(struct world *w, enum event e, unsigned who, const char **wrong)
{
    *wrong = NULL;
    if (e == TIME_PASSES)
        return who == 0 && time_passes(w, wrong);
    if (e > ACCEPTS) {
        if (who >= CLIENTS || (who > 0 && memcmp(&w->client[who], &w->client[who - 1], sizeof w->client[0]) == 0))
            return false; /* its twin does the same */
        if (!client_event(w, e, who))
            return false;
        if (w->client[who].place == GONE)
            memset(&w->client[who], 0, sizeof w->client[who]), w->client[who].place = GONE;
        qsort(w->client, CLIENTS, sizeof w->client[0], compare);
        return true;
    }
    if (who >= PROCS)
        return false;
    edge_load(w, who);
    bool happens = process_event(w, e, who, wrong);
    if (!happens)
        return false;
    edge_save(w, who);
    if (e == ENDS || e == IS_KILLED)
        die(w, who);
    for (struct client *c = w->client; c < w->client + CLIENTS; c++)
        if (c->place == GONE)
            memset(c, 0, sizeof *c), c->place = GONE;
    qsort(w->client, CLIENTS, sizeof w->client[0], compare);
    return true;
}

bool world_done(const struct world *w)
{
    for (unsigned q = 0; q < PROCS; q++)
        if (is_bound(&w->proc[q]))
            return false;
    return true;
}

/* Nobody comes, nobody says anything that they have not begun to say; whoever waits for an end of file waits. */
bool world_fair(const struct world *w, enum event *e, unsigned *who)
{
    static const enum event sequence[] = {THREAD_STEPS, GETS_COMMAND, ENDS,      ACCEPTS,   IS_QUEUED, IS_READ,
                                          SENDS,        IS_ANSWERED,  READS_END, IS_CLOSED, IS_ACKED,  TIME_PASSES};
    if (world_done(w))
        return false;
    for (unsigned i = 0; i < COUNT(sequence); i++)
        for (unsigned q = 0; q < CLIENTS; q++) {
            struct world copy = *w;
            const char *wrong;
            if (sequence[i] == SENDS && w->client[q].sent != HALF)
                continue;
            if (!world_event(&copy, sequence[i], q, &wrong))
                continue;
            *e = sequence[i];
            *who = q;
            return true;
        }
    return false;
}

void world_begin(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->now = WORLD_BEGINS;
    for (unsigned i = game->clients; i < CLIENTS; i++)
        w->client[i].place = GONE;
    for (unsigned i = 0; i < PROCS; i++)
        w->proc[i].coordinator = MEMBER_NONE;
    for (unsigned i = 0; i < PROCS; i++) {
        if (i > 0 && !game->worker)
            continue;
        edge_load(w, i);
        group_table_claim(edge_table(), i > 0 ? 0 : MEMBER_NONE, MEMBER_SERVES, w->now - NSEC_PER_SEC * 9);
        w->proc[i].life = ALIVE;
        edge_save(w, i);
    }
}
