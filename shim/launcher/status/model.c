/* model.c: see model.h. */
#include "launcher/status/model.h"

#include "core/signal_view.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

const char *const status_kind_name[KINDS] = {"in_flight",   "idle",      "opaque",   "closing",
                                             "half_closed", "lingering", "inherited"};

const char *const status_sight_reason[] = {
    "",
    "its connections cannot be seen: the kernel lets the caller read its table only, not its memory (ptrace)",
    "its connections cannot be seen: it runs with another build of lastcall",
    "its connections cannot be seen: it has not said where they are",
    "it has ended meanwhile",
};

/* ---- the table -------------------------------------------------------------------------------------------------- */

const char *status_table_problem(const void *bytes, size_t size, uint64_t whole)
{
    const struct group_table *m = bytes;
    if (size < offsetof(struct group_table, cookie) || memcmp(m->magic, "lastcall", sizeof m->magic) != 0)
        return "is called lastcall, but is no group's";
    if (m->version != GROUP_TABLE_VERSION || m->size != sizeof *m)
        return "is a group's of another build of lastcall";
    if (size != sizeof *m || (whole != sizeof *m && whole != sizeof(struct group_memory)))
        return "is a group's, but not all of it";
    return NULL;
}

/* A member that has executed another program no longer counts; a slot that was never used has no serial. */
bool status_is_shown(const struct member *who)
{
    return who->serial != 0 &&
           (who->state == MEMBER_STARTING || who->state == MEMBER_SERVES || who->state == MEMBER_LEFT);
}

static bool is_signal(int signo)
{
    return signo > 0 && signo < SIGNAL_VIEW_MAX;
}

static void take_times(struct status_process *p, const struct member *who, nsec_t now)
{
    p->timed = p->phase > DRAIN_SERVING && who->signal_at > 0 && who->signal_at <= now;
    p->since = p->timed ? now - who->signal_at : 0;
    p->limited = who->timeout > 0 && who->timeout <= INT64_MAX;
    p->timeout = p->limited ? who->timeout : 0;
    p->left = p->since < p->timeout ? p->timeout - p->since : 0;
}

void status_take_member(struct status_process *p, const struct group_table *m, int at, nsec_t now)
{
    const struct member *who = &m->member[at];
    p->at = at;
    p->state = who->state;
    p->phase = who->phase <= DRAIN_DONE ? who->phase : DRAIN_SERVING;
    p->killed = who->end == MEMBER_KILLED;
    bool drains = p->phase > DRAIN_SERVING;
    p->signal = drains && is_signal(who->signal) ? who->signal : 0;
    p->deferred = drains && p->phase < DRAIN_GUARDING && is_signal(who->deferred) ? who->deferred : 0;
    take_times(p, who, now);
    if (drains) {
        p->counts = who->counts;
        p->conn[KIND_IN_FLIGHT] = who->open <= FD_MAX ? who->open : 0;
    }
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

enum status_kind status_kind_of(const struct conn *c)
{
    if (!c->live || (c->attention & CONN_DEAD) || c->stale)
        return KIND_NONE;
    if (c->stage == CONN_LINGERING)
        return KIND_LINGERING;
    if (c->stage == CONN_HALF_CLOSED)
        return KIND_HALF_CLOSED;
    if (conn_is_inherited(c))
        return KIND_INHERITED;
    if (conn_is_opaque(c))
        return KIND_OPAQUE;
    if (conn_in_flight(c))
        return KIND_IN_FLIGHT;
    if (c->fin)
        return KIND_HALF_CLOSED;
    return c->stage == CONN_READ_SHUT ? KIND_CLOSING : KIND_IDLE;
}

/* A token, or nothing: half of one method and half of another would be a third. */
static void take_method(char out[static HTTP1_METHOD_MAX + 1], const struct http1_facts *f)
{
    size_t n = f->method_len <= HTTP1_METHOD_MAX ? f->method_len : 0;
    for (size_t i = 0; i < n; i++)
        if (!http1_is_tchar((uint8_t)f->method[i]))
            n = 0;
    memcpy(out, f->method, n);
    out[n] = '\0';
}

/* A byte of another process's is no bool before it is made one. */
static void settle_bools(struct conn *c)
{
    static const size_t at[] = {
        offsetof(struct conn, live),
        offsetof(struct conn, stale),
        offsetof(struct conn, fin),
    };
    for (unsigned i = 0; i < COUNT(at); i++) {
        unsigned char *byte = (unsigned char *)c + at[i];
        *byte = *byte != 0;
    }
}

bool status_take_conn(struct status_process *p, struct status_request *r, struct conn *c)
{
    settle_bools(c);
    enum status_kind kind = status_kind_of(c);
    if (kind == KIND_NONE)
        return false;
    p->conn[kind]++;
    if (kind != KIND_IN_FLIGHT)
        return false;
    memset(r, 0, sizeof *r);
    r->pid = p->pid;
    r->fd = c->fd >= 0 && c->fd < FD_MAX ? c->fd : -1;
    take_method(r->method, &c->in.facts);
    r->request_bytes = c->message.in;
    r->response_bytes =
        http1_between(&c->out) ? 0 : c->message.out; /* between messages the count is that of the last response */
    r->from_before = conn_report_has(c, CONN_FROM_BEFORE);
    return true;
}

/* ---- the group --------------------------------------------------------------------------------------------------- */

static bool is_here(const struct status_group *g, int at)
{
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].at == at)
            return true;
    return false;
}

static bool drains(const struct status_process *p)
{
    return p->phase > DRAIN_SERVING && p->state != MEMBER_LEFT;
}

static int by_rank(const void *a, const void *b)
{
    const struct status_process *p = a, *q = b;
    return p->master != q->master ? q->master - p->master : p->at - q->at;
}

void status_finish(struct status_group *g, const struct group_table *m)
{
    bool found = false;
    for (unsigned i = 0; i < g->processes; i++) {
        struct status_process *p = &g->process[i];
        int parent = group_table_parent(m, p->at);
        p->master = !found && (parent == MEMBER_NONE || !is_here(g, parent)) && p->state != MEMBER_LEFT;
        found |= p->master;
        for (unsigned k = 0; k < KINDS; k++)
            g->conn[k] += p->conn[k];
    }
    if (g->processes > 0)
        qsort(g->process, g->processes, sizeof *g->process, by_rank);
    for (unsigned i = g->processes; i > 0; i--)
        if (drains(&g->process[i - 1]))
            g->drains = &g->process[i - 1];
}

bool status_lives(const struct status_group *g)
{
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].sight != SIGHT_ENDED)
            return true;
    return false;
}

static int by_age(const void *a, const void *b)
{
    const struct status_request *p = a, *q = b;
    if (p->aged != q->aged)
        return q->aged - p->aged;
    if (p->age != q->age)
        return p->age > q->age ? -1 : 1;
    return p->fd < q->fd ? -1 : p->fd > q->fd;
}

void status_sort_requests(struct status_group *g)
{
    if (g->requests > 0)
        qsort(g->request, g->requests, sizeof *g->request, by_age);
}

const char *status_state(const struct status_process *p)
{
    static const char *const phase[] = {"serving", "lame_duck",     "stopping_accept", "draining",
                                        "drained", "shutting_down", "delivered"};
    if (p->killed)
        return "killed";
    if (p->state == MEMBER_LEFT)
        return "left";
    if (p->state == MEMBER_STARTING && p->phase == DRAIN_SERVING)
        return "starting";
    return phase[p->phase];
}

const char *status_group_state(const struct status_group *g)
{
    return g->problem || g->processes == 0 ? "unreadable" : status_state(&g->process[0]);
}

void status_drop(struct status_group *g)
{
    free(g->process);
    free(g->request);
    memset(g, 0, sizeof *g);
}

void status_free(struct status *s)
{
    for (unsigned i = 0; i < s->groups; i++)
        status_drop(&s->group[i]);
    free(s->group);
    memset(s, 0, sizeof *s);
}
