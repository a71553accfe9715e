/* load.c: see load.h. A client is a small state machine (client.h); one epoll drives them all. */
#include "launcher/load/load.h"
#include "launcher/host/clock.h"
#include "launcher/load/client.h"
#include "launcher/load/outcome.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char *const class_names[LOAD_CLASSES] = {"ok",  "refused",        "reset",  "truncated",
                                                      "bad", "keepalive_race", "timeout"};

const char *load_class_name(enum load_class class)
{
    return class_names[class];
}

uint64_t load_lost(const struct load_result *r)
{
    return r->count[LOAD_RESET] + r->count[LOAD_TRUNCATED] + r->count[LOAD_BAD] + r->count[LOAD_KEEPALIVE_RACE] +
           r->count[LOAD_TIMEOUT];
}

/* ---- the loop --------------------------------------------------------------------------------------- */

static void earlier(nsec_t *next, nsec_t t)
{
    if (t && (!*next || t < *next))
        *next = t;
}

/* Do what is due for every client; returns when the next is, 0 = never. */
static nsec_t run_timers(struct load *l)
{
    nsec_t next = 0;
    for (unsigned i = 0; i < l->config->clients; i++) {
        struct client *c = &l->clients[i];
        if (c->state == CLIENT_DONE)
            continue;
        if (c->read_after && c->read_after <= l->now)
            c->read_after = 0;
        if (c->send_after && c->send_after <= l->now) {
            c->send_after = 0;
            client_send_some(l, c);
        }
        if (c->wake && c->wake <= l->now)
            client_on_time(l, c);
        load_check_ready(l);
        client_watch(l, c);
        earlier(&next, c->wake);
        earlier(&next, c->read_after);
        earlier(&next, c->send_after);
    }
    return next;
}

/* No new requests. What is outstanding is still waited for; an idle connection is closed. */
static void stop(struct load *l)
{
    l->stopping = true;
    for (unsigned i = 0; i < l->config->clients; i++) {
        struct client *c = &l->clients[i];
        if (c->state == CLIENT_PAUSED || c->state == CLIENT_HOLDING || c->state == CLIENT_CONNECTING)
            outcome_done(l, c);
    }
}

static bool told(const struct load *l)
{
    struct pollfd p = {.fd = l->config->stop_fd, .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

static bool should_stop(const struct load *l)
{
    return !l->stopping && ((l->end && l->now >= l->end) || (!l->config->resume && told(l)));
}

/* Every client that still holds a connection sends `limit` requests more. */
static void resume(struct load *l)
{
    l->resumed = true;
    for (unsigned i = 0; i < l->config->clients; i++)
        if (l->clients[i].state == CLIENT_HOLDING)
            outcome_pause_for(l, &l->clients[i], 0);
}

static int wait_ms(const struct load *l, nsec_t next)
{
    if (l->end && !l->stopping)
        earlier(&next, l->end);
    if (!next)
        return -1;
    return next <= l->now ? 0 : (int)((next - l->now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

static void loop(struct load *l)
{
    struct epoll_event events[64];
    while (l->living) {
        l->now = clock_now();
        if (should_stop(l))
            stop(l);
        else if (l->config->resume && !l->resumed && told(l))
            resume(l);
        nsec_t next = run_timers(l);
        if (!l->living)
            return;
        int n = epoll_wait(l->epoll, events, COUNT(events), wait_ms(l, next));
        l->now = clock_now();
        for (int i = 0; i < n; i++)
            if (events[i].data.u32 < l->config->clients)
                client_on_event(l, &l->clients[events[i].data.u32], events[i].events);
    }
}

static bool valid(const struct load_config *c)
{
    if (!c->clients || !c->request_count || c->pipeline > BATCH_MAX || c->think_max < c->think_min)
        return false;
    for (unsigned i = 0; i < c->request_count; i++) {
        const struct load_request *r = &c->requests[i];
        size_t n = strlen(r->method) + strlen(r->path) + (r->headers ? strlen(r->headers) : 0) +
                   (c->host ? strlen(c->host) : 0);
        if (n > HEAD_MAX - 256 || (r->upload && c->pipeline > 1))
            return false;
    }
    return true;
}

static bool make_clients(struct load *l)
{
    unsigned batch = l->config->pipeline ? l->config->pipeline : 1;
    l->clients = calloc(l->config->clients, sizeof *l->clients);
    if (!l->clients)
        return false;
    for (unsigned i = 0; i < l->config->clients; i++) {
        struct client *c = &l->clients[i];
        c->number = i;
        c->fd = -1;
        c->wake = l->now; /* PAUSED: begin at once */
        c->out = malloc((size_t)batch * HEAD_MAX);
        if (!c->out)
            return false;
    }
    return true;
}

static void free_clients(struct load *l)
{
    for (unsigned i = 0; l->clients && i < l->config->clients; i++)
        free(l->clients[i].out);
    free(l->clients);
}

static bool watch_stop(struct load *l)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = UINT32_MAX};
    return l->config->stop_fd < 0 || !epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->config->stop_fd, &e) ||
           errno == EPERM; /* a file: never waits */
}

int load_run(const struct load_config *config, struct load_result *result)
{
    struct load *l = calloc(1, sizeof *l);
    int error = -ENOMEM;
    memset(result, 0, sizeof *result);
    if (!l)
        return error;
    l->config = config;
    l->result = result;
    l->random = 0x9E3779B97F4A7C15;
    l->now = result->started = clock_now();
    l->end = config->duration ? l->now + config->duration : 0;
    l->living = config->clients;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        error = -errno;
    else if (!valid(config) || !load_address_parse(&l->address, config->address))
        error = -EINVAL;
    else if (make_clients(l))
        error = watch_stop(l) ? 0 : -errno;
    if (!error && l->clients)
        loop(l);
    free_clients(l);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l);
    return error;
}
