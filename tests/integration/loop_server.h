/* loop_server.h: small event loops of each kind, for roles. "/" is answered at once with "hello", "/hold" when the
 * line "go" comes on standard input. Other lines: "accept" (nothing is accepted before it, if it was started so),
 * "count" says "wakeups N", "name" says "name PORT" (or the abstract name: getsockname of the listener). It does not
 * care for signals. */
#ifndef LOOP_SERVER_H
#define LOOP_SERVER_H

#include "sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>

enum loop_kind { LOOP_EPOLL, LOOP_EPOLL_ET, LOOP_TWO_EPOLLS, LOOP_POLL, LOOP_SELECT, LOOP_SELECT_BLOCKING, LOOP_KINDS };

static const char *const loop_names[] = {"epoll", "epoll-et", "two-epolls", "poll", "select", "select-blocking"};

enum { LOOP_FDS = 512 };

static struct loop {
    enum loop_kind kind;
    int listener[4], listeners, ep[2];
    bool accepting;
    unsigned long wakeups;
    struct {
        bool open, held;
        size_t n;
        char head[2048];
    } conn[LOOP_FDS];
} loop;

static void loop_answer(int fd, const char *body)
{
    char text[256];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        say("short");
}

static void loop_watch(int fd)
{
    uint32_t how = EPOLLIN | (loop.kind == LOOP_EPOLL_ET && fd != 0 ? EPOLLRDHUP | EPOLLET : 0);
    struct epoll_event event = {how, {.fd = fd}};
    if (loop.kind <= LOOP_TWO_EPOLLS)
        CHECK(epoll_ctl(loop.ep[0], EPOLL_CTL_ADD, fd, &event) == 0);
    /* The second set holds only listeners, and is itself watched by the first. */
    if (loop.kind == LOOP_TWO_EPOLLS && fd != 0 && !loop.conn[fd].open)
        CHECK(epoll_ctl(loop.ep[1], EPOLL_CTL_ADD, fd, &event) == 0);
}

static void loop_accept(int l)
{
    for (;;) {
        int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED)
                say("accept %s", strerror(errno));
            return;
        }
        CHECK(fd < LOOP_FDS);
        memset(&loop.conn[fd], 0, sizeof loop.conn[fd]);
        loop.conn[fd].open = true;
        loop_watch(fd);
        if (loop.kind == LOOP_SELECT_BLOCKING)
            return; /* it is readable, says select: one accept will not block */
    }
}

static void loop_close(int fd)
{
    loop.conn[fd].open = false;
    close(fd);
}

static void loop_read(int fd)
{
    char *head = loop.conn[fd].head;
    for (;;) {
        size_t *n = &loop.conn[fd].n;
        ssize_t got = recv(fd, head + *n, sizeof loop.conn[fd].head - 1 - *n, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            loop_close(fd);
            return;
        }
        *n += (size_t)got;
        head[*n] = '\0';
        for (const char *end; (end = strstr(head, "\r\n\r\n")) != NULL; memmove(head, end + 4, *n + 1)) {
            if (strncmp(head, "GET /hold", 9) == 0) {
                loop.conn[fd].held = true;
                say("held");
            } else {
                loop_answer(fd, "hello");
            }
            *n -= (size_t)(end + 4 - head);
        }
    }
}

static void loop_go(void)
{
    for (int fd = 0; fd < LOOP_FDS; fd++)
        if (loop.conn[fd].open && loop.conn[fd].held) {
            loop.conn[fd].held = false;
            loop_answer(fd, "done");
        }
}

static void loop_name(int fd)
{
    union address a = {.any = {0}};
    socklen_t len = sizeof a;
    CHECK(getsockname(fd, &a.any, &len) == 0);
    if (a.any.sa_family == AF_UNIX)
        say("name %.*s", (int)(len - offsetof(struct sockaddr_un, sun_path) - 1), a.un.sun_path + 1);
    else
        say("name %d", ntohs(a.in.sin_port));
}

static void loop_hear(void)
{
    char line[64];
    if (!hear(line, sizeof line))
        exit(0);
    if (strcmp(line, "go") == 0)
        loop_go();
    if (strcmp(line, "count") == 0)
        say("wakeups %lu", loop.wakeups);
    if (strcmp(line, "name") == 0)
        loop_name(loop.listener[0]);
    if (strcmp(line, "accept") == 0 && !loop.accepting) {
        loop.accepting = true;
        for (int i = 0; i < loop.listeners; i++)
            loop_watch(loop.listener[i]);
    }
}

static void loop_ready(int fd)
{
    bool listener = false;
    if (fd == 0) {
        loop_hear();
        return;
    }
    for (int i = 0; i < loop.listeners; i++)
        listener = listener || fd == loop.listener[i];
    if (listener && loop.accepting)
        loop_accept(fd);
    else if (loop.conn[fd].open)
        loop_read(fd);
}

static void loop_epoll(void)
{
    struct epoll_event event[16], inner[4];
    int n = epoll_wait(loop.ep[0], event, 16, -1);
    CHECK(n > 0 || errno == EINTR, "%s", strerror(errno)); /* stopped and continued (signal(7)) */
    for (int i = 0; i < n; i++)
        if (loop.kind == LOOP_TWO_EPOLLS && event[i].data.fd == loop.ep[1]) {
            int m = epoll_wait(loop.ep[1], inner, 4, 0);
            for (int j = 0; j < m; j++)
                loop_ready(inner[j].data.fd);
        } else {
            loop_ready(event[i].data.fd);
        }
}

static bool loop_wants(int fd)
{
    for (int i = 0; i < loop.listeners; i++)
        if (fd == loop.listener[i])
            return loop.accepting;
    return fd == 0 || loop.conn[fd].open;
}

static void loop_poll(void)
{
    struct pollfd p[LOOP_FDS];
    nfds_t n = 0;
    for (int fd = 0; fd < LOOP_FDS; fd++)
        if (loop_wants(fd))
            p[n++] = (struct pollfd){fd, POLLIN, 0};
    CHECK(poll(p, n, -1) > 0 || errno == EINTR, "%s", strerror(errno));
    for (nfds_t i = 0; i < n; i++)
        if (p[i].revents)
            loop_ready(p[i].fd);
}

static void loop_select(void)
{
    fd_set r;
    FD_ZERO(&r);
    for (int fd = 0; fd < LOOP_FDS; fd++)
        if (loop_wants(fd))
            FD_SET(fd, &r);
    if (select(LOOP_FDS, &r, NULL, NULL, NULL) < 0)
        return;
    for (int fd = 0; fd < LOOP_FDS; fd++)
        if (FD_ISSET(fd, &r))
            loop_ready(fd);
}

/* Serve these listeners (made nonblocking) for ever; `accepting`: from the start. */
__attribute__((noreturn)) static void loop_serve(const char *kind, const int *listener, int count, bool accepting)
{
    while (loop.kind < LOOP_KINDS && strcmp(loop_names[loop.kind], kind) != 0)
        loop.kind++;
    CHECK(loop.kind < LOOP_KINDS, "%s", kind);
    loop.ep[0] = epoll_create1(EPOLL_CLOEXEC);
    loop.ep[1] = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        if (loop.kind != LOOP_SELECT_BLOCKING)
            nonblock(listener[i]);
        loop.listener[loop.listeners++] = listener[i];
        if (accepting)
            loop_watch(listener[i]);
    }
    loop.accepting = accepting;
    loop_watch(0);
    if (loop.kind == LOOP_TWO_EPOLLS) {
        struct epoll_event event = {EPOLLIN, {.fd = loop.ep[1]}};
        CHECK(epoll_ctl(loop.ep[0], EPOLL_CTL_ADD, loop.ep[1], &event) == 0);
    }
    say("ready");
    for (;; loop.wakeups++)
        if (loop.kind == LOOP_POLL)
            loop_poll();
        else if (loop.kind >= LOOP_SELECT)
            loop_select();
        else
            loop_epoll();
}

#endif
