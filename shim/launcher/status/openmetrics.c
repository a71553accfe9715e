/* openmetrics.c: the same as OpenMetrics text. A family's samples must stand together, so each family walks through
 * all groups. */
#include "launcher/status/print.h"

/* Inside double quotes: backslash, quote and line feed are escaped; the strings hold no other special byte. */
static void value(FILE *to, const char *s)
{
    for (; *s; s++)
        if (*s == '\\' || *s == '"')
            fprintf(to, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", to);
        else
            putc(*s, to);
}

static void begin(FILE *to, const char *name, const char *type, const char *unit, const char *help)
{
    fprintf(to, "# TYPE lastcall_%s %s\n", name, type);
    if (unit)
        fprintf(to, "# UNIT lastcall_%s %s\n", name, unit);
    fprintf(to, "# HELP lastcall_%s %s\n", name, help);
}

static void of_group(FILE *to, const char *name, const struct status_group *g)
{
    fprintf(to, "lastcall_%s{group=\"%d\"", name, g->process[0].pid);
}

static void of_process(FILE *to, const char *name, const struct status_group *g, const struct status_process *p)
{
    of_group(to, name, g);
    fprintf(to, ",pid=\"%d\"", p->pid);
}

static void seconds(FILE *to, nsec_t ns)
{
    fprintf(to, "} %llu.%06llu\n", (unsigned long long)(ns / NSEC_PER_SEC),
            (unsigned long long)(ns % NSEC_PER_SEC / NSEC_PER_USEC));
}

/* ---- the families ------------------------------------------------------------------------------------------------ */

static void each_group(FILE *to, const struct status *s, void (*f)(FILE *to, const struct status_group *g))
{
    for (unsigned i = 0; i < s->groups; i++)
        if (!s->group[i].problem)
            f(to, &s->group[i]);
}

static void infos(FILE *to, const struct status_group *g)
{
    for (unsigned i = 0; i < g->processes; i++) {
        of_process(to, "process_info", g, &g->process[i]);
        fputs(",name=\"", to);
        value(to, g->process[i].name);
        fprintf(to, "\",state=\"%s\"} 1\n", status_state(&g->process[i]));
    }
}

static void sights(FILE *to, const struct status_group *g)
{
    for (unsigned i = 0; i < g->processes; i++) {
        of_process(to, "connections_seen", g, &g->process[i]);
        fprintf(to, "} %d\n", g->process[i].sight == SIGHT_WHOLE);
    }
}

static void connections(FILE *to, const struct status_group *g)
{
    for (unsigned i = 0; i < g->processes; i++)
        for (unsigned k = 0; k < KINDS && g->process[i].sight == SIGHT_WHOLE; k++) {
            of_process(to, "connections", g, &g->process[i]);
            fprintf(to, ",state=\"%s\"} %u\n", status_kind_name[k], g->process[i].conn[k]);
        }
}

static void oldest(FILE *to, const struct status_group *g)
{
    if (g->requests == 0 || !g->request[0].aged)
        return;
    of_group(to, "oldest_request_age_seconds", g);
    seconds(to, g->request[0].age);
}

static void deferred(FILE *to, const struct status_group *g)
{
    char number[16];
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].deferred) {
            of_process(to, "signal_deferred", g, &g->process[i]);
            fprintf(to, ",signal=\"%s\"} 1\n", status_signal(g->process[i].deferred, number));
        }
}

static void draining(FILE *to, const struct status_group *g)
{
    of_group(to, "draining", g);
    fprintf(to, "} %d\n", g->drains != NULL);
}

static void elapsed(FILE *to, const struct status_group *g)
{
    if (!g->drains || !g->drains->timed)
        return;
    of_group(to, "drain_elapsed_seconds", g);
    seconds(to, g->drains->since);
}

static void left(FILE *to, const struct status_group *g)
{
    if (!g->drains || !g->drains->timed || !g->drains->limited)
        return;
    of_group(to, "drain_left_seconds", g);
    seconds(to, g->drains->left);
}

void status_metrics(FILE *to, const struct status *s)
{
    begin(to, "process", "info", NULL, "Processes under lastcall that serve.");
    each_group(to, s, infos);
    begin(to, "connections_seen", "gauge", NULL, "Whether the connections of the process could be looked at.");
    each_group(to, s, sights);
    begin(to, "connections", "gauge", NULL, "Connections by state.");
    each_group(to, s, connections);
    begin(to, "oldest_request_age_seconds", "gauge", "seconds", "Of the requests in flight, since its last byte came.");
    each_group(to, s, oldest);
    begin(to, "draining", "gauge", NULL, "Whether the group, or a process of it, drains.");
    each_group(to, s, draining);
    begin(to, "signal_deferred", "gauge", NULL, "Signals that are deferred from a process.");
    each_group(to, s, deferred);
    begin(to, "drain_elapsed_seconds", "gauge", "seconds", "Since the signal.");
    each_group(to, s, elapsed);
    begin(to, "drain_left_seconds", "gauge", "seconds", "Until the deadline.");
    each_group(to, s, left);
    fputs("# EOF\n", to);
}
