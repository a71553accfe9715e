/* probe.c: see probe.h. The response is read as strictly as the load client reads it. */
#include "launcher/load/probe.h"
#include "launcher/host/clock.h"
#include "launcher/load/address.h"
#include "launcher/load/response.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct talk {
    int fd, stop_fd;
    nsec_t until;
};

static int wait_for(const struct talk *t, short events)
{
    struct pollfd fds[2] = {{.fd = t->fd, .events = events}, {.fd = t->stop_fd, .events = POLLIN}};
    nsec_t now = clock_now();
    int ms = now < t->until ? (int)((t->until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC) : 0;
    if (poll(fds, 2, ms) < 0)
        return -errno;
    if (fds[1].revents)
        return -EINTR;
    return fds[0].revents ? 0 : -ETIMEDOUT;
}

static int open_connection(struct talk *t, const struct url *u)
{
    struct load_address a;
    int error = 0;
    socklen_t n = sizeof error;
    if (!load_address_parse(&a, u->address))
        return -EINVAL;
    t->fd = socket(a.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        return -errno;
    if (!connect(t->fd, (struct sockaddr *)&a.at, a.len))
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int waited = wait_for(t, POLLOUT);
    if (waited)
        return waited;
    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    return -error;
}

static int ask(const struct talk *t, const struct url *u, const char *path)
{
    char head[2048];
    int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, u->host);
    return send(t->fd, head, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -ECONNRESET;
}

static int receive(const struct talk *t, struct response *r)
{
    static char buffer[65536];
    while (r->state < RESPONSE_DONE) {
        int waited = wait_for(t, POLLIN);
        if (waited)
            return waited;
        ssize_t n = recv(t->fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n < 0 || (n == 0 && !response_eof(r)))
            return -ECONNRESET;
        response_feed(r, buffer, (size_t)n);
    }
    return r->state == RESPONSE_DONE ? 0 : -EPROTO;
}

int probe_get(struct probe *p, const struct url *u, const char *path, nsec_t timeout, int stop_fd)
{
    static struct response r;
    nsec_t begun = clock_now();
    struct talk t = {.fd = -1, .stop_fd = stop_fd, .until = begun + timeout};
    response_begin(&r, false, &(struct load_body){.kind = LOAD_BODY_KEEP, .length = p->room, .keep = p->body});
    int error = open_connection(&t, u);
    if (!error)
        error = ask(&t, u, path);
    if (!error)
        error = receive(&t, &r);
    if (t.fd >= 0)
        close(t.fd);
    p->status = r.status;
    p->length = r.body;
    p->duration = clock_now() - begun;
    return error;
}

bool probe_listens(const struct url *u)
{
    struct talk t = {.fd = -1, .stop_fd = -1, .until = clock_now() + NSEC_PER_SEC};
    int error = open_connection(&t, u);
    if (t.fd >= 0)
        close(t.fd);
    return !error || error == -ETIMEDOUT || error == -EAGAIN;
}
