/* json.c: the same for machines. All strings are ASCII by now (status_printable), so none can be refused. */
#include "launcher/status/print.h"

#include <jansson.h>

/* What is not known is null. */
static json_t *time_us(bool known, nsec_t ns)
{
    return known ? json_integer((json_int_t)(ns / NSEC_PER_USEC)) : json_null();
}

static json_t *signal_name(int signo)
{
    char number[16];
    return signo ? json_string(status_signal(signo, number)) : json_null();
}

static json_t *text(const char *s)
{
    return s[0] ? json_string(s) : json_null();
}

static json_t *number(uint64_t n)
{
    return json_integer(n <= INT64_MAX ? (json_int_t)n : INT64_MAX);
}

static json_t *connections(const unsigned conn[KINDS])
{
    json_t *o = json_object();
    for (unsigned k = 0; k < KINDS; k++)
        json_object_set_new(o, status_kind_name[k], json_integer(conn[k]));
    return o;
}

static json_t *counts(const struct report_counts *c)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "in_flight", number(c->in_flight),
                     "served_after_signal", number(c->served_after_signal), "idle_closed", number(c->idle_closed),
                     "close_sent", number(c->close_sent), "late_data", number(c->late_data), "aborted",
                     number(c->aborted), "unread_bytes", number(c->unread_bytes), "opaque", number(c->opaque),
                     "untracked", number(c->untracked));
}

static json_t *drain(const struct status_process *p, bool times)
{
    if (p->phase == DRAIN_SERVING)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "signal", signal_name(p->signal), "since_us",
                     time_us(times && p->timed, p->since), "timeout_us", time_us(p->limited, p->timeout), "left_us",
                     time_us(times && p->timed && p->limited, p->left), "counts", counts(&p->counts));
}

static json_t *handler(uint8_t what)
{
    static const char *const names[] = {NULL, "default", "own", "ignored"};
    return names[what] ? json_string(names[what]) : json_null();
}

static json_t *process(const struct status_process *p, bool times)
{
    bool whole = p->sight == SIGHT_WHOLE;
    return json_pack("{s:i, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "pid", p->pid, "name", text(p->name), "state",
                     status_state(p), "master", p->master, "deferred", signal_name(p->deferred), "term_handler",
                     handler(p->handler), "connections", whole ? connections(p->conn) : json_null(), "unseen",
                     whole ? json_null() : json_string(status_sight_reason[p->sight]), "drain", drain(p, times));
}

static json_t *request(const struct status_request *r, bool times)
{
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:b}", "pid", r->pid, "fd", r->fd, "method", text(r->method),
                     "peer", text(r->peer), "age_us", time_us(times && r->aged, r->age), "request_bytes",
                     number(r->request_bytes), "response_bytes", number(r->response_bytes), "from_before",
                     r->from_before);
}

static json_t *group(const struct status_group *g, bool times)
{
    json_t *processes = json_array(), *requests = json_array(), *listeners = json_array(), *alone = json_array();
    for (unsigned i = 0; i < g->processes; i++)
        json_array_append_new(processes, process(&g->process[i], times));
    for (unsigned i = 0; i < g->requests; i++)
        json_array_append_new(requests, request(&g->request[i], times));
    for (unsigned i = 0; i < g->listeners; i++)
        json_array_append_new(listeners, json_string(g->listener[i]));
    for (unsigned i = 0; i < g->left_alone.count; i++)
        json_array_append_new(alone, json_pack("{s:s, s:s}", "listener", g->left_alone.at[i].listener, "because",
                                               g->left_alone.at[i].because));
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "pid", g->process[0].pid, "state",
                     status_group_state(g), "listeners", listeners, "left_alone", alone, "connections",
                     connections(g->conn), "drain", g->drains ? drain(g->drains, times) : json_null(), "processes",
                     processes, "in_flight", requests, "in_flight_left_out", g->requests_left_out);
}

bool status_json(FILE *to, const struct status *s, bool compact, bool times)
{
    json_t *groups = json_array(), *unreadable = json_array();
    for (unsigned i = 0; i < s->groups; i++) {
        const struct status_group *g = &s->group[i];
        if (g->problem)
            json_array_append_new(unreadable, json_pack("{s:i, s:s}", "pid", g->problem_pid, "problem", g->problem));
        else
            json_array_append_new(groups, group(g, times));
    }
    json_t *all = json_pack("{s:s, s:o, s:i, s:o, s:o}", "version", LASTCALL_VERSION, "time_ms",
                            times ? number(s->wall_ms) : json_null(), "hidden", (int)s->hidden, "groups", groups,
                            "unreadable", unreadable);
    bool written = all && json_dumpf(all, to, compact ? JSON_COMPACT : JSON_INDENT(2)) == 0;
    json_decref(all);
    putc('\n', to);
    return written;
}
