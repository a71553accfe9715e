/* exit_guard.c: a program that leaves in the middle of a drain is held while another thread still serves somebody;
 * never when nobody could. And the ways in which processes and threads begin and end are as without us. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* server HOW: threads serve; at "leave N" main leaves so, and the thread that hears the rest lives on. */
static int server(char **args)
{
    char line[64];
    const char *how = args[0];
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    int status = atoi(line);
    role_hear();
    say("leaving");
    if (strcmp(how, "exit") == 0)
        exit(status);
    if (strcmp(how, "_exit") == 0)
        _exit(status);
    if (strcmp(how, "_Exit") == 0)
        _Exit(status);
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(status);
    if (strcmp(how, "syscall") == 0)
        syscall(SYS_exit_group, status);
    return status;
}

static void held_by(const char *how)
{
    struct child c;
    child_start(&c, NULL, "server", how, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "7");
    child_says(&c, "leaving");
    given_time(c.pid, 50);
    CHECK(waitpid(c.pid, &c.status, WNOHANG) == 0, "%s: it was not held", how);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_exits(&c, 7);
    CHECK(report_says(&c, "end", "exit") && report_number(&c, "aborted") == 0, "%s: %s", how, child_file(&c, "report"));
    close(fd);
}

static void held_while_another_serves(void)
{
    static const char *const ways[] = {"exit", "_exit", "_Exit", "quick_exit", "syscall", "return"};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        held_by(ways[i]);
}

static void not_held_without_a_drain(void)
{
    struct child c;
    child_start(&c, NULL, "server", "exit", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    double at = now_s();
    child_tell(&c, "7");
    child_exits(&c, 7);
    took("exit", at);
    close(fd);
}

static void the_deadline_bounds_it(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_TIMEOUT=500ms"}};
    child_start(&c, &s, "server", "exit", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "7");
    child_exits(&c, 7);
    took_at_least("from TERM to exit", at, 0.5);
    CHECK(report_number(&c, "aborted") == 1, "%s", child_file(&c, "report"));
    close(fd);
}

static void *leaves(void *how)
{
    say("leaving");
    if (strcmp(how, "raise") == 0)
        raise(SIGTERM);
    else
        _exit(7);
    return NULL;
}

/* crowd HOW: three threads leave so at once, and main lives on. */
static int crowd(char **args)
{
    char line[64];
    pthread_t t;
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    for (int i = 0; i < 3; i++)
        pthread_create(&t, NULL, leaves, args[0]);
    role_hear();
    role_pause();
}

static void crowd_is_held(const char *how)
{
    struct child c;
    child_start(&c, NULL, "crowd", how, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    if (strcmp(how, "raise") != 0) {
        child_signal(&c, SIGTERM);
        child_drains(&c);
    }
    child_tell(&c, "leave");
    for (int i = 0; i < 3; i++)
        child_says(&c, "leaving");
    given_time(c.pid, 50);
    CHECK(waitpid(c.pid, &c.status, WNOHANG) == 0, "%s: they were not held", how);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    if (strcmp(how, "raise") == 0)
        child_dies(&c, SIGTERM);
    else
        child_exits(&c, 7);
    CHECK(report_says(&c, "end", "exit") && report_number(&c, "aborted") == 0, "%s: %s", how, child_file(&c, "report"));
    close(fd);
}

static void several_threads_are_held(void)
{
    crowd_is_held("_exit");
    crowd_is_held("raise");
}

/* ---- nobody else serves ----------------------------------------------------------------------------------- */

/* alone: main reads the request, and leaves without an answer while it drains. */
static int alone(char **args)
{
    char head[512], line[32];
    int lfd = role_listen(), fd = accept(lfd, NULL, NULL);
    (void)args;
    if (read(fd, head, sizeof head) <= 0)
        return 1;
    say("held");
    hear(line, sizeof line);
    exit(6);
}

static void *dies_after_reading(void *fd)
{
    char head[512];
    if (read((int)(intptr_t)fd, head, sizeof head) <= 0)
        _exit(1);
    return NULL;
}

/* orphan: the thread that read the request is gone. */
static int orphan(char **args)
{
    char line[32];
    pthread_t t;
    int lfd = role_listen(), fd = accept(lfd, NULL, NULL);
    (void)args;
    pthread_create(&t, NULL, dies_after_reading, (void *)(intptr_t)fd);
    pthread_join(t, NULL);
    say("held");
    hear(line, sizeof line);
    exit(6);
}

static void never_held(const char *role)
{
    struct child c;
    child_start(&c, NULL, role, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    double at = now_s();
    child_tell(&c, "leave");
    child_exits(&c, 6);
    took("exit", at);
    CHECK(report_says(&c, "end", "exit") && report_number(&c, "aborted") == 1, "%s: %s", role,
          child_file(&c, "report"));
    close(fd);
}

static void not_held_for_its_own(void)
{
    never_held("alone");
}

static void not_held_for_the_dead(void)
{
    never_held("orphan");
}

/* ---- threads and processes ---------------------------------------------------------------------------------- */

static void cleaned(void *what)
{
    say("cleaned %s", (const char *)what);
}

static void *blocked_in_recv(void *fd)
{
    char byte;
    pthread_cleanup_push(cleaned, "up");
    say("in recv");
    recv((int)(intptr_t)fd, &byte, 1, 0);
    pthread_cleanup_pop(0);
    return NULL;
}

static int cancels(char **args)
{
    pthread_t t;
    char head[512], line[32];
    void *result;
    int lfd = role_listen(), fd = accept(lfd, NULL, NULL);
    (void)args;
    if (read(fd, head, sizeof head) <= 0)
        return 1;
    pthread_create(&t, NULL, blocked_in_recv, (void *)(intptr_t)fd);
    hear(line, sizeof line);
    pthread_cancel(t);
    pthread_join(t, &result);
    say("canceled %d", result == PTHREAD_CANCELED);
    return 5;
}

static void cancellation_cleans_up(void)
{
    for (int draining = 0; draining < 2; draining++) {
        struct child c;
        child_start(&c, NULL, "cancels", NULL);
        int fd = client_connect(child_says_number(&c, "port"));
        client_get(fd, "/");
        child_says(&c, "in recv");
        if (draining) {
            child_signal(&c, SIGTERM);
            child_drains(&c);
        }
        child_tell(&c, "now");
        CHECK(strcmp(child_says(&c, "cleaned"), "up") == 0);
        CHECK(child_says_number(&c, "canceled") == 1);
        child_exits(&c, 5);
        close(fd);
    }
}

extern char **environ;

#if defined(__x86_64__)
/* SYS_vfork's child runs on its parent's stack, below which anything it calls would overwrite where the parent
 * returns to: it may only make a system call of its own. */
static inline __attribute__((always_inline)) void leave_without_a_call(int status)
{
    __asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(status) : "rcx", "r11", "memory");
}
#endif

static int births(char **args)
{
    int status = -1;
    char *const sh[] = {"sh", "-c", "exit 4", NULL};
    pid_t pid;
    (void)args;
    role_listen();
#ifdef SYS_vfork /* the newer architectures have only clone */
    pid = (pid_t)syscall(SYS_vfork);
    if (pid == 0)
        leave_without_a_call(12);
    waitpid(pid, &status, 0);
    say("SYS_vfork %d", WEXITSTATUS(status));
#endif
    pid = vfork(); /* NOLINT: it is what is tested */
    if (pid == 0) {
        execve("/bin/sh", sh, environ);
        _exit(99);
    }
    waitpid(pid, &status, 0);
    say("vfork %d", WEXITSTATUS(status));
    pid = vfork(); /* NOLINT: it is what is tested */
    if (pid == 0)
        _exit(8); /* the parent's memory: our exit hook must not be confused */
    waitpid(pid, &status, 0);
    say("vfork-exit %d", WEXITSTATUS(status));
#ifdef SYS_fork
    pid = (pid_t)syscall(SYS_fork);
    if (pid == 0)
        _exit(11);
    waitpid(pid, &status, 0);
    say("SYS_fork %d", WEXITSTATUS(status));
#endif
    CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, sh, environ) == 0);
    waitpid(pid, &status, 0);
    say("posix_spawn %d", WEXITSTATUS(status));
    say("system %d", WEXITSTATUS(system("exit 3")));
    FILE *p = popen("echo piped", "r");
    char line[32] = "";
    if (p && fgets(line, sizeof line, p))
        line[strcspn(line, "\n")] = '\0';
    say("popen %s %d", line, p ? pclose(p) : -1);
    say("errno %ld %d", syscall(SYS_close, -1), errno);
    return 0;
}

static void processes_start_as_without_lastcall(void)
{
    struct child bare, us;
    struct setup without = {.bare = true};
    child_start(&bare, &without, "births", NULL);
    child_exits(&bare, 0);
    child_start(&us, NULL, "births", NULL);
    child_exits(&us, 0);
    const char *a = strchr(child_output(&bare), '\n'), *b = strchr(child_output(&us), '\n');
    CHECK(strcmp(a, b) == 0, "without us:%s with us:%s", a, b);
    CHECK(child_errors(&us)[0] == '\0', "%s", child_errors(&us));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"exit-guard/held-while-another-serves", held_while_another_serves},
        {"exit-guard/several-threads", several_threads_are_held},
        {"exit-guard/no-drain", not_held_without_a_drain},
        {"exit-guard/deadline", the_deadline_bounds_it},
        {"exit-guard/own-request", not_held_for_its_own},
        {"exit-guard/dead-thread", not_held_for_the_dead},
        {"exit-guard/pthread_cancel", cancellation_cleans_up},
        {"exit-guard/births", processes_start_as_without_lastcall},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server},   {"crowd", crowd},   {"alone", alone}, {"orphan", orphan},
                                              {"cancels", cancels}, {"births", births}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
