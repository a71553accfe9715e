/* signal_fetch.c: programs that keep the signal blocked and fetch it, or let it in only while they wait. It is deferred
 * from them until the drain is done, and then they get what was sent. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sigset_t set; /* TERM and USR1: blocked in every thread */

static void block(void)
{
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void got_info(int ret, const siginfo_t *info)
{
    say("got %d signo %d code %d from-parent %d uid %d value %d", ret, info->si_signo, info->si_code,
        info->si_pid == getppid(), (int)info->si_uid, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
}

/* ---- sigwait and its relatives: each fetches one signal, and says it ----------------------------------------------
 */

static int fetch_sigwait(void)
{
    int sig = 0, ret = sigwait(&set, &sig);
    say("got %d signo %d", ret, sig);
    return sig;
}

static int fetch_sigwaitinfo(void)
{
    siginfo_t info = {0};
    int sig = sigwaitinfo(&set, &info);
    got_info(sig, &info);
    return sig;
}

static int fetch_sigwaitinfo_null(void)
{
    int sig = sigwaitinfo(&set, NULL);
    say("got %d", sig);
    return sig;
}

static int fetch_sigtimedwait(void)
{
    siginfo_t info = {0};
    struct timespec long_time = {60, 0};
    int sig = sigtimedwait(&set, &info, &long_time);
    got_info(sig, &info);
    return sig;
}

static int fetch_raw(void)
{
    siginfo_t info = {0};
    struct timespec long_time = {60, 0};
    long sig = syscall(SYS_rt_sigtimedwait, &set, &info, &long_time, 8);
    got_info((int)sig, &info);
    return (int)sig;
}

/* ---- signalfd ------------------------------------------------------------------------------------------- */

static int sfd = -1;

static int got_record(ssize_t n, const struct signalfd_siginfo *r)
{
    say("got %zd signo %u code %d from-parent %d uid %u value %d", n, r->ssi_signo, r->ssi_code,
        (pid_t)r->ssi_pid == getppid(), r->ssi_uid, r->ssi_code == SI_QUEUE ? r->ssi_int : 0);
    return (int)r->ssi_signo;
}

static int fetch_signalfd(void)
{
    struct signalfd_siginfo r[4] = {{0}};
    if (sfd < 0)
        sfd = signalfd(-1, &set, SFD_CLOEXEC);
    ssize_t n = read(sfd, r, sizeof r);
    return got_record(n, r);
}

/* Read until it would block; a signal may be nothing (deferred), and then it is waited for again. */
static int drain_signalfd(void)
{
    struct signalfd_siginfo r;
    int sig = 0;
    for (;;) {
        memset(&r, 0, sizeof r);
        ssize_t n = read(sfd, &r, sizeof r);
        if (n < 0 && errno == EAGAIN)
            return sig;
        sig = got_record(n, &r);
    }
}

static int fetch_signalfd_poll(void)
{
    if (sfd < 0)
        sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
        struct pollfd p = {sfd, POLLIN, 0};
        int n = poll(&p, 1, -1);
        if (n != 1)
            say("poll %d errno %d", n, errno);
        int sig = drain_signalfd();
        if (sig)
            return sig;
    }
}

static int fetch_signalfd_select(void)
{
    if (sfd < 0)
        sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
        fd_set r;
        FD_ZERO(&r);
        FD_SET(sfd, &r);
        int n = select(sfd + 1, &r, NULL, NULL, NULL);
        if (n != 1)
            say("select %d errno %d", n, errno);
        int sig = drain_signalfd();
        if (sig)
            return sig;
    }
}

static int by_epoll(uint32_t events)
{
    static int ep = -1;
    if (sfd < 0) {
        struct epoll_event want = {EPOLLIN | events, {0}};
        sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        ep = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(ep, EPOLL_CTL_ADD, sfd, &want);
    }
    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(ep, &event, 1, -1);
        if (n != 1)
            say("epoll_wait %d errno %d", n, errno);
        int sig = drain_signalfd();
        if (sig)
            return sig;
    }
}

static int fetch_signalfd_level(void)
{
    return by_epoll(0);
}

static int fetch_signalfd_edge(void)
{
    return by_epoll(EPOLLET);
}

/* ---- blocked but in the wait ------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static sigset_t open_mask; /* neither TERM nor USR1 */

static void handle(int sig)
{
    handled = sig;
}

static int waited(const char *how, int ret, int err)
{
    int sig = handled;
    say("got %s %d errno %d handler %d", how, ret, ret < 0 ? err : 0, sig);
    handled = 0;
    return sig;
}

#define WAIT(name, call)                  \
    static int fetch_##name(void)         \
    {                                     \
        int ret = (int)(call);            \
        return waited(#name, ret, errno); \
    }
static struct epoll_event event;
static struct timespec minute = {60, 0};
static int ep_empty = -1;

static int empty_ep(void)
{
    if (ep_empty < 0)
        ep_empty = epoll_create1(EPOLL_CLOEXEC);
    return ep_empty;
}

struct pselect_mask {
    const sigset_t *set;
    size_t size;
};
static struct pselect_mask six = {&open_mask, 8};

WAIT(sigsuspend, sigsuspend(&open_mask))
WAIT(ppoll, ppoll(NULL, 0, NULL, &open_mask))
WAIT(ppoll_timeout, ppoll(NULL, 0, &minute, &open_mask))
WAIT(pselect, pselect(0, NULL, NULL, NULL, &minute, &open_mask))
WAIT(epoll_pwait, epoll_pwait(empty_ep(), &event, 1, -1, &open_mask))
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 35)
WAIT(epoll_pwait2, epoll_pwait2(empty_ep(), &event, 1, &minute, &open_mask))
#define HAVE_PWAIT2
#endif
#endif
WAIT(raw_ppoll, syscall(SYS_ppoll, NULL, 0, NULL, &open_mask, 8))
WAIT(raw_pselect6, syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, &six))
WAIT(raw_epoll_pwait, syscall(SYS_epoll_pwait, empty_ep(), &event, 1, -1, &open_mask, 8))
WAIT(raw_sigsuspend, syscall(SYS_rt_sigsuspend, &open_mask, 8))

static const struct {
    const char *name;
    int (*fetch)(void);
} kinds[] = {
    {"sigwait", fetch_sigwait},
    {"sigwaitinfo", fetch_sigwaitinfo},
    {"sigwaitinfo-null", fetch_sigwaitinfo_null},
    {"sigtimedwait", fetch_sigtimedwait},
    {"raw-sigtimedwait", fetch_raw},
    {"signalfd", fetch_signalfd},
    {"signalfd-poll", fetch_signalfd_poll},
    {"signalfd-select", fetch_signalfd_select},
    {"signalfd-level", fetch_signalfd_level},
    {"signalfd-edge", fetch_signalfd_edge},
    {"sigsuspend", fetch_sigsuspend},
    {"ppoll", fetch_ppoll},
    {"ppoll-timeout", fetch_ppoll_timeout},
    {"pselect", fetch_pselect},
    {"epoll_pwait", fetch_epoll_pwait},
#ifdef HAVE_PWAIT2
    {"epoll_pwait2", fetch_epoll_pwait2},
#endif
    {"raw-ppoll", fetch_raw_ppoll},
    {"raw-pselect6", fetch_raw_pselect6},
    {"raw-epoll_pwait", fetch_raw_epoll_pwait},
    {"raw-sigsuspend", fetch_raw_sigsuspend},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* fetch KIND: serves, and fetches signals until one of them is TERM. */
static int fetch(char **args)
{
    block();
    struct sigaction act = {.sa_handler = handle};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    sigfillset(&open_mask);
    sigdelset(&open_mask, SIGTERM);
    sigdelset(&open_mask, SIGUSR1);
    role_serve_threads(role_listen());
    say("ready");
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, args[0]) == 0)
            while (kinds[i].fetch() != SIGTERM)
                ;
    return 9;
}

static void run_kind(struct child *c, const char *kind, bool bare, bool queue)
{
    struct setup without = {.bare = true};
    union sigval value = {.sival_int = 77};
    child_start(c, bare ? &without : NULL, "fetch", kind, NULL);
    int fd = client_connect(child_says_number(c, "port"));
    child_says(c, "ready");
    client_get(fd, "/hold");
    child_says(c, "held");
    CHECK(await(sleeps, &c->pid));
    if (!bare)
        CHECK(queue ? sigqueue(c->pid, SIGTERM, value) == 0 : kill(c->pid, SIGTERM) == 0);
    if (!bare)
        child_drains(c);
    /* While it is deferred, another signal is none of our business. */
    child_signal(c, SIGUSR1);
    child_says(c, "got");
    CHECK(await(sleeps, &c->pid));
    child_tell(c, "go");
    client_expect(fd, "done", !bare);
    close(fd);
    if (bare)
        CHECK(queue ? sigqueue(c->pid, SIGTERM, value) == 0 : kill(c->pid, SIGTERM) == 0);
    child_exits(c, 9);
}

static void same_as_bare(const char *kind, bool queue)
{
    struct child bare, us;
    run_kind(&bare, kind, true, queue);
    run_kind(&us, kind, false, queue);
    const char *a = strstr(child_output(&bare), "\ngot"), *b = strstr(child_output(&us), "\ngot");
    CHECK(strcmp(a, b) == 0, "%s: without us:%s with us:%s", kind, a, b);
    CHECK(report_says(&us, "end", "drained") && report_number(&us, "in_flight") == 1);
}

static void fetched(int from, int to, bool queue)
{
    for (int i = from; i < to; i++)
        same_as_bare(kinds[i].name, queue);
}

static void by_sigwait(void)
{
    fetched(0, 5, false);
}

static void by_sigwait_queued(void)
{
    fetched(0, 5, true);
}

static void by_signalfd(void)
{
    fetched(5, 10, false);
}

static void by_signalfd_queued(void)
{
    fetched(5, 10, true);
}

static void by_mask(void)
{
    fetched(10, KINDS, false);
}

/* ---- the time of a sigtimedwait that meets our signal ------------------------------------------------------- */

static int timed(char **args)
{
    int ms = atoi(args[0]);
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    block();
    role_serve_threads(role_listen());
    say("ready");
    double at = now_s();
    int ret = sigtimedwait(&set, NULL, &time);
    say("waited %d %d %.6f %.6f", ret, errno == EAGAIN, at, now_s());
    say("got %d", sigwaitinfo(&set, NULL));
    return 0;
}

static void the_time_stays(void)
{
    struct child c;
    int ret, again;
    char ms[16];
    double began, ended, span = 0.7 * check_try();
    snprintf(ms, sizeof ms, "%.0f", span * 1000);
    child_start(&c, NULL, "timed", ms, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    child_says(&c, "ready");
    client_get(fd, "/hold");
    child_says(&c, "held");
    poll(NULL, 0, 200);
    double signalled = now_s();
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(sscanf(child_says(&c, "waited"), "%d %d %lf %lf", &ret, &again, &began, &ended) == 4);
    CHECK(ret == -1 && again && ended - began >= span - 0.001, "%d %d after %.3f s", ret, again, ended - began);
    if (signalled >= began + span * 0.75)
        check_again("the signal came %.3f s after the wait began", signalled - began);
    if (ended >= signalled + span)
        check_again("it ended %.3f s after the signal: as if it began anew", ended - signalled);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    CHECK(child_says_number(&c, "got") == SIGTERM);
    child_exits(&c, 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-fetch/sigwait", by_sigwait},
        {"signal-fetch/sigwait-queued", by_sigwait_queued},
        {"signal-fetch/signalfd", by_signalfd},
        {"signal-fetch/signalfd-queued", by_signalfd_queued},
        {"signal-fetch/mask", by_mask},
        {"signal-fetch/sigtimedwait-time", the_time_stays},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"fetch", fetch}, {"timed", timed}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
