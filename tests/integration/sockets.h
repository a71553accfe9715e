/* sockets.h: sockets of every kind that the tests of listeners, descriptors and kernel facts need. All of these
 * fail the test (or the role) that calls them. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define UNUSED_ __attribute__((unused))

enum { SO_BINDTOIFINDEX_ = 62, NO_SUCH_DEVICE = 0x7ffffff0, SIOCINQ_ = 0x541B, SIOCOUTQ_ = 0x5411 };

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

UNUSED_ static socklen_t loopback(union address *a, int family, long port)
{
    memset(a, 0, sizeof *a);
    a->any.sa_family = (sa_family_t)family;
    a->in.sin_port = htons((uint16_t)port); /* at the same place in both */
    if (family == AF_INET6) {
        a->in6.sin6_addr = in6addr_loopback;
        return sizeof a->in6;
    }
    a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof a->in;
}

UNUSED_ static int tcp_kind; /* what the TCP sockets below are: IPPROTO_MPTCP, or as usual */

UNUSED_ static long port_of(int fd)
{
    union address a = {.any = {0}};
    socklen_t len = sizeof a;
    CHECK(getsockname(fd, &a.any, &len) == 0);
    return ntohs(a.in.sin_port);
}

/* A TCP socket that does not listen yet; `any`: on all addresses, which for AF_INET6 means both families. port 0: a
 * free one. */
UNUSED_ static int bound_at(int family, long port, bool any, bool reuseport)
{
    union address a;
    int on = 1, off = 0, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, tcp_kind);
    socklen_t len = loopback(&a, family, port);
    if (any && family == AF_INET6)
        a.in6.sin6_addr = in6addr_any;
    else if (any)
        a.in.sin_addr.s_addr = INADDR_ANY;
    CHECK(fd >= 0, "%s", strerror(errno));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (reuseport)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ==
          0); /* as servers do: connections do not hold a port */
    CHECK(bind(fd, &a.any, len) == 0, "%s", strerror(errno));
    return fd;
}

/* The same, and it listens. */
UNUSED_ static int listener_at(int family, long port, bool any, bool reuseport)
{
    int fd = bound_at(family, port, any, reuseport);
    CHECK(listen(fd, 512) == 0, "%s", strerror(errno));
    return fd;
}

/* An AF_UNIX listener at an abstract name. */
UNUSED_ static socklen_t unix_name(union address *a, const char *name)
{
    memset(a, 0, sizeof *a);
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path + 1, name, strlen(name));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

UNUSED_ static int unix_listener(const char *name)
{
    union address a;
    socklen_t len = unix_name(&a, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, &a.any, len) == 0 && listen(fd, 128) == 0, "%s", strerror(errno));
    return fd;
}

/* Nobody waits for ever on a client's socket. */
static void be_patient(int fd)
{
    struct timeval patience = {HANG_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* A connection, or -errno. */
UNUSED_ static int try_connect(int family, long port)
{
    union address a;
    socklen_t len = loopback(&a, family, port);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, tcp_kind);
    CHECK(fd >= 0);
    be_patient(fd);
    if (connect(fd, &a.any, len) == 0)
        return fd;
    int err = errno;
    close(fd);
    return -err;
}

/* A listener of another server on this port, which like most sets SO_REUSEADDR; -1: the port is taken. */
UNUSED_ static int successor_at(long port)
{
    union address a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = loopback(&a, AF_INET, port);
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    if (bind(fd, &a.any, len) == 0 && listen(fd, 16) == 0)
        return fd;
    close(fd);
    return -1;
}

/* { port, fd }, for await(). */
UNUSED_ static bool is_successor(void *arg)
{
    long *where = arg;
    where[1] = successor_at(where[0]);
    return where[1] >= 0;
}

UNUSED_ static int await_successor(long port)
{
    long where[2] = {port, -1};
    CHECK(await(is_successor, where), "the port is not free");
    return (int)where[1];
}

/* New clients of this port are those of this listener. */
UNUSED_ static void is_served_by(int listener, long port)
{
    char byte;
    int mine = client_connect(port), fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0 && send(fd, "x", 1, 0) == 1 && recv(mine, &byte, 1, 0) == 1);
    close(fd);
    close(mine);
}

/* New clients of this port; *(long *) for await(). One that is not refused is gone at once. */
UNUSED_ static bool refuses_clients(void *port)
{
    int fd = try_connect(AF_INET, *(long *)port);
    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

UNUSED_ static int try_unix(const char *name)
{
    union address a;
    socklen_t len = unix_name(&a, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    be_patient(fd);
    if (connect(fd, &a.any, len) == 0)
        return fd;
    int err = errno;
    close(fd);
    return -err;
}

/* Both ends of a TCP connection over loopback. */
UNUSED_ static void tcp_pair(int *near, int *far)
{
    int l = listener_at(AF_INET, 0, false, false);
    *far = try_connect(AF_INET, port_of(l));
    *near = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK(*far >= 0 && *near >= 0);
    be_patient(*near);
    close(l);
}

UNUSED_ static void nonblock(int fd)
{
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

UNUSED_ static int queue_bytes(int fd, unsigned long what)
{
    int n = -1;
    CHECK(ioctl(fd, what, &n) == 0);
    return n;
}

UNUSED_ static struct tcp_info tcp_info(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
    return info;
}

UNUSED_ static bool readable(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, ms) > 0;
}

/* User and system time of a process so far, in ms. */
UNUSED_ static long cpu_ms(pid_t pid)
{
    clockid_t clock;
    struct timespec t = {0, 0};
    CHECK(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* While nothing happens the process does nothing. (`counts`: it is a loop_server.h, which counts its wakeups.) One that
 * is busy for nothing comes to thousands of wakeups, and to all the processor that there is. */
UNUSED_ static void is_quiet(struct child *c, bool counts)
{
    enum { WATCHED_MS = 200, WAKEUPS = 3, CPU_MS = WATCHED_MS / 5 };
    long before = 0, wakeups = 0;
    if (counts) {
        child_tell(c, "count");
        before = child_says_number(c, "wakeups");
    }
    long cpu = cpu_ms(c->pid);
    poll(NULL, 0, WATCHED_MS);
    cpu = cpu_ms(c->pid) - cpu;
    if (counts) {
        child_tell(c, "count");
        wakeups = child_says_number(c, "wakeups") - before;
    }
    CHECK(wakeups <= WAKEUPS, "%ld wakeups in %d ms of nothing", wakeups, WATCHED_MS);
    CHECK(cpu < CPU_MS, "%ld ms of processor time in %d ms of nothing", cpu, WATCHED_MS);
}

#endif
