/* client.c: see client.h. */
#include "launcher/load/client.h"
#include "launcher/host/clock.h"
#include "launcher/load/outcome.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { THROTTLED_BUFFER = 128 << 10 };

static nsec_t timeout_at(const struct load *l)
{
    return l->now + (l->config->timeout ? l->config->timeout : 30 * NSEC_PER_SEC);
}

/* ---- sending ---------------------------------------------------------------------------------------- */

void client_watch(struct load *l, struct client *c)
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
    if (config->limit && n > load_limit_of(l) - c->asked)
        n = load_limit_of(l) - c->asked;
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

void client_send_some(struct load *l, struct client *c)
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
    client_send_some(l, c);
}

static void connect_failed(struct load *l, struct client *c, int error)
{
    bool refused = error == ECONNREFUSED || error == ENOENT;
    c->asked -= c->batch_len - 1; /* only one request asked for this connection */
    c->batch_len = 1;
    c->answered = 0;
    c->response.bytes = 0;
    if (error == ETIMEDOUT)
        return outcome_lose(l, c, LOAD_TIMEOUT, "no connection");
    if (error == ECONNRESET || error == EPIPE)
        return outcome_lose(l, c, LOAD_RESET, "connected, then reset in the accept queue");
    if (!refused)
        return outcome_lose(l, c, LOAD_BAD, strerror(error));
    outcome_end_request(l, c, LOAD_REFUSED, "");
    outcome_hang_up(c);
    if (l->config->until_refused)
        return outcome_done(l, c);
    outcome_go_on(l, c);
    if (c->state == CLIENT_PAUSED && c->wake < l->now + 10 * NSEC_PER_MSEC)
        c->wake = l->now + 10 * NSEC_PER_MSEC; /* connecting to a closed port again and again must not spin */
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    if (a.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&a)->sin6_port) : 0;
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
        outcome_hang_up(c);
        c->asked -= c->batch_len;
        return outcome_pause_for(l, c, NSEC_PER_MSEC);
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
        return outcome_end_request(l, c, LOAD_BAD, why);
    outcome_end_request(l, c, LOAD_OK, "");
    l->ok++;
    l->result->last_response = l->now;
    if (!l->result->first_response)
        l->result->first_response = l->now;
    l->result->close_sent += r->close && !l->config->fresh;
}

/* The whole batch is answered, or the server said that it will answer no more. */
static void batch_ended(struct load *l, struct client *c)
{
    bool sent_all = c->out_sent == c->out_len && c->body_sent == c->batch[c->batch_len - 1]->upload;
    bool closes = !response_reusable(&c->response) || l->config->fresh;
    if (c->answered < c->batch_len)
        return outcome_lose(l, c, LOAD_RESET, "pipelined behind a response that said close");
    if (closes && l->config->wait_fin && c->response.close && sent_all) {
        c->state = CLIENT_CLOSING;
        c->wake = timeout_at(l);
        c->read_after = 0;
        return;
    }
    if (closes || !sent_all)
        outcome_hang_up(c);
    else
        c->reused++;
    c->batch_len = c->answered = 0;
    c->read_after = 0;
    outcome_go_on(l, c);
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
            outcome_lose(l, c, LOAD_BAD, c->response.why);
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
        outcome_end_request(l, c, LOAD_BAD, "bytes after the last response");
        outcome_hang_up(c);
        c->batch_len = c->answered = 0;
        outcome_go_on(l, c);
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
            outcome_server_closed(l, c, n < 0 ? errno : 0);
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
        outcome_end_request(l, c, LOAD_BAD, "bytes that answer no request");
    else if (n < 0)
        l->result->idle_reset++;
    else
        l->result->last_fin = l->now;
    if (!n && !closing)
        l->result->idle_closed++;
    outcome_hang_up(c);
    if (c->state != CLIENT_PAUSED) /* a pause goes on: the next request takes a new connection */
        outcome_go_on(l, c);
}

/* ---- what happens to it ----------------------------------------------------------------------------- */

void load_check_ready(struct load *l)
{
    const struct load_config *c = l->config;
    if (l->ready_called || !c->ready || l->sent < c->ready_sent || l->started < c->ready_started || l->ok < c->ready_ok)
        return;
    l->ready_called = true;
    c->ready(c->arg);
}

void client_on_event(struct load *l, struct client *c, uint32_t events)
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
        client_send_some(l, c);
    load_check_ready(l);
    client_watch(l, c);
}

void client_on_time(struct load *l, struct client *c)
{
    switch (c->state) {
    case CLIENT_PAUSED:
        if (c->fd >= 0 && l->config->think_max)
            idle_read(l, c); /* as connection pools do: the FIN may have arrived while this thread was not running */
        next_request(l, c);
        break;
    case CLIENT_CONNECTING: connect_failed(l, c, ETIMEDOUT); break;
    case CLIENT_TALKING:
        outcome_lose(l, c, LOAD_TIMEOUT, c->response.bytes ? "response stalled" : "no response");
        break;
    case CLIENT_CLOSING:
        l->result->unclosed++;
        outcome_hang_up(c);
        outcome_go_on(l, c);
        break;
    case CLIENT_HOLDING:
    case CLIENT_DONE: break;
    }
}
