/* held_request.h: a request that is under way when TERM comes and is answered after it: what the tests of descriptors
 * share. */
#ifndef HELD_REQUEST_H
#define HELD_REQUEST_H

#include "sockets.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum { BODY = 200000 };

UNUSED_ static char body[BODY];

UNUSED_ static void make_body(void)
{
    for (int i = 0; i < BODY; i++)
        body[i] = (char)('a' + i * 7 % 26);
}

/* ---- for roles: a request that waits for the line "go" ---- */

UNUSED_ static void go(const char *word)
{
    char line[64];
    say("%s", word);
    if (!hear(line, sizeof line))
        _exit(117);
}

UNUSED_ static int next_client(int l)
{
    int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

UNUSED_ static void read_request(int fd)
{
    char buf[4096];
    size_t n = 0;
    do {
        ssize_t got = read(fd, buf + n, sizeof buf - 1 - n);
        CHECK(got > 0, "%zd", got);
        n += (size_t)got;
        buf[n] = '\0';
    } while (!strstr(buf, "\r\n\r\n"));
}

UNUSED_ static int head_for(char *head, size_t size, size_t length)
{
    return snprintf(head, size, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %zu\r\n\r\n", length);
}

UNUSED_ static void respond(int fd, const char *text)
{
    char all[256];
    int n = head_for(all, sizeof all, strlen(text));
    n += snprintf(all + n, sizeof all - (size_t)n, "%s", text);
    CHECK(write(fd, all, (size_t)n) == n, "%s", strerror(errno));
}

/* The peer is done, or we made it look so; then the process stays until it is killed. */
UNUSED_ static int until_the_end(int fd)
{
    char buf[4096];
    if (fd >= 0) {
        while (read(fd, buf, sizeof buf) > 0)
            ;
        close(fd);
    }
    say("closed");
    while (pause() < 0)
        ;
    return 0;
}

/* ---- a descriptor sent over a socket ---- */

UNUSED_ static void pass_by(int channel, int fd, bool seen)
{
    char byte = 'f', control[CMSG_SPACE(sizeof fd)] = "";
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    long sent = seen ? sendmsg(channel, &m, 0) : call_unseen(SYS_sendmsg, channel, (long)&m, 0, NULL);
    CHECK(sent == 1, "%s", strerror(errno));
}

UNUSED_ static void pass(int channel, int fd)
{
    pass_by(channel, fd, true);
}

UNUSED_ static int passed(int channel)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK(recvmsg(channel, &m, 0) == 1, "%s", strerror(errno));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_len >= CMSG_LEN(sizeof fd));
    if (h)
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    return fd;
}

/* ---- for tests ---- */

/* Whatever comes until the end of file, which must be clean. Returns the body; checks length and, if wanted,
 * the close option. */
UNUSED_ static char *whole_answer(int fd, size_t length, bool close_option)
{
    static char all[BODY + 4096];
    size_t n = 0;
    ssize_t got;
    while ((got = recv(fd, all + n, sizeof all - 1 - n, 0)) > 0)
        n += (size_t)got;
    CHECK(got == 0, "after %zu bytes: %s", n, strerror(errno));
    all[n] = '\0';
    char *end = strstr(all, "\r\n\r\n");
    CHECK(end, "no head: %s", all);
    *end = '\0';
    CHECK(n - (size_t)(end + 4 - all) == length, "a body of %zu", n - (size_t)(end + 4 - all));
    CHECK(!close_option || strcasestr(all, "connection: close"), "no close option: %s", all);
    return end + 4;
}

/* Starts `role how`, brings one request under way, and the signal. */
UNUSED_ static int held_request(struct child *c, const struct setup *s, const char *role, const char *how)
{
    make_body();
    child_start(c, s, role, how, NULL);
    int fd = client_connect(child_says_number(c, "port"));
    client_get(fd, "/");
    child_says(c, "held");
    child_signal(c, SIGTERM);
    child_drains(c);
    return fd;
}

UNUSED_ static void ends_drained(struct child *c)
{
    child_dies(c, SIGTERM);
    CHECK(report_says(c, "end", "drained"), "%s", child_file(c, "report"));
    CHECK(report_number(c, "aborted") == 0 && report_number(c, "in_flight") == 1, "%s", child_file(c, "report"));
}

#endif
