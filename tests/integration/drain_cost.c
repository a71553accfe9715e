/* drain_cost.c: what a drain does for each of thousands of connections grows with their number and no faster, and waits for no
 * connection by itself. Work is counted, not timed: how often the process went to sleep. */
#include "seccomp_fault.h"

#include <signal.h>
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

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"drain-cost/unseen-connections", unseen_connections_are_waited_for_at_once},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"unseen", unseen}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
