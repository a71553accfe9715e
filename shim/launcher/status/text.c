/* text.c: the page of `lastcall status` for people. All of it is ASCII: a character is a column. */
#include "core/text.h"
#include "launcher/status/print.h"

enum { BAR = 40 };

struct words {
    char at[40];
};

static const char *duration(nsec_t ns, struct words *w)
{
    struct text t;
    text_init(&t, w->at, sizeof w->at);
    text_duration(&t, ns);
    return w->at;
}

/* "50": whole percents, for the bar shall not seem full or empty before it is. */
static unsigned part_of(nsec_t left, nsec_t whole, unsigned width)
{
    if (whole == 0 || left == 0)
        return 0;
    double part = (double)(left < whole ? left : whole) / (double)whole * width;
    return (unsigned)part < width ? (unsigned)part + 1 : width;
}

void status_bar(FILE *to, nsec_t left, nsec_t whole, unsigned width)
{
    unsigned full = part_of(left, whole, width);
    putc('[', to);
    for (unsigned i = 0; i < width; i++)
        putc(i < full ? '#' : '.', to);
    putc(']', to);
}

/* ---- the head ---------------------------------------------------------------------------------------------------- */

static void page_listeners(FILE *to, const struct status_group *g)
{
    for (unsigned i = 0; i < g->listeners; i++)
        fprintf(to, "%s%s", i ? ", " : " on ", g->listener[i]);
}

static const struct status_process *deferring(const struct status_group *g)
{
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].deferred)
            return &g->process[i];
    return NULL;
}

static void page_head(FILE *to, const struct status_group *g)
{
    const struct status_process *first = &g->process[0], *d = g->drains, *who = deferring(g);
    struct words w;
    char number[16];
    fprintf(to, "%s %d: %u process%s", first->name[0] ? first->name : "?", first->pid, g->processes,
            g->processes == 1 ? "" : "es");
    page_listeners(to, g);
    fprintf(to, "; %s", status_group_state(g));
    if (who)
        fprintf(to, ", %s is deferred", status_signal(who->deferred, number));
    if (d && d->timed)
        fprintf(to, ", %s since the signal", duration(d->since, &w));
    putc('\n', to);
}

static void page_left(FILE *to, const struct status_group *g)
{
    const struct status_process *d = g->drains;
    struct words left, whole;
    if (!d || !d->timed || d->phase == DRAIN_DONE)
        return;
    if (!d->limited) {
        fputs("  no deadline\n", to);
        return;
    }
    fputs("  ", to);
    status_bar(to, d->left, d->timeout, BAR);
    fprintf(to, " %s of %s left", duration(d->left, &left), duration(d->timeout, &whole));
    if (d != &g->process[0])
        fprintf(to, ", %d drains alone", d->pid);
    putc('\n', to);
}

/* ---- the processes ----------------------------------------------------------------------------------------------- */

/* The page of a small terminal has no room for what is hardly ever there. */
static bool has_column(const struct status_group *g, unsigned kind)
{
    return g->conn[kind] > 0 || kind <= KIND_OPAQUE;
}

static void page_process(FILE *to, const struct status_group *g, const struct status_process *p)
{
    char number[16];
    struct words left;
    bool hurries = p->timed && p->limited && p->phase < DRAIN_DONE;
    fprintf(to, "  %8d  %-15s  %-8s  %6s", p->pid, status_state(p),
            p->deferred ? status_signal(p->deferred, number) : "-", hurries ? duration(p->left, &left) : "-");
    for (unsigned k = 0; k < KINDS; k++)
        if (!has_column(g, k))
            continue;
        else if (p->sight == SIGHT_WHOLE || (k == KIND_IN_FLIGHT && p->phase > DRAIN_SERVING))
            fprintf(to, "  %11u", p->conn[k]);
        else
            fprintf(to, "  %11s", "?");
    putc('\n', to);
}

static void page_processes(FILE *to, const struct status_group *g)
{
    fprintf(to, "\n  %8s  %-15s  %-8s  %6s", "PID", "STATE", "DEFERRED", "LEFT");
    for (unsigned k = 0; k < KINDS; k++)
        if (has_column(g, k))
            fprintf(to, "  %11s", status_kind_name[k]);
    putc('\n', to);
    for (unsigned i = 0; i < g->processes; i++)
        page_process(to, g, &g->process[i]);
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].sight != SIGHT_WHOLE)
            fprintf(to, "  %d: %s\n", g->process[i].pid, status_sight_reason[g->process[i].sight]);
}

/* Nothing of this changes with the drain: it is what an operator should know before it. */
static void page_notes(FILE *to, const struct status_group *g)
{
    const struct status_process *first = &g->process[0];
    for (unsigned i = 0; i < g->left_alone.count; i++)
        fprintf(to, "  %s is left alone: %s\n", g->left_alone.at[i].listener, g->left_alone.at[i].because);
    if (first->handler == HANDLER_OWN)
        fprintf(to, "  %d has a handler of its own for TERM\n", first->pid);
    else if (first->handler == HANDLER_IGNORES)
        fprintf(to, "  %d ignores TERM: it is not drained by it\n", first->pid);
}

/* ---- requests in flight ------------------------------------------------------------------------------------------ */

static void page_request(FILE *to, const struct status_request *r)
{
    struct words age;
    fprintf(to, "  %8d  %-8s  %7s  %-22s  %10llu  %10llu\n", r->pid, r->method[0] ? r->method : "-",
            r->aged ? duration(r->age, &age) : "-", r->peer[0] ? r->peer : "-", (unsigned long long)r->request_bytes,
            (unsigned long long)r->response_bytes);
}

static void page_requests(FILE *to, const struct status_group *g, unsigned max)
{
    if (g->requests == 0)
        return;
    fprintf(to, "\n  %8s  %-8s  %7s  %-22s  %10s  %10s\n", "PID", "REQUEST", "AGE", "FROM", "RECEIVED", "SENT");
    for (unsigned i = 0; i < g->requests && i < max; i++)
        page_request(to, &g->request[i]);
    if (g->requests > max)
        fprintf(to, "  and %u more\n", g->requests - max);
}

static void page_group(FILE *to, const struct status_group *g, unsigned max)
{
    page_head(to, g);
    page_left(to, g);
    page_notes(to, g);
    page_processes(to, g);
    page_requests(to, g, max);
}

void status_page(FILE *to, const struct status *s, unsigned max)
{
    bool first = true;
    for (unsigned i = 0; i < s->groups; i++) {
        if (s->group[i].problem)
            continue;
        if (!first)
            putc('\n', to);
        first = false;
        page_group(to, &s->group[i], max);
    }
    for (unsigned i = 0; i < s->groups; i++)
        if (s->group[i].problem)
            fprintf(to, "process %d: the memory that it has %s\n", s->group[i].problem_pid, s->group[i].problem);
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

void status_line(FILE *to, const struct status_group *g, bool times)
{
    struct words w;
    char number[16];
    if (g->problem) {
        fprintf(to, "lastcall: group pid=%d state=unreadable\n", g->problem_pid);
        return;
    }
    const struct status_process *first = &g->process[0], *d = g->drains, *who = deferring(g);
    fprintf(to, "lastcall: group pid=%d name=\"%s\" processes=%u state=%s deferred=%s", first->pid, first->name,
            g->processes, status_group_state(g), status_signal(who ? who->deferred : 0, number));
    for (unsigned k = 0; k < KINDS; k++)
        fprintf(to, " %s=%u", status_kind_name[k], g->conn[k]);
    if (times && d && d->timed && d->limited)
        fprintf(to, " left=%s", duration(d->left, &w));
    putc('\n', to);
}
