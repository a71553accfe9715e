/* signal_self.c: a program that sends the drain signal to itself. With the default disposition the call does not
 * return, however it is made; with a handler raise() returns after the handler. The same as without us, and what others
 * send is deferred as ever. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void by_raise(int sig)
{
    raise(sig);
}

static void by_kill(int sig)
{
    kill(getpid(), sig);
}

static void by_kill_of_the_process_group(int sig)
{
    setpgid(0, 0);
    kill(0, sig);
}

static void by_killpg(int sig)
{
    setpgid(0, 0);
    killpg(getpid(), sig);
}

static void by_pthread_kill(int sig)
{
    pthread_kill(pthread_self(), sig);
}

static void by_sigqueue(int sig)
{
    union sigval value = {.sival_int = 7};
    sigqueue(getpid(), sig, value);
}

static void by_syscall_kill(int sig)
{
    syscall(SYS_kill, getpid(), sig);
}

static void by_syscall_tkill(int sig)
{
    syscall(SYS_tkill, syscall(SYS_gettid), sig);
}

static void by_syscall_tgkill(int sig)
{
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

static void by_unseen_kill(int sig)
{
    call_unseen(SYS_kill, getpid(), sig, 0, NULL);
}

static int to_send;

static void *raises(void *unused)
{
    (void)unused;
    raise(to_send);
    return NULL;
}

static void by_another_thread(int sig)
{
    pthread_t t;
    to_send = sig;
    pthread_create(&t, NULL, raises, NULL);
    pthread_join(t, NULL);
}

/* Blocked, then unblocked: pending at first. */
static void by_unblocking(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Unblocked only for the time of a wait, which would return with the signal blocked again. */
static sigset_t pending_before_a_wait(int sig)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    raise(sig);
    return before;
}

static void by_sigsuspend(int sig)
{
    sigset_t before = pending_before_a_wait(sig);
    sigsuspend(&before);
}

static void by_ppoll(int sig)
{
    sigset_t before = pending_before_a_wait(sig);
    ppoll(NULL, 0, NULL, &before);
}

static void by_default_and_raise(int sig) /* the usual way out of a handler */
{
    signal(to_send, SIG_DFL);
    raise(to_send);
    say("went on in the handler of %d", sig);
}

static void by_a_handler(int sig)
{
    to_send = sig;
    signal(SIGUSR1, by_default_and_raise);
    raise(SIGUSR1);
}

static void by_a_handler_of_a_drain_signal(int sig)
{
    to_send = sig;
    signal(SIGINT, by_default_and_raise);
    raise(SIGINT);
}

static const struct {
    const char *name;
    void (*send)(int sig);
} ways[] = {
    {"raise", by_raise},
    {"kill", by_kill},
    {"kill-process-group", by_kill_of_the_process_group},
    {"killpg", by_killpg},
    {"pthread_kill", by_pthread_kill},
    {"sigqueue", by_sigqueue},
    {"syscall-kill", by_syscall_kill},
    {"syscall-tkill", by_syscall_tkill},
    {"syscall-tgkill", by_syscall_tgkill},
    {"unseen-kill", by_unseen_kill},
    {"another-thread", by_another_thread},
    {"unblocking", by_unblocking},
    {"sigsuspend", by_sigsuspend},
    {"ppoll", by_ppoll},
    {"handler", by_a_handler},
    {"handler-of-a-drain-signal", by_a_handler_of_a_drain_signal},
};
enum { WAYS = sizeof ways / sizeof *ways };

static void send_by(const char *way, int sig)
{
    for (int i = 0; i < WAYS; i++)
        if (strcmp(way, ways[i].name) == 0)
            ways[i].send(sig);
}

/* ---- the default disposition ------------------------------------------------------------------------------------ */

/* end WAY */
static int end(char **args)
{
    role_listen();
    send_by(args[0], SIGTERM);
    say("went on");
    return 99;
}

static void ends_by(const char *way, const struct setup *s)
{
    struct child c;
    child_start(&c, s, "end", way, NULL);
    child_dies(&c, SIGTERM);
    CHECK(!strstr(child_output(&c), "went on"), "%s: %s", way, child_output(&c));
}

static void ends_there_and_then(void)
{
    struct setup bare = {.bare = true}, us = {.env = {"LASTCALL_SIGNALS=TERM,INT"}};
    for (int i = 0; i < WAYS; i++) {
        ends_by(ways[i].name, &bare);
        ends_by(ways[i].name, &us);
    }
}

/* end-in-drain: a thread serves; main ends by raise when it is told to. */
static int end_in_drain(char **args)
{
    (void)args;
    char line[16];
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    role_hear();
    say("raises");
    raise(SIGTERM);
    say("went on");
    return 99;
}

/* In a drain it is an exit: what other threads have in flight is answered first. */
static void waits_for_requests_in_a_drain(void)
{
    struct child c;
    child_start(&c, NULL, "end-in-drain", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "end");
    child_says(&c, "raises");
    given_time(c.pid, 100);
    CHECK(!child_said(&c, "went on"));
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "aborted") == 0);
}

/* end-serving: a thread serves; main sends itself the signal when it is told to. */
static int end_serving(char **args)
{
    char line[16];
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    role_hear();
    say("sends");
    send_by(args[0], SIGTERM);
    say("went on");
    return 99;
}

/* Without a drain before it, it begins one. */
static void begins_a_drain(void)
{
    static const char *const by[] = {"kill", "raise"};
    for (int i = 0; i < 2; i++) {
        struct child c;
        child_start(&c, NULL, "end-serving", by[i], NULL);
        int fd = client_connect(child_says_number(&c, "port"));
        client_get(fd, "/hold");
        child_says(&c, "held");
        child_tell(&c, "end");
        child_says(&c, "sends");
        child_drains(&c);
        CHECK(!child_said(&c, "went on"));
        child_tell(&c, "go");
        client_expect(fd, "done", true);
        child_dies(&c, SIGTERM);
        CHECK(report_number(&c, "aborted") == 0 && report_says(&c, "end", "exit"), "%s", by[i]);
        close(fd);
    }
}

/* forks: a child that serves nobody dies of its own signal, while its parent has a request in flight. */
static int forks(char **args)
{
    char head[512];
    int status = 0, fd = accept(role_listen(), NULL, NULL);
    (void)args;
    if (read(fd, head, sizeof head) <= 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGTERM);
        return 99;
    }
    waitpid(pid, &status, 0);
    say("ended %d", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    return 5;
}

static void a_child_that_serves_nobody_begins_none(void)
{
    struct child c;
    child_start(&c, NULL, "forks", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    CHECK(child_says_number(&c, "ended") == SIGTERM);
    child_exits(&c, 5);
    CHECK(!strstr(child_errors(&c), "draining"), "%s", child_errors(&c));
    close(fd);
}

/* ---- a handler --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

static bool handler_is_default(int sig)
{
    struct sigaction now;
    sigaction(sig, NULL, &now);
    return now.sa_handler == SIG_DFL;
}

/* handle FLAGS: raise, and say what has happened; then serve. */
static int handle(char **args)
{
    struct sigaction act = {.sa_handler = note, .sa_flags = strcmp(args[0], "resethand") == 0 ? SA_RESETHAND : 0};
    int lfd = role_listen();
    sigaction(SIGTERM, &act, NULL);
    raise(SIGTERM);
    say("raised: handled %d, disposition now %s", (int)got, handler_is_default(SIGTERM) ? "default" : "kept");
    got = 0;
    act.sa_flags = 0;
    sigaction(SIGTERM, &act, NULL);
    role_serve_threads(lfd);
    while (!got)
        usleep(1000);
    return 7;
}

static void say_of(const char *flags, const struct setup *s, char *to, size_t size)
{
    struct child c;
    child_start(&c, s, "handle", flags, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    snprintf(to, size, "%s", child_says(&c, "raised:"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM); /* from outside: deferred, unless bare */
    if (!s->bare) {
        child_drains(&c);
        child_tell(&c, "go");
        client_expect(fd, "done", true);
    }
    child_exits(&c, 7);
    if (!s->bare)
        CHECK(report_says(&c, "end", "drained"));
    close(fd);
}

static void a_handler_runs_within_raise(void)
{
    static const char *const flags[] = {"none", "resethand"};
    struct setup bare = {.bare = true}, us = {.bare = false};
    for (int i = 0; i < 2; i++) {
        char without[128], with[128];
        say_of(flags[i], &bare, without, sizeof without);
        say_of(flags[i], &us, with, sizeof with);
        CHECK(strcmp(without, with) == 0 && strstr(with, "handled 15"), "%s: without us:%s with us:%s", flags[i],
              without, with);
    }
}

enum { RAISES = 5000 };
static int handled;

static void count_handled(int sig)
{
    (void)sig;
    __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void *raises_often(void *unused)
{
    for (int i = 0; i < RAISES; i++)
        raise(SIGTERM);
    return unused;
}

static int handle_in_threads(char **args)
{
    pthread_t t[2];
    (void)args;
    role_listen();
    signal(SIGTERM, count_handled);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, raises_often, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    say("handled %d", handled);
    return 0;
}

static void a_handler_runs_within_each_raise(void)
{
    struct child c;
    child_start(&c, NULL, "handle-in-threads", NULL);
    CHECK(child_says_number(&c, "handled") == 2L * RAISES, "%s", child_output(&c));
    child_exits(&c, 0);
    CHECK(!strstr(child_errors(&c), "draining"), "%s", child_errors(&c));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-self/default", ends_there_and_then},
        {"signal-self/default-in-a-drain", waits_for_requests_in_a_drain},
        {"signal-self/default-while-serving", begins_a_drain},
        {"signal-self/default-in-a-child", a_child_that_serves_nobody_begins_none},
        {"signal-self/handler-of-raise", a_handler_runs_within_raise},
        {"signal-self/handler-of-raise-in-two-threads", a_handler_runs_within_each_raise},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"end", end}, {"end-in-drain", end_in_drain}, {"end-serving", end_serving},
        {"forks", forks}, {"handle", handle},
        {"handle-in-threads", handle_in_threads}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
