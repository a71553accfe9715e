/* group_adversity.c: a worker that its parent can hardly reach, or that lacks what others have, while its group drains:
 * it runs under another user, sees no /proc, lives in a PID namespace of its own, may make no thread. */
#include "forbid.h"
#include "workers.h"

#include <sys/wait.h>

static void leave(int sig)
{
    _exit(100 + sig);
}

/* ---- what becomes of a worker before it serves ---- */

static void change_user(void)
{
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
        say("no-setuid %s", strerror(errno));
}

static void change_root(void)
{
    char path[] = "/tmp/lastcall-root.XXXXXX";
    if (!mkdtemp(path) || chdir(path) != 0 || rmdir(path) != 0 || chroot(".") != 0)
        say("no-chroot %s", strerror(errno));
}

static void change_both(void)
{
    change_root();
    change_user();
}

/* As PID 1: a TERM without a handler would not reach it. */
static void be_init(void)
{
    signal(SIGTERM, leave);
}

static void make_no_thread(void)
{
    forbid_clone(false);
}

static void nothing(void)
{
}

static const struct hardship {
    const char *name;
    void (*in_worker)(void);
    bool namespace; /* the parent's children live in one below */
    bool in_parent; /* it makes no thread either */
} hardships[] = {{"uid", change_user, false, false},
                 {"chroot", change_root, false, false},
                 {"uid-chroot", change_both, false, false},
                 {"namespace", be_init, true, false},
                 {"no-clone", make_no_thread, false, false},
                 {"no-clone-parent", nothing, false, true},
                 {"no-clone-anywhere", make_no_thread, false, true},
                 {NULL, NULL, false, false}};

/* master HARDSHIP [outlive]: a worker that has it, and one that has not, but in a namespace, or if it is to outlive. */
static int master(char **args)
{
    const struct hardship *h = hardships;
    int l = role_listen(), ready[2];
    unsigned flags = args[1] ? WORKER_OUTLIVES : 0;
    char byte;
    while (strcmp(h->name, args[0]) != 0)
        h++;
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    if (!h->namespace && !args[1])
        start_worker(l, 0);
    if (h->namespace && unshare(CLONE_NEWPID) != 0)
        say("no-namespace %s", strerror(errno));
    pid_t pid = fork_worker(flags);
    if (pid == 0) {
        h->in_worker();
        CHECK(write(ready[1], "x", 1) == 1);
        serve_all(l);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    say("worker %d", (int)pid);
    if (h->in_parent)
        forbid_clone(false);
    be_the_master();
}

struct group {
    struct child c;
    long port;
    pid_t worker, sibling; /* the one with the hardship; 0: there is no other */
};

static void start_group(struct group *g, const char *hardship, const char *how)
{
    static const struct setup talking = {.env = {"LASTCALL_LOG=debug", "LASTCALL_IDLE=300ms"}};
    if (geteuid() != 0)
        check_skip("only root can");
    memset(g, 0, sizeof *g);
    child_start(&g->c, &talking, "master", hardship, how, NULL);
    g->port = child_says_number(&g->c, "port");
    if (strcmp(hardship, "namespace") != 0 && !how)
        g->sibling = next_worker(&g->c);
    g->worker = next_worker(&g->c);
    child_says(&g->c, "ready");
    if (strstr(child_output(&g->c), "no-"))
        check_skip(child_output(&g->c));
}

/* A request is held by it, and one by its sibling: fd[0] and fd[1]. Its pid may be another one to itself. */
static void hold_both(struct group *g, int fd[2])
{
    pid_t holder;
    fd[0] = fd[1] = -1;
    for (int i = 0; i < (g->sibling ? 2 : 1); i++) {
        int got = hold_one(&g->c, g->port, &holder);
        fd[holder == g->sibling] = got;
    }
}

static void ends_well(struct group *g, int fd[2], double since)
{
    finish(fd[0], g->worker, true);
    if (g->sibling)
        finish(fd[1], g->sibling, true);
    child_dies(&g->c, SIGTERM);
    took("from TERM to the end", since);
    /* A participant whose coordinator is silent for some seconds drains by itself, and reports that. */
    if (times(child_file(&g->c, "report"), "\"event\":\"drain\"") > 1)
        check_again("a worker was not reached in time: %s", child_file(&g->c, "report"));
    CHECK(report_says(&g->c, "end", "drained") && report_number(&g->c, "aborted") == 0, "%s",
          child_file(&g->c, "report"));
    CHECK(report_number(&g->c, "in_flight") == (g->sibling ? 2 : 1), "%s", child_file(&g->c, "report"));
    reports(&g->c, g->sibling ? 3 : 2, "drained");
}

/* TERM to the parent alone; then, to all of them at once. */
static void drains(const char *hardship, bool to_all)
{
    struct group g;
    int fd[2];
    start_group(&g, hardship, NULL);
    hold_both(&g, fd);
    double at = now_s();
    child_signal(&g.c, SIGTERM);
    if (to_all) {
        kill(g.worker, SIGTERM);
        if (g.sibling)
            kill(g.sibling, SIGTERM);
    }
    child_drains(&g.c);
    given_time(g.worker, 100);
    given_time(g.c.pid, 100);
    CHECK(!child_said(&g.c, "gone"), "%s: a worker was killed", hardship);
    ends_well(&g, fd, at);
}

/* It works for nobody but itself when it is killed in the middle: the parent must notice. */
static void is_killed(const char *hardship)
{
    struct group g;
    int fd[2];
    start_group(&g, hardship, NULL);
    hold_both(&g, fd);
    child_signal(&g.c, SIGTERM);
    child_drains(&g.c);
    given_time(g.worker, 100);
    given_time(g.c.pid, 50);
    CHECK(kill(g.worker, SIGKILL) == 0);
    close(fd[0]);
    if (g.sibling)
        finish(fd[1], g.sibling, true);
    double at = now_s();
    child_dies(&g.c, SIGTERM);
    took("the end", at);
    CHECK(report_says(&g.c, "end", "drained") && report_number(&g.c, "aborted") == 1, "%s", child_file(&g.c, "report"));
    reports(&g.c, 1, "killed");
}

/* Without /proc, it knows its parent all the same, and hears of its death. */
static void parent_killed(void)
{
    struct group g;
    int fd[2];
    adopt_orphans();
    start_group(&g, "chroot", "outlive");
    hold_both(&g, fd);
    child_signal(&g.c, SIGTERM);
    drains_too(&g.c, g.worker);
    child_signal(&g.c, SIGKILL);
    child_dies(&g.c, SIGKILL);
    finish(fd[0], g.worker, true);
    int status = orphan_wait(g.worker);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %x", status);
}

#define TEST(name, hardship)     \
    static void name(void)       \
    {                            \
        drains(hardship, false); \
        drains(hardship, true);  \
        is_killed(hardship);     \
    }
TEST(other_uid, "uid")
TEST(no_proc, "chroot")
TEST(other_uid_no_proc, "uid-chroot")
TEST(pid_namespace, "namespace")
TEST(no_clone_in_worker, "no-clone")
TEST(no_clone_in_parent, "no-clone-parent")
TEST(no_clone_anywhere, "no-clone-anywhere")

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/other-uid", other_uid},
        {"group/no-proc", no_proc},
        {"group/no-proc/parent-killed", parent_killed},
        {"group/other-uid-no-proc", other_uid_no_proc},
        {"group/pid-namespace", pid_namespace},
        {"group/no-thread/worker", no_clone_in_worker},
        {"group/no-thread/parent", no_clone_in_parent},
        {"group/no-thread/anywhere", no_clone_anywhere},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"master", master}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
