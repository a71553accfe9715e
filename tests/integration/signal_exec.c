/* signal_exec.c: a drain signal comes, and while its drain waits the program becomes another one. Without lastcall the
 * signal ends the old program or the new one; with lastcall it must not be lost between the two. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

static char *const new_program[] = {"/proc/self/exe", "becomes", NULL};
static char *const no_preload[] = {"PATH=/usr/bin:/bin", NULL};

static void change_mask(int how, int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(how, &set, NULL);
}

static void by_execv(void)
{
    execv(new_program[0], new_program);
}

static void by_execve(void)
{
    execve(new_program[0], new_program, environ);
}

static void by_execl(void)
{
    execl(new_program[0], new_program[0], new_program[1], NULL);
}

static void while_blocked(void)
{
    change_mask(SIG_BLOCK, SIGTERM);
    execve(new_program[0], new_program, environ);
}

static void without_the_library(void)
{
    execve(new_program[0], new_program, no_preload);
}

static void that_fails(void)
{
    execve("/nonexistent", new_program, environ);
}

/* The signal is not left pending behind the failed exec: the drain still has it. */
static void that_fails_blocked(void)
{
    sigset_t pending;
    change_mask(SIG_BLOCK, SIGTERM);
    that_fails();
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGTERM));
    change_mask(SIG_UNBLOCK, SIGTERM);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"execv", by_execv},
    {"execve", by_execve},
    {"execl", by_execl},
    {"blocked", while_blocked},
    {"no-library", without_the_library},
    {"fails", that_fails},
    {"fails-blocked", that_fails_blocked},
};

static void run_way(const char *name)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, name) == 0)
            ways[i].run();
}

/* The new program. It gets the signal before it comes here, unless the old one has left it blocked. */
static int becomes(char **args)
{
    sigset_t now;
    (void)args;
    sigprocmask(SIG_BLOCK, NULL, &now);
    if (!sigismember(&now, SIGTERM))
        role_pause();
    sigpending(&now);
    return sigismember(&now, SIGTERM) ? 7 : 8;
}

/* Its one request is in flight, and the deadline further away than any test waits. */
static int serves(char **args)
{
    char line[64], byte;
    int lfd = role_listen(), fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0 && read(fd, &byte, 1) == 1);
    say("read");
    hear(line, sizeof line);
    run_way(args[0]);
    say("failed");
    close(fd); /* nothing is in flight any more: the drain is over */
    role_pause();
}

static void start(struct child *c, const struct setup *s, const char *way)
{
    child_start(c, s, "serves", way, NULL);
    int fd = client_connect(child_says_number(c, "port"));
    client_send(fd, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    child_says(c, "read");
    child_signal(c, SIGTERM);
    child_drains(c);
    child_tell(c, "go");
}

static void ends_by_it(const char *const *args)
{
    struct child c;
    start(&c, NULL, args[0]);
    child_dies(&c, SIGTERM);
}

/* It stays pending, as the program wished. */
static void stays_blocked(const char *const *args)
{
    struct child c;
    start(&c, NULL, args[0]);
    child_exits(&c, 7);
}

/* The exec has failed: the signal is deferred as before, and the drain goes on to its end. */
static void fails(const char *const *args)
{
    struct child c;
    start(&c, NULL, args[0]);
    child_says(&c, "failed");
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "in_flight") == 1, "%s", child_file(&c, "report"));
}

/* A program that is started without a signal has none, and its mask is what it was. */
static void no_signal(const char *const *args)
{
    struct child c;
    (void)args;
    child_start(&c, NULL, "becomes", NULL);
    given_time(c.pid, 0);
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"signal/exec/execv", ends_by_it, {"execv"}},
        {"signal/exec/execve", ends_by_it, {"execve"}},
        {"signal/exec/execl", ends_by_it, {"execl"}},
        {"signal/exec/no-library", ends_by_it, {"no-library"}},
        {"signal/exec/blocked", stays_blocked, {"blocked"}},
        {"signal/exec/fails", fails, {"fails"}},
        {"signal/exec/fails-blocked", fails, {"fails-blocked"}},
        {"signal/exec/no-signal", no_signal, {NULL}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_role roles[] = {{"serves", serves}, {"becomes", becomes}, {NULL, NULL}};
    static const struct check_test none[] = {{NULL, NULL}};
    return check_main_rows(argc, argv, rows, none, roles);
}
