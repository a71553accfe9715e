/* outcome.c: see outcome.h. */
#include "launcher/load/outcome.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t random_below(struct load *l, uint64_t limit)
{ /* xorshift64: the same run each time */
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return limit ? l->random % limit : 0;
}

void outcome_end_request(struct load *l, struct client *c, enum load_class class, const char *why)
{
    struct load_result *r = l->result;
    __atomic_fetch_add(&r->count[class], 1,
                       __ATOMIC_RELAXED); /* the thread that started the load may read the counts meanwhile */
    if (class == LOAD_OK || class == LOAD_REFUSED || r->losses == LOAD_LOSSES_MAX)
        return;
    struct load_loss *loss = &r->loss[r->losses++];
    *loss = (struct load_loss){.class = class, .client = c->number, .reused = c->reused, .port = c->port};
    loss->request = c->asked - (c->batch_len - c->answered);
    loss->bytes = c->answered < c->batch_len ? c->response.bytes : 0;
    loss->after = c->sent_at ? l->now - c->sent_at : 0;
    snprintf(loss->why, sizeof loss->why, "%s", why);
}

void outcome_hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->watched = 0;
    c->reused = 0;
}

void outcome_done(struct load *l, struct client *c)
{
    outcome_hang_up(c);
    c->state = CLIENT_DONE;
    c->wake = 0;
    l->living--;
}

void outcome_pause_for(struct load *l, struct client *c, nsec_t time)
{
    c->state = CLIENT_PAUSED;
    c->wake = l->now + time;
}

unsigned load_limit_of(const struct load *l)
{
    return l->resumed ? 2 * l->config->limit : l->config->limit;
}

void outcome_go_on(struct load *l, struct client *c)
{
    const struct load_config *config = l->config;
    if (l->stopping)
        return outcome_done(l, c);
    if (config->limit && c->asked >= load_limit_of(l)) {
        if (!config->hold || c->fd < 0)
            return outcome_done(l, c);
        c->state = CLIENT_HOLDING;
        c->wake = 0;
        return;
    }
    outcome_pause_for(l, c, config->think_min + random_below(l, config->think_max - config->think_min + 1));
}

/* Did this request meet a server that was closing an idle connection (RFC 9112 9.5)? For the client such a request
 * looks like one that the server received and aborted, except for the time: the close was already under way when the
 * request was sent, so the request's bytes are still unacknowledged at the FIN, or the RST arrives after about one
 * round trip. */
static bool is_keepalive_race(const struct load *l, const struct client *c, int error)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    int unsent = 0;
    if (!c->reused || c->response.bytes)
        return false;
    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n);
    ioctl(c->fd, SIOCOUTQ, &unsent);
    nsec_t window = 2 * (nsec_t)info.tcpi_rtt * NSEC_PER_USEC;
    if (window < NSEC_PER_MSEC)
        window = NSEC_PER_MSEC;
    return (!error && unsent) || l->now - c->sent_at <= window;
}

void outcome_lose(struct load *l, struct client *c, enum load_class class, const char *why)
{
    while (c->answered < c->batch_len) {
        outcome_end_request(l, c, class, why);
        c->answered++;
        c->response.bytes = 0;
        if (class == LOAD_TRUNCATED || class == LOAD_BAD) {
            class = LOAD_RESET;
            why = "pipelined behind a response that was lost";
        }
    }
    outcome_hang_up(c);
    outcome_go_on(l, c);
}

void outcome_server_closed(struct load *l, struct client *c, int error)
{
    const char *how = error ? strerror(error) : "closed";
    char why[96];
    if (!error)
        l->result->last_fin = l->now;
    if (!error && response_eof(&c->response))
        return; /* the caller looks at the state */
    if (c->response.bytes) {
        snprintf(why, sizeof why, "%s after %llu bytes of body", how, (unsigned long long)c->response.body);
        outcome_lose(l, c, LOAD_TRUNCATED, why);
    } else {
        snprintf(why, sizeof why, "%s%s", how, c->send_failed ? ", while sending" : "");
        outcome_lose(l, c, is_keepalive_race(l, c, error) ? LOAD_KEEPALIVE_RACE : LOAD_RESET, why);
    }
}
