/* signal_wakes.c: a program whose handler only sets a flag, and that then has to come out of its wait to see it. The
 * release may meet a thread that has not come back to its wait since our handler deferred the signal: on a busy
 * machine, or because our own steps run in handlers. What the kernel or a hook would begin anew must not be waited
 * for. */
#include "check.h"

#include "forbid.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/ptrace.h>

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

/* ---- the waits ------------------------------------------------------------------------------------------- */

static int in_accept(int lfd)
{
    return accept(lfd, NULL, NULL);
}

static int in_epoll(int lfd)
{
    static int ep = -1;
    struct epoll_event event = {EPOLLIN, {.fd = lfd}};
    if (ep < 0) {
        ep = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &event);
    }
    return epoll_wait(ep, &event, 1, -1);
}

static int in_poll(int lfd)
{
    struct pollfd p = {lfd, POLLIN, 0};
    return poll(&p, 1, -1);
}

static int in_select(int lfd)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(lfd, &in);
    return select(lfd + 1, &in, NULL, NULL, NULL);
}

static int in_pause(int lfd)
{
    (void)lfd;
    return pause();
}

/* Where uvicorn's parent is: a thread's join, a lock. */
static int in_futex(int lfd)
{
    static int word;
    (void)lfd;
    return (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static int in_wait(int lfd)
{
    static pid_t worker;
    (void)lfd;
    if (worker == 0)
        worker = fork();
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            poll(NULL, 0, -1);
    }
    return waitpid(worker, NULL, 0) == worker ? 0 : -1;
}

static const struct wait {
    const char *name;
    int (*wait)(int lfd);
    bool restarts; /* after a handler with SA_RESTART (signal(7)) */
} waits[] = {{"accept", in_accept, true}, {"epoll_wait", in_epoll, false},
             {"poll", in_poll, false},    {"select", in_select, false},
             {"pause", in_pause, false},  {"futex", in_futex, true},
             {"waitpid", in_wait, true},  {NULL, NULL, false}};

static const struct wait *find(const char *name)
{
    const struct wait *w = waits;
    while (strcmp(w->name, name) != 0)
        w++;
    return w;
}

/* waiter WAIT plain|restart none|no-clone|no-clone-no-timer */
static int waiter(char **args)
{
    const struct wait *w = find(args[0]);
    struct sigaction act = {.sa_handler = note, .sa_flags = strcmp(args[1], "restart") == 0 ? SA_RESTART : 0};
    int lfd = role_listen();
    sigaction(SIGTERM, &act, NULL);
    if (strncmp(args[2], "no-clone", 8) == 0)
        forbid_clone(strcmp(args[2], "no-clone-no-timer") == 0);
    say("ready");
    while (!got)
        if (w->wait(lfd) < 0 && errno == EINTR)
            say("interrupted");
    return 40 + got;
}

/* The delivery, which the drain thread sends to the process. */
static bool is_sent(void *arg)
{
    const struct child *c = arg;
    return !is_taken(c->pid, SIGTERM);
}

static void start(struct child *c, const struct wait *w, const char *flags, const char *hardship)
{
    child_start(c, NULL, "waiter", w->name, flags, hardship, NULL);
    child_says(c, "ready");
    if (strstr(child_output(c), "no-seccomp"))
        check_skip("no seccomp");
    CHECK(await(sleeps, &c->pid));
}

static int stop_of(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status), "it ended");
    return WSTOPSIG(status);
}

/* Our handler has deferred the signal; its thread, on the way out of it, is stopped until the release is on its way. */
static void delivery_meets_it_before_its_wait(struct child *c)
{
    int sig;
    struct ptrace_syscall_info now = {.op = PTRACE_SYSCALL_INFO_NONE};
    CHECK(ptrace(PTRACE_SEIZE, c->pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    child_signal(c, SIGTERM);
    while ((sig = stop_of(c->pid)) != SIGTERM)
        CHECK(ptrace(PTRACE_CONT, c->pid, 0, sig) == 0);
    do {
        CHECK(ptrace(PTRACE_SYSCALL, c->pid, 0, sig) == 0);
        sig = stop_of(c->pid);
        if (sig == (SIGTRAP | 0x80)) {
            CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, c->pid, sizeof now, &now) > 0);
            sig = 0;
        }
    } while (now.op != PTRACE_SYSCALL_INFO_ENTRY || now.entry.nr != SYS_rt_sigreturn);
    CHECK(await(is_sent, c));
    CHECK(ptrace(PTRACE_DETACH, c->pid, 0, 0) == 0);
}

static void each_wait(void (*meet)(struct child *c), const char *hardship)
{
    for (const struct wait *w = waits; w->name; w++) {
        struct child c;
        start(&c, w, "plain", hardship);
        meet(&c);
        double at = now_s();
        child_exits(&c, 40 + SIGTERM);
        took(w->name, at);
    }
}

static void before_its_wait(void)
{
    each_wait(delivery_meets_it_before_its_wait, "none");
}

static void just_signal(struct child *c)
{
    child_signal(c, SIGTERM);
}

static void in_its_wait(void)
{
    each_wait(just_signal, "none");
}

/* The release comes while the tick's handler is in the thread. */
static void driven_by_the_timer(void)
{
    each_wait(just_signal, "no-clone");
}

static void nobody_can_wait(void)
{
    each_wait(just_signal, "no-clone-no-timer");
}

/* A handler that restarts its calls is not told: as without us. */
static void restarted(void)
{
    for (const struct wait *w = waits; w->name; w++) {
        struct child c;
        if (!w->restarts)
            continue;
        start(&c, w, "restart", "none");
        delivery_meets_it_before_its_wait(&c);
        given_time(c.pid, 100);
        CHECK(!child_said(&c, "interrupted"), "%s", w->name);
        child_signal(&c, SIGKILL);
        child_dies(&c, SIGKILL);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-wakes/in-its-wait", in_its_wait},
        {"signal-wakes/before-its-wait", before_its_wait},
        {"signal-wakes/restarted", restarted},
        {"signal-wakes/no-thread", driven_by_the_timer},
        {"signal-wakes/no-thread-no-timer", nobody_can_wait},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"waiter", waiter}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
