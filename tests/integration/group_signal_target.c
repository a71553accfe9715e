/* group_signal_target.c: a server of several processes: whom a signal means, who waits for whom, who is killed in the
 * middle. */
#include "workers.h"

/* master N [outlive]: N workers at one listener. */
static int master(char **args)
{
    int l = role_listen();
    for (int i = 0; i < atoi(args[0]); i++)
        start_worker(l, args[1] ? WORKER_OUTLIVES : 0);
    be_the_master();
}

/* generations: two workers, each with a worker of its own; only those accept. */
static int generations(char **args)
{
    (void)args;
    int l = role_listen();
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork_worker(0);
        if (pid == 0) {
            start_worker(l, 0);
            be_the_master();
        }
        say("middle %d", (int)pid);
    }
    be_the_master();
}

struct group {
    struct child c;
    long port;
    pid_t worker[4];
    int workers;
};

static void start_group(struct group *g, const struct setup *s, const char *count, const char *how)
{
    static const struct setup talking = {.env = {"LASTCALL_LOG=debug"}};
    memset(g, 0, sizeof *g);
    child_start(&g->c, s ? s : &talking, "master", count, how, NULL);
    g->port = child_says_number(&g->c, "port");
    g->workers = atoi(count);
    for (int i = 0; i < g->workers; i++)
        g->worker[i] = next_worker(&g->c);
    child_says(&g->c, "ready");
}

/* Returns the port. */
static long start_generations(struct child *c)
{
    static const struct setup talking = {.env = {"LASTCALL_LOG=debug"}};
    child_start(c, &talking, "generations", NULL);
    long port = child_says_number(c, "port");
    next_worker(c);
    next_worker(c);
    return port;
}

static pid_t other(const struct group *g, pid_t pid)
{
    return g->worker[0] == pid ? g->worker[1] : g->worker[0];
}

/* They have the time to do it wrong. */
static void all_given_time(const struct group *g)
{
    given_time(g->c.pid, 200);
    for (int i = 0; i < g->workers; i++)
        given_time(g->worker[i], 0);
}

/* This process says (LASTCALL_LOG=debug) that it has left its listener to the others. */
static void leaves_the_listener(struct child *c, pid_t pid)
{
    char line[64];
    snprintf(line, sizeof line, "lastcall[%d] debug: accept stopped accept_stop=left_to_others", (int)pid);
    child_logs(c, "stderr", line);
}

/* ---- TERM to the parent ---- */

static void to_the_parent(void)
{
    struct group g;
    pid_t holder;
    start_group(&g, NULL, "2", NULL);
    int fd = hold_one(&g.c, g.port, &holder);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, holder);
    all_given_time(&g);
    CHECK(!child_said(&g.c, "gone"), "a worker was killed");
    is_hidden(&g.c, g.port);
    double at = now_s();
    finish(fd, holder, true);
    all_drained(&g.c, 3, 1);
    took("the end", at);
    CHECK(times(child_output(&g.c), "gone") == 2 && times(child_output(&g.c), " 15\n") == 2, "%s", child_output(&g.c));
}

/* A client in the accept queue, whom a worker will have to serve. */
static void with_a_queue(void)
{
    struct group g;
    pid_t holder;
    start_group(&g, NULL, "1", NULL);
    int fd = hold_one(&g.c, g.port, &holder), queued = client_connect(g.port);
    client_get(queued, "/");
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, holder);
    finish(fd, holder, true);
    client_expect(queued, "hello", true);
    close(queued);
    all_drained(&g.c, 2, 1);
}

static void two_generations(void)
{
    struct child c;
    pid_t holder;
    long port = start_generations(&c);
    int fd = hold_one(&c, port, &holder);
    child_signal(&c, SIGTERM);
    drains_too(&c, holder);
    given_time(holder, 200);
    given_time(c.pid, 100);
    CHECK(!child_said(&c, "gone"), "a worker was killed");
    finish(fd, holder, true);
    all_drained(&c, 5, 1);
    CHECK(times(child_output(&c), "gone") == 4 && times(child_output(&c), " 15\n") == 4, "%s", child_output(&c));
}

/* TERM to one of the middle: its own worker drains, the others serve on. */
static void to_the_middle(void)
{
    struct child c;
    pid_t holder, second;
    long port = start_generations(&c);
    int fd = hold_one(&c, port, &holder);
    pid_t middle = (pid_t)atoi(stat_of(holder) + 2);
    CHECK(kill(middle, SIGTERM) == 0);
    drains_too(&c, holder);
    given_time(holder, 100);
    given_time(middle, 100);
    goes_on(port, 3);
    CHECK(!child_said(&c, "gone"), "a worker was killed");
    finish(fd, holder, true);
    gone_by(&c, holder, SIGTERM);
    gone_by(&c, middle, SIGTERM);
    goes_on(port, 3);
    reports(&c, 2, "drained");
    fd = hold_one(&c, port, &second);
    CHECK(second != holder);
    child_signal(&c, SIGTERM);
    drains_too(&c, second);
    finish(fd, second, true);
    child_dies(&c, SIGTERM);
    CHECK(times(child_file(&c, "report"), "\"end\":\"drained\",\"accept_stop\"") == 2, "%s", child_file(&c, "report"));
    CHECK(times(child_file(&c, "report"), "\"end\":\"drained\",\"in_flight\"") == 5, "%s", child_file(&c, "report"));
}

static void second_signal(void)
{
    struct group g;
    pid_t holder;
    start_group(&g, NULL, "2", NULL);
    int fd = hold_one(&g.c, g.port, &holder);
    child_signal(&g.c, SIGTERM);
    child_drains(&g.c);
    poll(NULL, 0, 1050); /* a repeat within a second is the same signal */
    CHECK(!child_said(&g.c, "gone"), "a worker was killed");
    double at = now_s();
    child_signal(&g.c, SIGTERM);
    child_dies(&g.c, SIGTERM);
    took("the end", at);
    CHECK(report_says(&g.c, "end", "second_signal") && report_number(&g.c, "aborted") == 1, "%s",
          child_file(&g.c, "report"));
    CHECK(strstr(child_file(&g.c, "report"), "\"end\":\"second_signal\",\"in_flight\":1"), "%s",
          child_file(&g.c, "report"));
    close(fd);
}

static void deadline(void)
{
    struct group g;
    pid_t holder;
    struct setup s = {.env = {"LASTCALL_TIMEOUT=300ms", "LASTCALL_SHUTDOWN_TIME=0"}};
    char owner[64];
    start_group(&g, &s, "2", NULL);
    int fd = hold_one(&g.c, g.port, &holder);
    double at = now_s();
    child_signal(&g.c, SIGTERM);
    child_dies(&g.c, SIGTERM);
    took_at_least("the end", at, 0.3);
    CHECK(report_says(&g.c, "end", "deadline") && report_number(&g.c, "aborted") == 1, "%s",
          child_file(&g.c, "report"));
    snprintf(owner, sizeof owner, "\"pid\":%d,\"method\":\"GET\"", (int)holder);
    CHECK(strstr(child_file(&g.c, "report"), owner), "no %s: %s", owner, child_file(&g.c, "report"));
    close(fd);
}

/* ---- TERM to one worker ---- */

static void to_one_worker(void)
{
    struct group g;
    pid_t holder;
    start_group(&g, NULL, "2", NULL);
    int fd = hold_one(&g.c, g.port, &holder);
    CHECK(kill(holder, SIGTERM) == 0);
    child_drains(&g.c);
    goes_on(g.port, 3);
    leaves_the_listener(&g.c, holder);
    given_time(holder, 0);
    goes_on(g.port, 10);
    finish(fd, holder, true);
    gone_by(&g.c, holder, SIGTERM);
    CHECK(!strstr(child_file(&g.c, "report"), "\"processes\"") && report_says(&g.c, "accept_stop", "left_to_others"),
          "%s", child_file(&g.c, "report"));
    goes_on(g.port, 10);
    child_signal(&g.c, SIGTERM);
    child_dies(&g.c, SIGTERM);
}

/* TERM to one worker, and to the master when that one has let go of the listener: it ends as it began, alone. Were it
 * to wait for the group, what it holds besides (nginx's accept mutex) would keep the others from those who still stand
 * in the queue, and so the group from its end. */
static void to_one_worker_then_to_the_parent(void)
{
    struct group g;
    pid_t alone, other;
    start_group(&g, NULL, "2", NULL);
    int first = hold_one(&g.c, g.port, &alone), second = hold_one(&g.c, g.port, &other);
    CHECK(alone != other);
    CHECK(kill(alone, SIGTERM) == 0);
    leaves_the_listener(&g.c, alone);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, other);
    is_hidden(&g.c, g.port);
    finish(first, alone, true);
    gone_by(&g.c, alone, SIGTERM);
    all_given_time(&g);
    CHECK(!child_said(&g.c, "gone"), "the other worker is gone");
    finish(second, other, true);
    child_dies(&g.c, SIGTERM);
    CHECK(times(child_file(&g.c, "report"), "\"end\":\"drained\",\"accept_stop\"") == 2, "%s",
          child_file(&g.c, "report"));
    CHECK(times(child_file(&g.c, "report"), "\"aborted\":0") >= 4, "%s", child_file(&g.c, "report"));
}

/* The same with a whole branch: it goes on following its coordinator. */
static void to_the_middle_then_to_the_parent(void)
{
    struct child c;
    pid_t holder, second;
    long port = start_generations(&c);
    int first = hold_one(&c, port, &holder), fd = hold_one(&c, port, &second);
    CHECK(holder != second);
    pid_t middle = (pid_t)atoi(stat_of(holder) + 2);
    CHECK(kill(middle, SIGTERM) == 0);
    leaves_the_listener(&c, middle);
    leaves_the_listener(&c, holder);
    child_signal(&c, SIGTERM);
    drains_too(&c, second);
    given_time(second, 50);
    given_time(holder, 50);
    CHECK(!child_said(&c, "gone"), "a worker was killed");
    finish(first, holder, true);
    gone_by(&c, holder, SIGTERM);
    gone_by(&c, middle, SIGTERM);
    CHECK(!child_said(&c, "gone"), "the other worker is gone");
    finish(fd, second, true);
    child_dies(&c, SIGTERM);
    CHECK(times(child_file(&c, "report"), "\"end\":\"drained\",\"accept_stop\"") == 2, "%s", child_file(&c, "report"));
}

/* One that waits in a blocking accept, and has nothing to do. */
static void to_one_idle_worker(void)
{
    struct group g;
    start_group(&g, NULL, "2", NULL);
    double at = now_s();
    CHECK(kill(g.worker[0], SIGTERM) == 0);
    gone_by(&g.c, g.worker[0], SIGTERM);
    took("the end", at);
    goes_on(g.port, 10);
    child_signal(&g.c, SIGTERM);
    child_dies(&g.c, SIGTERM);
}

/* ---- TERM to all ---- */

static void to_all(bool parent_first, int gap_ms)
{
    struct group g;
    pid_t holder;
    start_group(&g, NULL, "2", NULL);
    int fd = hold_one(&g.c, g.port, &holder), queued = client_connect(g.port);
    client_get(queued, "/");
    pid_t to[3] = {g.c.pid, holder, other(&g, holder)};
    for (int i = 0; i < 3; i++) {
        kill(to[parent_first ? i : 2 - i], SIGTERM);
        poll(NULL, 0, gap_ms);
    }
    child_drains(&g.c);
    client_expect(queued, "hello", false); /* the sibling may have been quicker than its signal */
    close(queued);
    all_given_time(&g);
    CHECK(kill(holder, 0) == 0 && !child_said(&g.c, "gone"), "a worker is gone");
    finish(fd, holder, true);
    child_dies(&g.c, SIGTERM);
    CHECK(report_says(&g.c, "end", "drained") && report_number(&g.c, "aborted") == 0, "%s", child_file(&g.c, "report"));
    reports(&g.c, 3, "drained");
}

static void to_all_parent_first(void)
{
    to_all(true, 0);
    to_all(true, 20);
}

static void to_all_workers_first(void)
{
    to_all(false, 0);
    to_all(false, 20);
}

/* ---- SIGKILL in the middle ---- */

static void worker_killed(void)
{
    struct group g;
    pid_t first, second;
    start_group(&g, NULL, "2", NULL);
    int aborted = hold_one(&g.c, g.port, &first), fd = hold_one(&g.c, g.port, &second);
    CHECK(first != second);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, first);
    CHECK(kill(first, SIGKILL) == 0);
    gone_by(&g.c, first, SIGKILL);
    close(aborted);
    given_time(second, 50);
    given_time(g.c.pid, 50);
    CHECK(!child_said(&g.c, "gone"), "the other worker is gone");
    finish(fd, second, true);
    child_dies(&g.c, SIGTERM);
    CHECK(report_says(&g.c, "end", "drained") && report_number(&g.c, "aborted") == 1, "%s", child_file(&g.c, "report"));
    reports(&g.c, 1, "killed");
    reports(&g.c, 2, "drained");
}

/* The last of them: nobody will say that it is done. */
static void all_workers_killed(void)
{
    struct group g;
    pid_t first, second;
    start_group(&g, NULL, "2", NULL);
    hold_one(&g.c, g.port, &first);
    hold_one(&g.c, g.port, &second);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, first);
    drains_too(&g.c, second);
    double at = now_s();
    CHECK(kill(first, SIGKILL) == 0 && kill(second, SIGKILL) == 0);
    child_dies(&g.c, SIGTERM);
    took("the end", at);
    CHECK(report_number(&g.c, "aborted") == 2, "%s", child_file(&g.c, "report"));
    reports(&g.c, 2, "killed");
}

static void parent_killed(void)
{
    struct group g;
    pid_t holder;
    adopt_orphans();
    start_group(&g, NULL, "2", "outlive");
    int fd = hold_one(&g.c, g.port, &holder);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, g.worker[0]);
    drains_too(&g.c, g.worker[1]);
    child_signal(&g.c, SIGKILL);
    child_dies(&g.c, SIGKILL);
    given_time(holder, 200);
    CHECK(kill(holder, 0) == 0 && waitpid(holder, NULL, WNOHANG) == 0, "the worker is gone");
    finish(fd, holder, true);
    for (int i = 0; i < 2; i++) {
        int status = orphan_wait(g.worker[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %x", status);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/to-the-parent", to_the_parent},
        {"group/to-the-parent/queue", with_a_queue},
        {"group/to-the-parent/two-generations", two_generations},
        {"group/to-the-parent/second-signal", second_signal},
        {"group/to-the-parent/deadline", deadline},
        {"group/to-the-middle", to_the_middle},
        {"group/to-one-worker", to_one_worker},
        {"group/to-one-worker/idle", to_one_idle_worker},
        {"group/to-one-worker/then-to-the-parent", to_one_worker_then_to_the_parent},
        {"group/to-the-middle/then-to-the-parent", to_the_middle_then_to_the_parent},
        {"group/to-all/parent-first", to_all_parent_first},
        {"group/to-all/workers-first", to_all_workers_first},
        {"group/killed/worker", worker_killed},
        {"group/killed/all-workers", all_workers_killed},
        {"group/killed/parent", parent_killed},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"master", master}, {"generations", generations}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
