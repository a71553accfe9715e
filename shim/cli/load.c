/* load.c: see load.h. A client is a small state machine; one epoll drives them all. */
#include "load.h"
#include "clock.h"
#include "load_address.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH_MAX = 32, HEAD_MAX = 2048, READ_SIZE = 65536, THROTTLED_BUFFER = 128 << 10 };

enum client_state {                /* named by what is waited for */
                    CLIENT_PAUSED, /* the time `wake`, then the next request; with fd >= 0 the connection is idle */
                    CLIENT_CONNECTING,
                    CLIENT_TALKING, /* sending a batch, or its responses */
                    CLIENT_HOLDING, /* nothing more to ask: the server's FIN */
                    CLIENT_CLOSING, /* wait_fin: the FIN after a response that said close */
                    CLIENT_DONE,
};

struct client {
    enum client_state state;
    int fd;
    uint32_t watched;       /* epoll events asked for */
    unsigned number, asked; /* requests begun */
    unsigned reused;        /* responses had on this connection */
    uint16_t port;
    nsec_t wake;                            /* PAUSED: next request; else the timeout; 0 = never */
    nsec_t sent_at, read_after, send_after; /* throttled reading, split upload */
    const struct load_request *batch[BATCH_MAX];
    unsigned batch_len, answered;
    char *out;
    size_t out_len, out_sent;
    uint64_t body_sent;
    bool counted_sent, counted_started, send_failed;
    struct response response;
};

struct load {
    const struct load_config *config;
    struct load_result *result;
    struct client *clients;
    struct load_address address;
    int epoll;
    unsigned living;
    bool stopping, resumed, ready_called;
    nsec_t now, end;
    uint64_t random, sent, started, ok;
    char buffer[READ_SIZE];
};

static const char *const class_names[LOAD_CLASSES] = {"ok",  "refused",  "reset",  "truncated",
                                                      "bad", "crossing", "timeout"};

const char *load_class_name(enum load_class class)
{
    return class_names[class];
}

uint64_t load_lost(const struct load_result *r)
{
    return r->count[LOAD_RESET] + r->count[LOAD_TRUNCATED] + r->count[LOAD_BAD] + r->count[LOAD_CROSSING] +
           r->count[LOAD_TIMEOUT];
}

static uint64_t random_below(struct load *l, uint64_t limit)
{ /* xorshift64: the same run each time */
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return limit ? l->random % limit : 0;
}

static nsec_t timeout_at(const struct load *l)
{
    return l->now + (l->config->timeout ? l->config->timeout : 30 * NSEC_PER_SEC);
}

/* ---- how requests end ------------------------------------------------------------------------------- */

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    if (a.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&a)->sin6_port) : 0;
}

static void check_ready(struct load *l)
{
    const struct load_config *c = l->config;
    if (l->ready_called || !c->ready || l->sent < c->ready_sent || l->started < c->ready_started || l->ok < c->ready_ok)
        return;
    l->ready_called = true;
    c->ready(c->arg);
}

static void end_request(struct load *l, struct client *c, enum load_class class, const char *why)
{
    struct load_result *r = l->result;
    __atomic_fetch_add(&r->count[class], 1, __ATOMIC_RELAXED); /* who started us may look on */
    if (class == LOAD_OK || class == LOAD_REFUSED || r->losses == LOAD_LOSSES_MAX)
        return;
    struct load_loss *loss = &r->loss[r->losses++];
    *loss = (struct load_loss){.class = class, .client = c->number, .reused = c->reused, .port = c->port};
    loss->request = c->asked - (c->batch_len - c->answered);
    loss->bytes = c->answered < c->batch_len ? c->response.bytes : 0;
    loss->after = c->sent_at ? l->now - c->sent_at : 0;
    snprintf(loss->why, sizeof loss->why, "%s", why);
}

static void hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->watched = 0;
    c->reused = 0;
}

static void done(struct load *l, struct client *c)
{
    hang_up(c);
    c->state = CLIENT_DONE;
    c->wake = 0;
    l->living--;
}

static void pause_for(struct load *l, struct client *c, nsec_t time)
{
    c->state = CLIENT_PAUSED;
    c->wake = l->now + time;
}

/* Requests that a client may ask by now. */
static unsigned limit_of(const struct load *l)
{
    return l->resumed ? 2 * l->config->limit : l->config->limit;
}

/* After a request, however it ended: think, then ask again; or leave. */
static void go_on(struct load *l, struct client *c)
{
    const struct load_config *config = l->config;
    if (l->stopping)
        return done(l, c);
    if (config->limit && c->asked >= limit_of(l)) {
        if (!config->hold || c->fd < 0)
            return done(l, c);
        c->state = CLIENT_HOLDING;
        c->wake = 0;
        return;
    }
    pause_for(l, c, config->think_min + random_below(l, config->think_max - config->think_min + 1));
}

/* Did this request meet a server that was closing an idle connection? From here it looks like one that was
 * taken and then cut, but for the time: the close was already under way when we sent, so our data are
 * still unacknowledged at the FIN, or the RST is back after about one round trip. */
static bool crossed(const struct load *l, const struct client *c, int error)
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

/* The connection ended, or had to, with the batch unanswered: one class for each of its requests. */
static void lose(struct load *l, struct client *c, enum load_class class, const char *why)
{
    while (c->answered < c->batch_len) {
        end_request(l, c, class, why);
        c->answered++;
        c->response.bytes = 0;
        if (class == LOAD_TRUNCATED || class == LOAD_BAD) {
            class = LOAD_RESET;
            why = "pipelined behind a response that was lost";
        }
    }
    hang_up(c);
    go_on(l, c);
}

static void server_closed(struct load *l, struct client *c, int error)
{
    const char *how = error ? strerror(error) : "closed";
    char why[96];
    if (!error)
        l->result->last_fin = l->now;
    if (!error && response_eof(&c->response))
        return; /* the caller looks at the state */
    if (c->response.bytes) {
        snprintf(why, sizeof why, "%s after %llu bytes of body", how, (unsigned long long)c->response.body);
        lose(l, c, LOAD_TRUNCATED, why);
    } else {
        snprintf(why, sizeof why, "%s%s", how, c->send_failed ? ", while sending" : "");
        lose(l, c, crossed(l, c, error) ? LOAD_CROSSING : LOAD_RESET, why);
    }
}

/* ---- sending ---------------------------------------------------------------------------------------- */

static void watch(struct load *l, struct client *c)
{
    const struct load_request *last = c->batch_len ? c->batch[c->batch_len - 1] : NULL;
    bool talking = c->state == CLIENT_TALKING;
    bool unsent = talking && last && !c->send_failed && (c->out_sent < c->out_len || c->body_sent < last->upload);
    uint32_t events = 0;
    if (c->fd < 0)
        return;
    if (c->state != CLIENT_CONNECTING && !c->read_after)
        events |= EPOLLIN;
    if (c->state == CLIENT_CONNECTING || (unsent && !c->send_after))
        events |= EPOLLOUT;
    struct epoll_event e = {.events = events, .data.u32 = c->number};
    if (events != c->watched && !epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e))
        c->watched = events;
}

static void format_head(struct load *l, struct client *c, const struct load_request *r)
{
    const struct load_config *config = l->config;
    const char *connection = config->fresh    ? "Connection: close\r\n"
                             : config->http10 ? "Connection: keep-alive\r\n"
                                              : "";
    char length[48] = "";
    if (r->upload)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)r->upload);
    c->out_len += (size_t)snprintf(c->out + c->out_len, HEAD_MAX, "%s %s HTTP/1.%d\r\nHost: %s\r\n%s%s%s\r\n",
                                   r->method, r->path, !config->http10, config->host ? config->host : "lastcall",
                                   connection, length, r->headers ? r->headers : "");
}

static void begin_response(struct client *c)
{
    const struct load_request *r = c->batch[c->answered];
    response_begin(&c->response, !strcmp(r->method, "HEAD"), &r->body);
    c->counted_started = false;
}

static void begin_batch(struct load *l, struct client *c)
{
    const struct load_config *config = l->config;
    unsigned n = config->pipeline ? config->pipeline : 1;
    if (config->limit && n > limit_of(l) - c->asked)
        n = limit_of(l) - c->asked;
    c->batch_len = c->answered = 0;
    c->out_len = c->out_sent = 0;
    c->body_sent = 0;
    c->counted_sent = c->send_failed = false;
    c->read_after = c->send_after = c->sent_at = 0;
    while (c->batch_len < n) {
        const struct load_request *r = &config->requests[c->asked++ % config->request_count];
        c->batch[c->batch_len++] = r;
        format_head(l, c, r);
    }
    begin_response(c);
}

/* One piece of the body. False: nothing more can be sent now. */
static bool send_body(struct load *l, struct client *c, uint64_t upload)
{
    uint64_t split = l->config->split;
    uint64_t limit = c->body_sent < split && split < upload ? split : upload;
    size_t n = limit - c->body_sent < READ_SIZE ? (size_t)(limit - c->body_sent) : READ_SIZE;
    load_pattern(l->buffer, c->body_sent, n);
    ssize_t sent = send(c->fd, l->buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        c->send_failed = errno != EAGAIN;
        return false;
    }
    c->body_sent += (uint64_t)sent;
    if (c->body_sent == split && split < upload)
        c->send_after = l->now + l->config->split_pause;
    return !c->send_after && c->body_sent < upload;
}

/* Send what can be sent. An error is not the end: a response may have come before the close. */
static void send_some(struct load *l, struct client *c)
{
    uint64_t upload = c->batch[c->batch_len - 1]->upload;
    while (!c->send_failed && c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            c->send_failed = errno != EAGAIN;
            return;
        }
        c->out_sent += (size_t)n;
    }
    while (!c->send_failed && !c->send_after && c->body_sent < upload && send_body(l, c, upload))
        ;
    c->wake = timeout_at(l);
    if (!c->counted_sent && (c->body_sent == upload || c->send_after)) {
        c->counted_sent = true; /* a split upload counts with its first part */
        l->sent += c->batch_len;
    }
}

static void talk(struct load *l, struct client *c)
{
    c->state = CLIENT_TALKING;
    c->sent_at = l->now = clock_now();
    c->wake = timeout_at(l);
    send_some(l, c);
}

static void connect_failed(struct load *l, struct client *c, int error)
{
    bool refused = error == ECONNREFUSED || error == ENOENT;
    c->asked -= c->batch_len - 1; /* only one request asked for this connection */
    c->batch_len = 1;
    c->answered = 0;
    c->response.bytes = 0;
    if (error == ETIMEDOUT)
        return lose(l, c, LOAD_TIMEOUT, "no connection");
    if (error == ECONNRESET || error == EPIPE)
        return lose(l, c, LOAD_RESET, "connected, then reset in the accept queue");
    if (!refused)
        return lose(l, c, LOAD_BAD, strerror(error));
    end_request(l, c, LOAD_REFUSED, "");
    hang_up(c);
    if (l->config->until_refused)
        return done(l, c);
    go_on(l, c);
    if (c->state == CLIENT_PAUSED && c->wake < l->now + 10 * NSEC_PER_MSEC)
        c->wake = l->now + 10 * NSEC_PER_MSEC; /* asking a closed door must not spin */
}

static void open_connection(struct load *l, struct client *c)
{
    int family = l->address.at.ss_family, one = 1, small = THROTTLED_BUFFER;
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return connect_failed(l, c, errno);
    if (family != AF_UNIX)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (l->config->rate)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    int error = connect(c->fd, (struct sockaddr *)&l->address.at, l->address.len) ? errno : 0;
    if (error == EAGAIN) { /* AF_UNIX: the queue is full. No connection was made, so this is not a retry */
        hang_up(c);
        c->asked -= c->batch_len;
        return pause_for(l, c, NSEC_PER_MSEC);
    }
    if (error && error != EINPROGRESS)
        return connect_failed(l, c, error);
    c->state = CLIENT_CONNECTING;
    c->wake = timeout_at(l);
    c->port = port_of(c->fd);
    struct epoll_event e = {.events = EPOLLOUT, .data.u32 = c->number};
    c->watched = e.events;
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void next_request(struct load *l, struct client *c)
{
    begin_batch(l, c);
    if (c->fd >= 0)
        talk(l, c);
    else
        open_connection(l, c);
}

static void connected(struct load *l, struct client *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error)
        return connect_failed(l, c, error);
    l->result->connections++;
    talk(l, c);
}

/* ---- receiving -------------------------------------------------------------------------------------- */

static void count_response(struct load *l, struct client *c)
{
    const struct load_request *request = c->batch[c->answered];
    struct response *r = &c->response;
    char why[96];
    snprintf(why, sizeof why, "status %d", r->status);
    if (request->status ? r->status != request->status : r->status >= 500)
        return end_request(l, c, LOAD_BAD, why);
    end_request(l, c, LOAD_OK, "");
    l->ok++;
    l->result->last_response = l->now;
    if (!l->result->first_response)
        l->result->first_response = l->now;
    l->result->farewells += r->close && !l->config->fresh;
}

/* The whole batch is answered, or the server said that it will answer no more. */
static void batch_ended(struct load *l, struct client *c)
{
    bool sent_all = c->out_sent == c->out_len && c->body_sent == c->batch[c->batch_len - 1]->upload;
    bool closes = !response_reusable(&c->response) || l->config->fresh;
    if (c->answered < c->batch_len)
        return lose(l, c, LOAD_RESET, "pipelined behind a response that said close");
    if (closes && l->config->wait_fin && c->response.close && sent_all) {
        c->state = CLIENT_CLOSING;
        c->wake = timeout_at(l);
        c->read_after = 0;
        return;
    }
    if (closes || !sent_all)
        hang_up(c);
    else
        c->reused++;
    c->batch_len = c->answered = 0;
    c->read_after = 0;
    go_on(l, c);
}

/* False: this connection has nothing more to give now. */
static bool take_responses(struct load *l, struct client *c, const char *data, size_t n)
{
    c->wake = timeout_at(l);
    for (;;) {
        size_t used = response_feed(&c->response, data, n);
        if (c->response.bytes && !c->counted_started) {
            c->counted_started = true;
            l->started++;
        }
        if (c->response.state == RESPONSE_BAD) {
            lose(l, c, LOAD_BAD, c->response.why);
            return false;
        }
        if (c->response.state != RESPONSE_DONE)
            return true;
        data += used;
        n -= used;
        count_response(l, c);
        c->answered++;
        if (c->answered == c->batch_len || !response_reusable(&c->response))
            break;
        begin_response(c);
    }
    if (n && c->answered == c->batch_len) {
        end_request(l, c, LOAD_BAD, "bytes after the last response");
        hang_up(c);
        c->batch_len = c->answered = 0;
        go_on(l, c);
        return false;
    }
    batch_ended(l, c);
    return false;
}

static void talk_read(struct load *l, struct client *c)
{
    uint64_t rate = l->config->rate;
    size_t most = rate && rate / 50 < READ_SIZE ? (size_t)(rate / 50 + 1) : READ_SIZE;
    for (;;) {
        ssize_t n = recv(c->fd, l->buffer, most, MSG_DONTWAIT);
        l->now = clock_now();
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            server_closed(l, c, n < 0 ? errno : 0);
            if (c->state == CLIENT_TALKING && c->response.state >= RESPONSE_DONE)
                take_responses(l, c, "", 0);
            return;
        }
        if (!take_responses(l, c, l->buffer, (size_t)n))
            return;
        if (rate) {
            c->read_after = l->now + 20 * NSEC_PER_MSEC;
            return;
        }
    }
}

/* Something happened on a connection on which nothing is outstanding. */
static void idle_read(struct load *l, struct client *c)
{
    bool closing = c->state == CLIENT_CLOSING;
    ssize_t n = recv(c->fd, l->buffer, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    c->sent_at = 0;
    if (n > 0)
        end_request(l, c, LOAD_BAD, "bytes that answer no request");
    else if (n < 0)
        l->result->idle_reset++;
    else
        l->result->last_fin = l->now;
    if (!n && !closing)
        l->result->idle_closed++;
    hang_up(c);
    if (c->state != CLIENT_PAUSED) /* a pause goes on: the next request takes a new connection */
        go_on(l, c);
}

/* ---- the loop --------------------------------------------------------------------------------------- */

static void on_event(struct load *l, struct client *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->state == CLIENT_CONNECTING)
        connected(l, c);
    else if (c->state != CLIENT_TALKING)
        idle_read(l, c);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        talk_read(l, c);
    else
        send_some(l, c);
    check_ready(l);
    watch(l, c);
}

static void on_time(struct load *l, struct client *c)
{
    switch (c->state) {
    case CLIENT_PAUSED: next_request(l, c); break;
    case CLIENT_CONNECTING: connect_failed(l, c, ETIMEDOUT); break;
    case CLIENT_TALKING: lose(l, c, LOAD_TIMEOUT, c->response.bytes ? "response stalled" : "no response"); break;
    case CLIENT_CLOSING:
        l->result->unclosed++;
        hang_up(c);
        go_on(l, c);
        break;
    case CLIENT_HOLDING:
    case CLIENT_DONE: break;
    }
}

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
            send_some(l, c);
        }
        if (c->wake && c->wake <= l->now)
            on_time(l, c);
        check_ready(l);
        watch(l, c);
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
            done(l, c);
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

/* Everybody who still holds a connection asks once more. */
static void resume(struct load *l)
{
    l->resumed = true;
    for (unsigned i = 0; i < l->config->clients; i++)
        if (l->clients[i].state == CLIENT_HOLDING)
            pause_for(l, &l->clients[i], 0);
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
                on_event(l, &l->clients[events[i].data.u32], events[i].events);
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
