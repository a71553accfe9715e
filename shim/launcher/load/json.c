/* json.c: see json.h. */
#include "launcher/load/json.h"

static void put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *loss_json(const struct load_loss *loss)
{
    json_t *o = json_object();
    json_object_set_new(o, "class", json_string(load_class_name(loss->class)));
    put(o, "client", loss->client);
    put(o, "request", loss->request);
    put(o, "reused", loss->reused);
    put(o, "port", loss->port);
    put(o, "bytes", loss->bytes);
    put(o, "after_us", loss->after / NSEC_PER_USEC);
    json_object_set_new(o, "why", json_string(loss->why));
    return o;
}

json_t *load_json(const struct load_result *r)
{
    json_t *o = json_object(), *losses = json_array();
    for (int i = 0; i < LOAD_CLASSES; i++)
        put(o, load_class_name((enum load_class)i), r->count[i]);
    put(o, "lost", load_lost(r));
    put(o, "connections", r->connections);
    put(o, "idle_closed", r->idle_closed);
    put(o, "idle_reset", r->idle_reset);
    put(o, "unclosed", r->unclosed);
    put(o, "close_sent", r->close_sent);
    put(o, "started", r->started);
    put(o, "first_response", r->first_response);
    put(o, "last_response", r->last_response);
    put(o, "last_fin", r->last_fin);
    for (unsigned i = 0; i < r->losses; i++)
        json_array_append_new(losses, loss_json(&r->loss[i]));
    json_object_set_new(o, "losses", losses);
    return o;
}
