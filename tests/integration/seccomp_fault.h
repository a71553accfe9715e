/* seccomp_fault.h: decides about the system calls that our object makes in a process, and in what it forks, from
 * outside: each may pass, fail, or do a byte only of what it was asked. (objects/fault_filter.c has them sent here.) */
#ifndef SECCOMP_FAULT_H
#define SECCOMP_FAULT_H

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FAULT_CALLS = 512,
    FAULT_NONE = -1,    /* as the call that is meant: all may pass */
    FAULT_KILLS = 1000, /* ... whatever sends a signal */
    FAULT_CLOCKS,       /* ... whatever asks for the wall clock: told a time that jumps by a day, to and fro */
    FAULT_SHORT = 0,    /* as the error: one byte only */
    FAULT_LATE = -1     /* ... it passes, 20 ms later */
};

struct fault {
    int fd;
    int call, error;
    bool always, done;
    unsigned first, at; /* so many of them pass before it: still; in all */
    unsigned seen[FAULT_CALLS], meant;
    pthread_t thread;
};

static bool fault_means(const struct fault *j, const struct seccomp_notif *n)
{
    int call = n->data.nr;
    if (j->call == FAULT_KILLS)
        return call == SYS_kill || call == SYS_tgkill || call == SYS_tkill;
    if (j->call == FAULT_CLOCKS)
        return call == SYS_clock_gettime && n->data.args[0] == CLOCK_REALTIME;
    return call == j->call;
}

/* Its descriptor, for us; -1. A thread's number is no process's: /proc knows whose it is. */
static int fault_borrow(pid_t tid, int number)
{
    char path[64], line[128];
    int process = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Tgid: %d", &process) == 1)
            break;
    if (f)
        fclose(f);
    int pidfd = (int)syscall(SYS_pidfd_open, process, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    close(pidfd);
    return fd;
}

/* A descriptor that gives and takes bytes one by one: an eventfd does not, a datagram would be cut. */
static bool fault_is_divisible(int fd)
{
    struct stat st;
    int type = 0;
    socklen_t len = sizeof type;
    if (fstat(fd, &st) != 0)
        return false;
    if (S_ISSOCK(st.st_mode))
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
    return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode);
}

/* Does a byte of this call in its place. False: it cannot be divided. */
static bool fault_shortens(const struct seccomp_notif *n, struct seccomp_notif_resp *r)
{
    char byte;
    struct iovec ours = {&byte, 1}, its = {(void *)(uintptr_t)n->data.args[1], 1};
    int fd = fault_borrow((pid_t)n->pid, (int)n->data.args[0]);
    ssize_t did = -1;
    errno = 0;
    if (n->data.args[2] > 1 && n->data.args[1] && fault_is_divisible(fd)) {
        if (n->data.nr == SYS_write)
            did = process_vm_readv((pid_t)n->pid, &ours, 1, &its, 1, 0) == 1 ? write(fd, &byte, 1) : -1;
        else if (n->data.nr == SYS_read)
            did = read(fd, &byte, 1);
        else if (n->data.nr == SYS_recvfrom)
            did = recv(fd, &byte, 1, (int)n->data.args[3]);
        if (did == 1 && n->data.nr != SYS_write && process_vm_writev((pid_t)n->pid, &ours, 1, &its, 1, 0) != 1)
            did = -1;
    }
    close(fd);
    r->val = did;
    return did >= 0;
}

static bool fault_tells_time(struct fault *j, const struct seccomp_notif *n, struct seccomp_notif_resp *r)
{
    struct timespec t;
    struct iovec ours = {&t, sizeof t}, its = {(void *)(uintptr_t)n->data.args[1], sizeof t};
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += j->seen[SYS_clock_gettime] % 2 ? 86400 : -86400;
    r->val = 0;
    return process_vm_writev((pid_t)n->pid, &ours, 1, &its, 1, 0) == sizeof t;
}

static void fault_one(struct fault *j, const struct seccomp_notif *n, struct seccomp_notif_resp *r)
{
    bool meant = j->error != FAULT_LATE && fault_means(j, n) && (j->always || !j->done) &&
                 (j->first == 0 || j->first-- == 0);
    if (n->data.nr >= 0 && n->data.nr < FAULT_CALLS)
        j->seen[n->data.nr]++;
    if (meant && j->call == FAULT_CLOCKS)
        meant = fault_tells_time(j, n, r);
    else if (meant && j->error == FAULT_SHORT)
        meant = fault_shortens(n, r);
    else if (meant)
        r->error = -j->error;
    r->flags = meant ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (!meant)
        r->val = 0;
    j->done = j->done || meant;
    j->meant += meant;
}

static void fault_delay(struct fault *j, const struct seccomp_notif *n)
{
    const struct timespec moment = {0, 20 * 1000 * 1000};
    if (j->error == FAULT_LATE && fault_means(j, n)) {
        nanosleep(&moment, NULL);
        j->meant++;
    }
}

static void *fault_all(void *arg)
{
    struct fault *j = arg;
    struct pollfd p = {j->fd, POLLIN, 0};
    while (poll(&p, 1, -1) > 0 && (p.revents & POLLIN)) {
        struct seccomp_notif n;
        struct seccomp_notif_resp r;
        memset(&n, 0, sizeof n);
        memset(&r, 0, sizeof r);
        if (ioctl(j->fd, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0)
            continue;
        r.id = n.id;
        fault_delay(j, &n);
        fault_one(j, &n, &r);
        ioctl(j->fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
    }
    return NULL;
}

/* The child was started with .behind = "fault_filter". From here on j decides. */
static void fault_begin(struct fault *j, struct child *c)
{
    int number = (int)child_says_number(c, "listener");
    if (number < 0)
        check_skip("no seccomp_unotify");
    j->fd = fault_borrow(c->pid, number);
    if (j->fd < 0)
        check_skip("no pidfd_getfd");
    CHECK(pthread_create(&j->thread, NULL, fault_all, j) == 0);
    child_tell(c, "on");
}

/* When all of its processes have ended. */
static void fault_end(struct fault *j)
{
    pthread_join(j->thread, NULL);
    close(j->fd);
}

#endif
