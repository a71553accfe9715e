/* drain_cost.c: what a drain does for each of thousands of connections grows with their number and no faster, and waits
 * for no connection by itself. Work is counted, not timed: how often the process went to sleep. */
#include "forbid.h"
#include "seccomp_fault.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { MANY = 4000 };

static void many_descriptors(void)
{
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    if (r.rlim_max < MANY + 200)
        check_skip("not enough descriptors for thousands of connections");
    r.rlim_cur = MANY + 200;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

/* ---- the sweep -------------------------------------------------------------------------------------------------- */

/* Every connection comes by an accept that no hook sees, and stays open without a word. */
static int unseen(char **args)
{
    (void)args;
    int l = role_listen();
    for (int i = 0; i < MANY; i++)
        call_unseen(SYS_accept4, l, 0, 0, NULL);
    say("accepted");
    role_pause();
}

static void unseen_connections_are_waited_for_at_once(void)
{
    static int fd[MANY];
    struct child c;
    struct fault calls = {.call = FAULT_NONE};
    struct setup s = {.behind = "fault_filter"};
    many_descriptors();
    child_start(&c, &s, "unseen", NULL);
    fault_begin(&calls, &c);
    long port = child_says_number(&c, "port");
    for (int i = 0; i < MANY; i++)
        fd[i] = client_connect(port);
    child_says(&c, "accepted");
    double since = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    fault_end(&calls);
    took("the drain, with its calls counted", since);
    CHECK(report_number(&c, "untracked") == MANY, "%s", child_file(&c, "report"));
    CHECK(calls.seen[SYS_nanosleep] < 100, "it went to sleep %u times", calls.seen[SYS_nanosleep]);
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
}

/* ---- the search for holders -------------------------------------------------------------------------------------- */

enum { SHARED = 300 };

/* A child holds every third connection. The parent reads all of them until they end. */
static int shares(char **args)
{
    static struct pollfd p[SHARED];
    char byte;
    (void)args;
    int l = role_listen();
    for (int i = 0; i < SHARED; i++)
        p[i] = (struct pollfd){accept(l, NULL, NULL), POLLIN, 0};
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(l);
        for (int i = 0; i < SHARED; i++)
            if (i % 3 != 0)
                call_unseen(SYS_close, p[i].fd, 0, 0, NULL);
        say("forked");
        role_pause();
    }
    for (;;) {
        poll(p, SHARED, -1);
        for (int i = 0; i < SHARED; i++)
            if (p[i].fd >= 0 && p[i].revents && read(p[i].fd, &byte, 1) == 0) {
                close(p[i].fd);
                p[i].fd = -1;
            }
    }
}

static void only_what_a_child_holds_stays_shared(void)
{
    int fd[SHARED];
    struct child c;
    child_start(&c, NULL, "shares", NULL);
    long port = child_says_number(&c, "port");
    for (int i = 0; i < SHARED; i++)
        fd[i] = client_connect(port);
    child_says(&c, "forked");
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "idle_closed") == SHARED - SHARED / 3, "%s", child_file(&c, "report"));
    for (int i = 0; i < SHARED; i++)
        close(fd[i]);
}

/* ---- the steps that a thread of the program makes --------------------------------------------------------------- */

/* There can be no other thread (haproxy's worker sets RLIMIT_NPROC to 0), and the answer takes work. */
static int works(char **args)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    char buf[512];
    (void)args;
    int fd = accept(role_listen(), NULL, NULL);
    CHECK(read(fd, buf, sizeof buf) > 0);
    forbid_clone(false);
    say("read");
    for (volatile unsigned n = 0; n < 200000000;)
        n++;
    CHECK(write(fd, response, strlen(response)) == (ssize_t)strlen(response));
    role_pause();
}

static void the_program_works_between_slow_steps(void)
{
    struct child c;
    struct fault late = {.call = SYS_epoll_pwait, .error = FAULT_LATE};
    struct setup s = {.behind = "fault_filter"};
    child_start(&c, &s, "works", NULL);
    fault_begin(&late, &c);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "read");
    if (strstr(child_output(&c), "no-seccomp"))
        check_skip(child_output(&c));
    child_signal(&c, SIGTERM);
    client_expect(fd, "done", true);
    close(fd);
    child_dies(&c, SIGTERM);
    fault_end(&late);
    CHECK(late.meant > 0, "%u slow steps", late.meant);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"drain-cost/unseen-connections", unseen_connections_are_waited_for_at_once},
        {"drain-cost/held-by-a-child", only_what_a_child_holds_stays_shared},
        {"drain-cost/slow-steps", the_program_works_between_slow_steps},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"unseen", unseen}, {"shares", shares}, {"works", works}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
