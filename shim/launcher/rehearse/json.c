/* json.c: the outcomes for machines. */
#include "launcher/rehearse/json.h"
#include "launcher/load/json.h"

#include <string.h>

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *page_json(const struct page *page)
{
    if (!page->path)
        return json_null();
    return json_pack("{s:s, s:i, s:b, s:I, s:I}", "path", page->path, "status", page->status, "body_checked",
                     page->fixed, "body_bytes", (json_int_t)page->length, "duration_us",
                     (json_int_t)(page->duration / NSEC_PER_USEC));
}

json_t *rehearse_json_begin(const struct rehearsal *r)
{
    json_t *all = json_object(), *command = json_array();
    char url[URL_TEXT];
    url_text(url, &r->url);
    for (char **word = r->command; *word; word++)
        json_array_append_new(command, json_string(*word));
    put(all, "version", json_string(LASTCALL_VERSION));
    put(all, "command", command);
    put(all, "url", json_string(url));
    put(all, "page", page_json(&r->page));
    put(all, "slow", page_json(&r->slow));
    put(all, "scenarios", json_array());
    return all;
}

static json_t *outcome_json(const struct outcome *o, const struct rehearse_side *side)
{
    json_t *j = json_object(), *by_kind = json_object(), *load = load_json(&o->load);
    for (int i = 0; i < LOAD_CLASSES; i++)
        if (i != LOAD_OK && i != LOAD_REFUSED)
            put(by_kind, load_class_name((enum load_class)i), json_integer((json_int_t)side->lost[i]));
    put(j, "served", json_integer((json_int_t)side->served));
    put(j, "lost", json_integer((json_int_t)rehearse_lost(side)));
    put(j, "lost_by_kind", by_kind);
    put(j, "refused", json_integer((json_int_t)o->load.count[LOAD_REFUSED]));
    static const char *const same[] = {"connections", "idle_closed", "idle_reset", "close_sent", "losses"};
    for (unsigned i = 0; i < COUNT(same); i++)
        json_object_set(j, same[i], json_object_get(load, same[i]));
    put(j, "exit_delay_us",
        side->served && !o->killed ? json_integer((json_int_t)(side->exit_delay / NSEC_PER_USEC)) : json_null());
    put(j, "gone_us", json_integer((json_int_t)(side->gone / NSEC_PER_USEC)));
    put(j, "exit_status", o->killed ? json_null() : json_integer(o->status));
    put(j, "killed", json_boolean(o->killed));
    put(j, "left_running", json_integer((json_int_t)o->left));
    put(j, "report", o->report ? json_incref(o->report) : json_null());
    json_decref(load);
    return j;
}

void rehearse_json_add(json_t *all, const struct scenario *s, unsigned clients, const struct outcome outcomes[SIDES],
                       const struct rehearse_row *row)
{
    json_t *j = json_object();
    put(j, "name", json_string(s->name));
    put(j, "clients", json_integer(clients));
    put(j, "without", outcome_json(&outcomes[SIDE_BARE], &row->side[SIDE_BARE]));
    put(j, "with", outcome_json(&outcomes[SIDE_WITH], &row->side[SIDE_WITH]));
    json_array_append_new(json_object_get(all, "scenarios"), j);
}

void rehearse_json_end(json_t *all, uint64_t without, uint64_t with, const char *verdict)
{
    put(all, "lost_without", json_integer((json_int_t)without));
    put(all, "lost_with", json_integer((json_int_t)with));
    put(all, "verdict", json_string(verdict));
}
