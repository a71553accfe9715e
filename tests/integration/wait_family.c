/* wait_family.c: calls that no SA_RESTART restarts (signal(7)). A drain that begins while the program waits in one is not
 * noticed: no EINTR, and the time is what was asked for; a signal of the program's own still interrupts. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int lfd, ep, pair[2], last_error;

/* How long the wait is asked to be. */
static int span_ms;
static struct timespec span;

static struct timespec *at_end(void)
{
    static struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += span.tv_sec + (t.tv_nsec + span.tv_nsec) / 1000000000L;
    t.tv_nsec += span.tv_nsec;
    t.tv_nsec %= 1000000000L;
    return &t;
}

static struct timespec copy;
static struct timespec *fresh(void)
{
    copy = span;
    return &copy;
}

static struct timeval *fresh_tv(void)
{
    static struct timeval t;
    t.tv_sec = span.tv_sec;
    t.tv_usec = span.tv_nsec / 1000;
    return &t;
}

static char byte;
static struct epoll_event event;
static struct pollfd one_fd;
static struct pollfd *unready(void)
{
    one_fd = (struct pollfd){pair[0], POLLIN, 0};
    return &one_fd;
}

static fd_set *unready_set(void)
{
    static fd_set set;
    FD_ZERO(&set);
    FD_SET(pair[0], &set);
    return &set;
}

/* The error itself, as clock_nanosleep returns it. */
static int by_error(int err)
{
    errno = err;
    return err ? -1 : 0;
}

#ifdef __GLIBC__
/* The forms of _FORTIFY_SOURCE. */
extern int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
extern int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size);
extern ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
extern ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
extern ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, void *addr, socklen_t *len);
#endif

#define CALL(name, call)         \
    static int call_##name(void) \
    {                            \
        return (int)(call);      \
    }
CALL(epoll_wait, epoll_wait(ep, &event, 1, span_ms))
CALL(epoll_wait_forever, epoll_wait(ep, &event, 1, -1))
CALL(epoll_pwait, epoll_pwait(ep, &event, 1, span_ms, NULL))
CALL(poll, poll(unready(), 1, span_ms))
CALL(poll_forever, poll(unready(), 1, -1))
CALL(ppoll, ppoll(unready(), 1, &span, NULL))
CALL(select, select(pair[0] + 1, unready_set(), NULL, NULL, fresh_tv()))
CALL(select_forever, select(pair[0] + 1, unready_set(), NULL, NULL, NULL))
CALL(pselect, pselect(pair[0] + 1, unready_set(), NULL, NULL, &span, NULL))
CALL(nanosleep, nanosleep(&span, NULL))
CALL(nanosleep_rest, nanosleep(&span, fresh()))
CALL(nanosleep_same, nanosleep(fresh(), &copy))
CALL(clock_relative, by_error(clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL)))
CALL(clock_relative_rest, by_error(clock_nanosleep(CLOCK_MONOTONIC, 0, fresh(), &copy)))
CALL(clock_absolute, by_error(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at_end(), NULL)))
CALL(usleep, usleep((useconds_t)span_ms * 1000))
CALL(pause, pause())
CALL(recv, recv(pair[0], &byte, 1, 0))
CALL(read, read(pair[0], &byte, 1))
CALL(accept, accept(lfd, NULL, NULL))
CALL(accept4, accept4(lfd, NULL, NULL, 0))
#ifdef SYS_poll /* the newer architectures have only the calls that can say more */
CALL(raw_epoll_wait, syscall(SYS_epoll_wait, ep, &event, 1, span_ms))
CALL(raw_poll, syscall(SYS_poll, unready(), 1, span_ms))
CALL(raw_select, syscall(SYS_select, pair[0] + 1, unready_set(), NULL, NULL, fresh_tv()))
CALL(raw_pause, syscall(SYS_pause))
#endif
CALL(raw_epoll_pwait, syscall(SYS_epoll_pwait, ep, &event, 1, span_ms, NULL, 8))
CALL(raw_ppoll, syscall(SYS_ppoll, unready(), 1, fresh(), NULL, 8))
CALL(raw_pselect6, syscall(SYS_pselect6, pair[0] + 1, unready_set(), NULL, NULL, fresh(), NULL))
CALL(raw_nanosleep, syscall(SYS_nanosleep, &span, NULL))
CALL(raw_clock_nanosleep, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, fresh(), &copy))
CALL(raw_clock_nanosleep_null, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, NULL))
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 35)
CALL(epoll_pwait2, epoll_pwait2(ep, &event, 1, &span, NULL))
#define HAVE_PWAIT2
#endif
#ifdef SYS_epoll_pwait2
CALL(raw_epoll_pwait2, syscall(SYS_epoll_pwait2, ep, &event, 1, &span, NULL, 8))
#endif
CALL(poll_chk, __poll_chk(unready(), 1, span_ms, sizeof(struct pollfd)))
CALL(ppoll_chk, __ppoll_chk(unready(), 1, &span, NULL, sizeof(struct pollfd)))
CALL(read_chk, __read_chk(pair[0], &byte, 1, 1))
CALL(recv_chk, __recv_chk(pair[0], &byte, 1, 1, 0))
CALL(recvfrom_chk, __recvfrom_chk(pair[0], &byte, 1, 1, 0, NULL, NULL))
#endif

static const struct kind {
    const char *name;
    int (*call)(void);
    bool forever;
    bool times_out; /* by EAGAIN, not by 0 */
} kinds[] = {
    {"epoll_wait", call_epoll_wait, false, false},
    {"epoll_wait-forever", call_epoll_wait_forever, true, false},
    {"epoll_pwait", call_epoll_pwait, false, false},
#ifdef HAVE_PWAIT2
    {"epoll_pwait2", call_epoll_pwait2, false, false},
#endif
    {"poll", call_poll, false, false},
    {"poll-forever", call_poll_forever, true, false},
    {"ppoll", call_ppoll, false, false},
    {"select", call_select, false, false},
    {"select-forever", call_select_forever, true, false},
    {"pselect", call_pselect, false, false},
    {"nanosleep", call_nanosleep, false, false},
    {"nanosleep-rest", call_nanosleep_rest, false, false},
    {"nanosleep-same", call_nanosleep_same, false, false},
    {"clock_nanosleep", call_clock_relative, false, false},
    {"clock_nanosleep-rest", call_clock_relative_rest, false, false},
    {"clock_nanosleep-absolute", call_clock_absolute, false, false},
    {"usleep", call_usleep, false, false},
    {"pause", call_pause, true, false},
    {"recv-SO_RCVTIMEO", call_recv, false, true},
    {"read-SO_RCVTIMEO", call_read, false, true},
    {"accept-SO_RCVTIMEO", call_accept, false, true},
    {"accept4-SO_RCVTIMEO", call_accept4, false, true},
#ifdef __GLIBC__
    {"__poll_chk", call_poll_chk, false, false},
    {"__ppoll_chk", call_ppoll_chk, false, false},
    {"__read_chk-SO_RCVTIMEO", call_read_chk, false, true},
    {"__recv_chk-SO_RCVTIMEO", call_recv_chk, false, true},
    {"__recvfrom_chk-SO_RCVTIMEO", call_recvfrom_chk, false, true},
#endif
#ifdef SYS_poll
    {"raw-epoll_wait", call_raw_epoll_wait, false, false},
    {"raw-poll", call_raw_poll, false, false},
    {"raw-select", call_raw_select, false, false},
    {"raw-pause", call_raw_pause, true, false},
#endif
    {"raw-epoll_pwait", call_raw_epoll_pwait, false, false},
#ifdef SYS_epoll_pwait2
#ifdef __GLIBC__
    {"raw-epoll_pwait2", call_raw_epoll_pwait2, false, false},
#endif
#endif
    {"raw-ppoll", call_raw_ppoll, false, false},
    {"raw-pselect6", call_raw_pselect6, false, false},
    {"raw-nanosleep", call_raw_nanosleep, false, false},
    {"raw-clock_nanosleep", call_raw_clock_nanosleep, false, false},
    {"raw-clock_nanosleep-null", call_raw_clock_nanosleep_null, false, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static volatile sig_atomic_t handled;

static void handle(int sig)
{
    handled = sig;
}

/* wait KIND MS: a connection is accepted; then the call, once, on the same listener and connection; the request is answered when a line
 * comes on standard input. */
static int waits(char **args)
{
    const struct kind *k = kinds;
    char head[512];
    struct sigaction act = {.sa_handler = handle};
    while (strcmp(k->name, args[0]) != 0)
        k++;
    span_ms = atoi(args[1]);
    span = (struct timespec){span_ms / 1000, span_ms % 1000 * 1000000L};
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGWINCH, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    lfd = role_listen();
    pair[0] = accept(lfd, NULL, NULL);
    if (read(pair[0], head, sizeof head) <= 0)
        return 1;
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, fresh_tv(), sizeof(struct timeval));
    setsockopt(lfd, SOL_SOCKET, SO_RCVTIMEO, fresh_tv(), sizeof(struct timeval));
    ep = epoll_create1(0);
    struct epoll_event want = {EPOLLIN, {0}};
    epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &want);
    say("waits");
    double at = now_s();
    int ret = k->call();
    last_error = errno;
    say("waited %d %d %.6f %.6f %d", ret, ret < 0 ? last_error : 0, at, now_s(), (int)handled);
    hear(head, sizeof head);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    if (write(pair[0], answer, sizeof answer - 1) < 0)
        return 2;
    for (;;)
        if (handled == SIGTERM)
            return 9;
        else
            usleep(1000);
}

struct result {
    int ret, err, handled;
    double began, ended; /* by the clock of now_s() */
};

/* Start it and let it wait. Returns the client's connection. */
static int begin(struct child *c, const struct kind *k, const char *ms)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    child_start(c, &s, "wait", k->name, ms, NULL);
    int fd = client_connect(child_says_number(c, "port"));
    client_get(fd, "/");
    child_says(c, "waits");
    CHECK(await(sleeps, &c->pid));
    return fd;
}

static struct result end(struct child *c, int fd)
{
    struct result r;
    CHECK(sscanf(child_says(c, "waited"), "%d %d %lf %lf %d", &r.ret, &r.err, &r.began, &r.ended, &r.handled) == 5);
    child_drains(c);
    child_tell(c, "answer");
    client_expect(fd, "done", true);
    child_exits(c, 9);
    close(fd);
    CHECK(report_says(c, "end", "drained"));
    return r;
}

/* ---- a drain that begins in the middle of a wait ------------------------------------------------------------ */

/* Several at once: most of the time is theirs. A wait of SHORT_MS is tried first; where nothing is shown, one twice as long, and so on. */
enum { AT_ONCE = 8, SHORT_MS = 600, LONG_MS = SHORT_MS << 5 };

static struct in_the_middle {
    const struct kind *kind;
    struct child c;
    int fd, ms;
    double signalled;
    bool shown;
} middle[KINDS];

/* A wait that began anew at the signal would end its whole time after that, or later. One that ends before has gone on. On a busy machine the
 * one that goes on may end as late as the other: then nothing is shown, and it is tried again. */
static bool is_shown(const struct in_the_middle *m, const struct result *r)
{
    const struct kind *k = m->kind;
    if (k->forever) {
        CHECK(r->ret == -1 && r->err == EINTR && r->handled == SIGUSR1, "%s: %d, errno %d", k->name, r->ret, r->err);
        return true;
    }
    if (k->times_out)
        CHECK(r->ret == -1 && r->err == EAGAIN && r->handled == 0, "%s: %d, errno %d", k->name, r->ret, r->err);
    else
        CHECK(r->ret == 0 && r->handled == 0, "%s: %d, errno %d, handled %d", k->name, r->ret, r->err, r->handled);
    double waited = r->ended - r->began;
    CHECK(waited >= (m->ms - 1) / 1000.0, "%s: it has waited for %.3f s only", k->name, waited);
    if (m->signalled >= r->began + m->ms * 0.75 / 1000)
        return false;
    /* A receive time-out begins anew: to know what is left of it, every read would have to look at the clock. */
    return k->times_out || r->ended < m->signalled + m->ms / 1000.0;
}

static void drain_in_the_middle(struct in_the_middle *const *some, int count)
{
    char ms[16];
    snprintf(ms, sizeof ms, "%d", some[0]->ms);
    for (int i = 0; i < count; i++)
        some[i]->fd = begin(&some[i]->c, some[i]->kind, ms);
    /* Some of the time must be over, or a wait that begins anew is as long as one that does not. */
    poll(NULL, 0, some[0]->ms / 3);
    for (int i = 0; i < count; i++) {
        some[i]->signalled = now_s();
        child_signal(&some[i]->c, SIGTERM);
    }
    for (int i = 0; i < count; i++)
        if (some[i]->kind->forever) {
            child_drains(&some[i]->c);
            CHECK(await(sleeps, &some[i]->c.pid) && !child_said(&some[i]->c, "waited"), "%s", some[i]->kind->name);
            child_signal(&some[i]->c, SIGUSR1);
        }
    for (int i = 0; i < count; i++) {
        struct result r = end(&some[i]->c, some[i]->fd);
        some[i]->shown = is_shown(some[i], &r);
        some[i]->ms *= 2;
        close(some[i]->c.in);
        close(some[i]->c.out);
    }
}

static void not_noticed(void)
{
    struct in_the_middle *some[AT_ONCE];
    for (int i = 0; i < KINDS; i++)
        middle[i] = (struct in_the_middle){.kind = &kinds[i], .ms = SHORT_MS};
    for (int ms = SHORT_MS; ms <= LONG_MS; ms *= 2)
        for (int from = 0; from < KINDS;) {
            int count = 0;
            for (; from < KINDS && count < AT_ONCE; from++)
                if (!middle[from].shown)
                    some[count++] = &middle[from];
            if (count > 0)
                drain_in_the_middle(some, count);
        }
    for (int i = 0; i < KINDS; i++)
        CHECK(middle[i].shown, "%s begins anew: even a wait of %d ms was not over in that time after the signal",
              kinds[i].name, LONG_MS);
}

/* ---- a signal of the program's own --------------------------------------------------------------------------- */

static void send_during_the_drain(struct child *c, int own)
{
    child_signal(c, SIGTERM);
    child_drains(c);
    CHECK(await(sleeps, &c->pid));
    child_signal(c, own);
}

/* Both are pending when the wait is interrupted; the lower number is delivered first. One that comes only as our handler
 * returns would be too late for any handler with SA_RESTART: the kernel has decided by then to make the call again. */
static void send_together(struct child *c, int own)
{
    child_signal(c, SIGSTOP);
    CHECK(await(is_stopped, &c->pid));
    child_signal(c, SIGTERM);
    child_signal(c, own);
    child_signal(c, SIGCONT);
}

/* The program's signal interrupts as ever; the wait alone would last longer than any test may. */
static void own_signal_interrupts(void (*send)(struct child *c, int own), int own)
{
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        struct child c;
        int fd = begin(&c, k, "100000");
        send(&c, own);
        struct result r = end(&c, fd);
        CHECK(r.ret == -1 && r.err == EINTR && r.handled == own, "%s: %d, errno %d, handled %d", k->name, r.ret, r.err,
              r.handled);
    }
}

static void during_the_drain(void)
{
    own_signal_interrupts(send_during_the_drain, SIGUSR1);
}

static void just_before_ours(void)
{
    own_signal_interrupts(send_together, SIGUSR1);
}

static void just_after_ours(void)
{
    own_signal_interrupts(send_together, SIGWINCH);
}

/* ---- sleep(3) counts whole seconds ------------------------------------------------------------------------ */

/* sleep SECONDS */
static int sleeper(char **args)
{
    role_serve_threads(role_listen());
    say("sleeps");
    double at = now_s();
    unsigned rest = sleep((unsigned)atoi(args[0]));
    say("slept %u %.6f %.6f", rest, at, now_s());
    role_pause();
}

static void sleep_is_as_long(void)
{
    struct child c;
    unsigned rest;
    char seconds[16];
    int asked = 1 + check_try();
    double began, ended;
    snprintf(seconds, sizeof seconds, "%d", asked);
    child_start(&c, NULL, "sleep", seconds, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    child_says(&c, "sleeps");
    client_get(fd, "/hold");
    child_says(&c, "held");
    poll(NULL, 0, 500);
    double signalled = now_s();
    child_signal(&c, SIGTERM);
    CHECK(sscanf(child_says(&c, "slept"), "%u %lf %lf", &rest, &began, &ended) == 3);
    CHECK(rest == 0 && ended - began >= asked - 0.001, "rest %u, after %.3f s", rest, ended - began);
    if (signalled >= began + asked * 0.75)
        check_again("the signal came %.3f s after the sleep began", signalled - began);
    if (ended >= signalled + asked)
        check_again("it ended %.3f s after the signal: as if it began anew", ended - signalled);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_dies(&c, SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"wait-family/a-drain-is-not-noticed", not_noticed},
        {"wait-family/own-signal-during-the-drain", during_the_drain},
        {"wait-family/own-signal-just-before-ours", just_before_ours},
        {"wait-family/own-signal-just-after-ours", just_after_ours},
        {"wait-family/sleep", sleep_is_as_long},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"wait", waits}, {"sleep", sleeper}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
