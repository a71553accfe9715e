/* workers.h: a server of several processes, and what the tests of groups ask of it.
 *
 * The test is the reaper of all that it has started, so that it sees how each of them ends. A worker that the test
 * forgets dies with its parent, or after a while. */
#ifndef WORKERS_H
#define WORKERS_H

#include "held_request.h"

#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- for roles -------------------------------------------------------------------------------------------- */

enum { WORKERS_MAX = 600, WORKER_SECONDS = 600 };

static struct {
    pid_t pid[WORKERS_MAX];
    int count;
} workers;

static volatile sig_atomic_t ending;

/* SIGUSR1 lets the request go that this process holds. */
static void let_go(int sig)
{
    (void)sig;
    role_let_go(); /* NOLINT(bugprone-signal-handler): it writes a byte */
}

UNUSED_ static void be_a_worker(void)
{
    alarm(WORKER_SECONDS);
    role_own_gate();
    signal(SIGUSR1, let_go);
}

UNUSED_ static void serve_all(int l)
{
    for (;;) {
        int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            role_serve(fd);
        else if (errno != ECONNABORTED && errno != EINTR && errno != EAGAIN)
            role_pause();
    }
}

enum { WORKER_OUTLIVES = 1 }; /* its parent */

/* fork: 0 in the worker, which has nothing of the parent's own. */
UNUSED_ static pid_t fork_worker(unsigned flags)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "%s", strerror(errno));
    if (pid > 0) {
        workers.pid[workers.count++] = pid;
        return pid;
    }
    if ((flags & WORKER_OUTLIVES) == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(&workers, 0, sizeof workers);
    signal(SIGTERM, SIG_DFL);
    be_a_worker();
    return 0;
}

/* One that accepts from l; says "worker PID" when it is about to. */
UNUSED_ static pid_t start_worker(int l, unsigned flags)
{
    int ready[2];
    char byte;
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t pid = fork_worker(flags);
    if (pid == 0) {
        CHECK(write(ready[1], "x", 1) == 1);
        serve_all(l);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    say("worker %d", (int)pid);
    return pid;
}

/* What masters do with TERM. */
static void pass_on(int sig)
{
    ending = 1;
    for (int i = 0; i < workers.count; i++)
        kill(workers.pid[i], sig);
}

/* Says "ready", then "gone PID HOW" for each worker; ends by TERM when it was sent one and all are gone. */
UNUSED_ __attribute__((noreturn)) static void be_the_master(void)
{
    signal(SIGTERM, pass_on);
    say("ready %d", (int)getpid());
    for (;;) {
        int status;
        pid_t pid = wait(&status);
        if (pid > 0)
            say("gone %d %d", (int)pid, WIFSIGNALED(status) ? WTERMSIG(status) : 1000 + WEXITSTATUS(status));
        else if (errno == ECHILD)
            break;
    }
    signal(SIGTERM, SIG_DFL);
    if (ending)
        raise(SIGTERM);
    role_pause();
}

/* ---- for tests -------------------------------------------------------------------------------------------- */

/* The next worker that is named; it is at its accept. */
UNUSED_ static pid_t next_worker(struct child *c)
{
    pid_t pid = (pid_t)child_says_number(c, "worker");
    CHECK(await(sleeps, &pid));
    return pid;
}

/* Connects, and waits until a worker holds the request: *pid says which. */
UNUSED_ static int hold_one(struct child *c, long port, pid_t *pid)
{
    int fd = client_connect(port);
    client_get(fd, "/hold");
    *pid = (pid_t)child_says_number(c, "held");
    return fd;
}

/* The held request is let go and must come whole; then the client leaves. */
UNUSED_ static void finish(int fd, pid_t pid, bool close_option)
{
    CHECK(kill(pid, SIGUSR1) == 0, "the worker is gone: %s", strerror(errno));
    client_expect(fd, "done", close_option);
    close(fd);
}

/* n new clients are served at once, and told nothing of an end. */
UNUSED_ static void goes_on(long port, int n)
{
    struct answer a;
    for (int i = 0; i < n; i++) {
        int fd = client_connect(port);
        client_get(fd, "/");
        client_answer(fd, &a);
        CHECK(a.whole && strcmp(a.body, "hello") == 0 && !a.close, "%d: status %d, close %d", i, a.status, a.close);
        close(fd);
    }
}

/* It has stopped accepting (LASTCALL_LOG=debug): new clients are refused. */
UNUSED_ static void is_hidden(struct child *c, long port)
{
    char line[64];
    snprintf(line, sizeof line, "lastcall[%d] debug: accept stopped accept_stop=so_bindtoifindex", (int)c->pid);
    child_logs(c, "stderr", line);
    int err = try_connect(AF_INET, port);
    CHECK(err == -ECONNREFUSED, "%d", err);
}

/* It stops accepting in this way (LASTCALL_LOG=debug), if a process that has just been exec'd shows what it is within
 * the second for which it is waited for. */
UNUSED_ static void closes_if_in_time(struct child *c, const char *how)
{
    char line[64];
    snprintf(line, sizeof line, "lastcall[%d] debug: accept stopped accept_stop=", (int)c->pid);
    child_logs(c, "stderr", line);
    const char *is = strstr(child_errors(c), line);
    if (strncmp(is + strlen(line), how, strlen(how)) != 0)
        check_again("the process that was exec'd came too late: %.40s", is);
}

/* Its parent must say that it is gone, and how. */
UNUSED_ static void gone_by(struct child *c, pid_t pid, int how)
{
    int got[2];
    const char *said = child_says(c, "gone");
    CHECK(sscanf(said, "%d %d", &got[0], &got[1]) == 2 && got[0] == pid && got[1] == how, "gone %s, not %d %d", said,
          (int)pid, how);
}

UNUSED_ static void adopt_orphans(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

static bool orphan_is_gone(void *arg)
{
    int *pid_and_status = arg;
    return waitpid(pid_and_status[0], &pid_and_status[1], WNOHANG) == pid_and_status[0];
}

/* Waits for the end of a process whose parent has died; returns its status. */
UNUSED_ static int orphan_wait(pid_t pid)
{
    int pid_and_status[2] = {pid, 0};
    CHECK(await(orphan_is_gone, pid_and_status), "%d does not end", (int)pid);
    return pid_and_status[1];
}

static bool drains_with_its_group(void *arg)
{
    void **a = arg;
    char line[64];
    snprintf(line, sizeof line, "lastcall[%d] debug: drains with its group", *(pid_t *)a[1]);
    return strstr(child_errors(a[0]), line) != NULL;
}

/* Wait until this process says that it drains since its group does (LASTCALL_LOG=debug). */
UNUSED_ static void drains_too(struct child *c, pid_t pid)
{
    void *a[] = {c, &pid};
    CHECK(await(drains_with_its_group, a), "%d does not drain: %s", (int)pid, child_errors(c));
}

UNUSED_ static int times(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* The one report says that so many processes have ended so. */
UNUSED_ static void reports(struct child *c, int processes, const char *how)
{
    char word[64];
    snprintf(word, sizeof word, "\"end\":\"%s\",\"in_flight\"",
             how);           /* of a process; that of the drain has other fields behind it */
    report_number(c, "pid"); /* there is exactly one */
    CHECK(times(child_file(c, "report"), word) == processes, "not %d times %s: %s", processes, word,
          child_file(c, "report"));
}

/* It ended by TERM, with everything served. */
UNUSED_ static void all_drained(struct child *c, int processes, int in_flight)
{
    child_dies(c, SIGTERM);
    CHECK(report_says(c, "end", "drained") && report_number(c, "aborted") == 0, "%s", child_file(c, "report"));
    CHECK(report_number(c, "in_flight") == in_flight, "%s", child_file(c, "report"));
    if (processes > 1)
        reports(c, processes, "drained");
    else
        CHECK(!strstr(child_file(c, "report"), "\"processes\""), "%s", child_file(c, "report"));
}

#endif
