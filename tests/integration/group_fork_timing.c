/* group_fork_timing.c: processes that are made at an awkward moment, or in an awkward way: a child for each connection,
 * a child in the middle of a drain, workers and successors that come by exec. */
#include "workers.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

static const struct setup talking = {.env = {"LASTCALL_LOG=debug"}};
static const struct setup patient = {.env = {"LASTCALL_LOG=debug", "LASTCALL_IDLE=60s"}};

/* ---- a server that is told when to fork ---- */

static int wake[2]; /* one byte for each "go" */

static void wait_for_go(void)
{
    char byte;
    CHECK(read(wake[0], &byte, 1) == 1);
}

static int kept = -1;

/* accept: a child for one connection, which reads it at once ("accept"), or when it may go ("late", "keep", "polled");
 * the parent closes it, or not yet ("keep", "polled"). "polled": the child has waited for the request to come. */
static void accept_and_fork(int l, const char *how)
{
    int fd = next_client(l);
    if (fork_worker(0) == 0) {
        close(l);
        struct pollfd p = {fd, POLLIN, 0};
        if (strcmp(how, "polled") == 0)
            poll(&p, 1, -1);
        if (strcmp(how, "accept") != 0) {
            say("forked %d", (int)getpid());
            wait_for_go();
        }
        role_serve(fd);
        _exit(0);
    }
    if (strcmp(how, "keep") == 0 || strcmp(how, "polled") == 0)
        kept = fd;
    else
        close(fd);
}

static void wait_for_a_client(int l, const char *how)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct pollfd p = {l, POLLIN, 0};
    fd_set set;
    if (strcmp(how, "poll") == 0) {
        poll(&p, 1, -1);
    } else if (strcmp(how, "epoll_wait") == 0) {
        int ep = epoll_create1(EPOLL_CLOEXEC);
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0);
        epoll_wait(ep, &e, 1, -1);
    } else if (strcmp(how, "select") == 0) {
        FD_ZERO(&set);
        FD_SET(l, &set);
        select(l + 1, &set, NULL, NULL, NULL);
    } else if (strcmp(how, "accept") == 0) {
        role_serve(accept(l, NULL, NULL));
    }
}

/* A child that waits in this way, and goes when it may. */
static void fork_and_wait(int l, const char *how)
{
    if (fork_worker(0) == 0) {
        say("forked %d", (int)getpid());
        wait_for_a_client(l, how);
        wait_for_go();
        _exit(0);
    }
}

/* forker: does as it is told, by words on its standard input. */
static int forker(char **args)
{
    char line[64];
    int l = role_listen();
    (void)args;
    CHECK(pipe2(wake, O_CLOEXEC) == 0);
    be_a_worker();
    while (hear(line, sizeof line))
        if (strcmp(line, "go") == 0)
            CHECK(write(wake[1], "x", 1) == 1);
        else if (strcmp(line, "close") == 0)
            close(kept);
        else if (strncmp(line, "wait ", 5) == 0)
            fork_and_wait(l, line + 5);
        else
            accept_and_fork(l, line);
    return 0;
}

enum { STORM = 100 };

static volatile bool storms = true;

/* They die before they are anything to the group. */
static void *make_children(void *unused)
{
    while (storms) {
        pid_t pid = fork();
        if (pid == 0)
            kill(getpid(), SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return unused;
}

/* storm: has many listeners, and a thread that makes one child after another; when told so, serves who has come. */
static int storm(char **args)
{
    char line[64];
    int l[STORM], fd;
    pthread_t thread;
    (void)args;
    for (int i = 0; i < STORM; i++)
        CHECK(fcntl(l[i] = role_listen(), F_SETFL, O_NONBLOCK) == 0);
    CHECK(pthread_create(&thread, NULL, make_children, NULL) == 0);
    hear(line, sizeof line);
    storms = false;
    for (int i = 0; i < STORM; i++)
        while ((fd = accept4(l[i], NULL, NULL, SOCK_CLOEXEC)) >= 0)
            role_serve(fd);
    role_pause();
    return 0;
}

/* ---- a child for each connection ---- */

/* TERM comes when the child has not yet read its request. */
static void late_reader(const char *how, bool to_all)
{
    struct child c;
    child_start(&c, &patient, "forker", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_tell(&c, how);
    pid_t pid = (pid_t)child_says_number(&c, "forked");
    child_signal(&c, SIGTERM);
    if (to_all)
        kill(pid, SIGTERM);
    child_drains(&c);
    given_time(c.pid, 100);
    if (strcmp(how, "late") != 0)
        child_tell(&c, "close");
    given_time(c.pid, 100);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static void late_reader_to_the_parent(void)
{
    late_reader("late", false);
}

static void late_reader_to_all(void)
{
    late_reader("late", true);
}

/* Nor has its parent closed it yet. */
static void held_by_both_to_the_parent(void)
{
    late_reader("keep", false);
}

static void held_by_both_to_all(void)
{
    late_reader("keep", true);
}

static void polled_to_the_parent(void)
{
    late_reader("polled", false);
}

/* A child that is made just when it is looked who holds the listeners makes no process external: all listeners are
 * closed. */
static void made_in_the_look(void)
{
    struct child c;
    int fd[STORM];
    long port[STORM];
    child_start(&c, &talking, "storm", NULL);
    for (int i = 0; i < STORM; i++) {
        port[i] = child_says_number(&c, "port");
        client_get(fd[i] = client_connect(port[i]), "/");
    }
    child_signal(&c, SIGTERM);
    for (int i = 0; i < STORM; i++)
        CHECK(await(refuses_clients, &port[i]), "listener %d of %d is left open", i, STORM);
    child_tell(&c, "go");
    for (int i = 0; i < STORM; i++) {
        client_expect(fd[i], "hello", true);
        close(fd[i]);
    }
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex") && report_number(&c, "aborted") == 0, "%s",
          child_file(&c, "report"));
}

static void polled_to_all(void)
{
    late_reader("polled", true);
}

/* The connection waits in the accept queue when TERM comes. (It is kept for LASTCALL_IDLE until the child reads it.) */
static void accepted_late(void)
{
    struct child c;
    child_start(&c, &patient, "forker", NULL);
    long port = child_says_number(&c, "port");
    int fd = client_connect(port);
    client_get(fd, "/hold");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "accept");
    pid_t holder = (pid_t)child_says_number(&c, "held");
    is_hidden(&c, port);
    drains_too(&c, holder);
    poll(NULL, 0, 300); /* longer than a pre-exec child is waited for */
    finish(fd, holder, true);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_says(&c, "accept_stop", "so_bindtoifindex") &&
              report_number(&c, "aborted") == 0,
          "%s", child_file(&c, "report"));
    /* The child may have gone when the report is made, or be about to. */
    const char *report = child_file(&c, "report");
    CHECK(times(report, "\"end\":\"drained\",\"in_flight\"") + times(report, "\"end\":\"exit\",\"in_flight\"") == 2,
          "%s", report);
}

/* ---- a child grows up by what it waits for ---- */

static const char *const waits[] = {"accept", "poll", "epoll_wait", "select"};

/* A child that is forked in a drain takes part in it a moment later; an answer that is quicker says no close option. */
static void served_by_the_child(int fd)
{
    struct answer a;
    client_answer(fd, &a);
    CHECK(a.whole && strcmp(a.body, "hello") == 0, "status %d", a.status);
    if (!a.close)
        check_again("the answer came before the child took part in the drain");
}

static void grows_up(const char *how, bool before)
{
    struct child c;
    char line[32];
    snprintf(line, sizeof line, "wait %s", how);
    child_start(&c, &talking, "forker", NULL);
    long port = child_says_number(&c, "port");
    pid_t pid = 0;
    if (before) {
        child_tell(&c, line);
        pid = (pid_t)child_says_number(&c, "forked");
        CHECK(await(sleeps, &pid));
    }
    int queued = client_connect(port); /* keeps the drain from its end */
    client_get(queued, "/");
    if (before && strcmp(how, "accept") == 0)
        client_expect(queued, "hello", false);
    child_signal(&c, SIGTERM);
    if (!before) {
        child_drains(&c);
        child_tell(&c, line);
        pid = (pid_t)child_says_number(&c, "forked");
    }
    drains_too(&c, pid);
    if (strcmp(how, "accept") != 0)
        child_tell(&c, "accept");
    if (!before || strcmp(how, "accept") != 0)
        served_by_the_child(queued);
    close(queued);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

static void grows_up_before(void)
{
    for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++)
        grows_up(waits[i], true);
}

static void grows_up_in_the_drain(void)
{
    for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++)
        grows_up(waits[i], false);
}

/* ---- by exec ---- */

enum { CHANNEL = 3 };

/* As libuv does it where io_uring tells epoll what to wait for. */
static void wait_unseen(int l)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    CHECK(ep >= 0 && listen(l, 16) == 0);
    call_unseen(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, l, &event);
    epoll_wait(ep, &event, 1, -1);
}

/* joined LISTENER|channel [unseen|late]: accepts; late: once it is told to. */
static int joined(char **args)
{
    int l = strcmp(args[0], "channel") == 0 ? passed(CHANNEL) : atoi(args[0]);
    be_a_worker();
    say("joined %d", (int)getpid());
    if (args[1] && strcmp(args[1], "unseen") == 0)
        wait_unseen(l);
    char line[16];
    if (args[1] && strcmp(args[1], "late") == 0)
        hear(line, sizeof line);
    serve_all(l);
    return 0;
}

static void exec_joined(int l, int channel, const char *how)
{
    char number[16];
    snprintf(number, sizeof number, "%d", l);
    CHECK(fcntl(l, F_SETFD, 0) == 0);
    if (strcmp(how, "no-variable") == 0) { /* no hook sees this exec */
        char *words[] = {"child", "joined", number, (char *)how, NULL};
        call_unseen(SYS_execve, (long)"/proc/self/exe", (long)words, (long)environ, NULL);
    }
    if (strcmp(how, "closed") == 0)
        close_unseen(find_group_memory());
    if (strcmp(how, "sent") == 0) {
        CHECK(dup2(channel, CHANNEL) == CHANNEL);
        close(l);
        snprintf(number, sizeof number, "channel");
    }
    execl("/proc/self/exe", "child", "joined", number, how, (char *)NULL);
    _exit(1);
}

/* execs HOW: a master whose one worker comes by exec; "successor": a server that serves on beside it; "late": a worker
 * that starts, beside one that was forked. */
static int execs(char **args)
{
    int l = role_listen(), channel[2];
    bool successor = strcmp(args[0], "successor") == 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    if (successor) {
        be_a_worker();
        role_serve(next_client(l));
    }
    if (strncmp(args[0], "late", 4) == 0)
        start_worker(l, 0);
    if (strcmp(args[0], "late-vfork") == 0) {
        CHECK(fcntl(l, F_SETFD, 0) == 0);
        pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): as python's subprocess does */
        if (pid == 0)
            exec_joined(l, -1, "late"); /* NOLINT(clang-analyzer-unix.Vfork): it formats a number */
        workers.pid[workers.count++] = pid;
        be_the_master();
    }
    if (fork_worker(successor ? WORKER_OUTLIVES : 0) == 0)
        exec_joined(l, channel[1], args[0]);
    if (strcmp(args[0], "sent") == 0)
        pass(channel[0], l);
    if (successor)
        serve_all(l);
    be_the_master();
}

/* becomes: a master that becomes itself anew at "exec" (haproxy -W), and then, for long, has no use for a socket. */
static int becomes(char **args)
{
    char line[16];
    (void)args;
    start_worker(role_listen(), 0);
    hear(line, sizeof line);
    execl("/proc/self/exe", "child", "anew", (char *)NULL);
    return 1;
}

static int anew(char **args)
{
    (void)args;
    say("anew");
    role_pause();
}

/* The master's end would be that of its workers. */
static void master_becomes_anew(void)
{
    struct child c;
    pid_t worker;
    child_start(&c, &talking, "becomes", NULL);
    long port = child_says_number(&c, "port");
    next_worker(&c);
    int fd = hold_one(&c, port, &worker);
    child_tell(&c, "exec");
    child_says(&c, "anew");
    child_signal(&c, SIGTERM);
    drains_too(&c, worker);
    given_time(c.pid, 100);
    finish(fd, worker, true);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static void exec_worker(const char *how)
{
    struct child c;
    pid_t holder;
    child_start(&c, &talking, "execs", how, NULL);
    long port = child_says_number(&c, "port");
    pid_t worker = (pid_t)child_says_number(&c, "joined");
    int fd = hold_one(&c, port, &holder);
    CHECK(holder == worker);
    child_signal(&c, SIGTERM);
    drains_too(&c, worker);
    given_time(worker, 100);
    given_time(c.pid, 100);
    CHECK(!child_said(&c, "gone"), "the worker was killed");
    is_hidden(&c, port);
    finish(fd, holder, true);
    gone_by(&c, worker, SIGTERM);
    all_drained(&c, 2, 1);
    CHECK(!strstr(child_errors(&c), "names no group"), "%s", child_errors(&c));
}

static void exec_worker_inherits(void)
{
    exec_worker("inherited");
}

static void exec_worker_is_sent(void)
{
    exec_worker("sent");
}

static void exec_worker_without_variable(void)
{
    exec_worker("no-variable");
}

static void exec_worker_without_descriptor(void)
{
    exec_worker("closed");
}

/* It has taken no connection yet, and what it waits for is not seen: that it listens on what it was given is enough. */
static void exec_worker_waits_unseen(void)
{
    struct child c;
    child_start(&c, &talking, "execs", "unseen", NULL);
    child_says_number(&c, "port");
    pid_t worker = (pid_t)child_says_number(&c, "joined");
    CHECK(await(sleeps, &worker));
    child_signal(&c, SIGTERM);
    drains_too(&c, worker);
    gone_by(&c, worker, SIGTERM);
    all_drained(&c, 2, 0);
}

/* It was exec'd and still starts when the drain begins: the listener accepts for it until it shows whether it is a
 * member. */
static void worker_starts(const char *how)
{
    struct child c;
    pid_t holder;
    child_start(&c, &talking, "execs", how, NULL);
    long port = child_says_number(&c, "port");
    pid_t forked = next_worker(&c), late = (pid_t)child_says_number(&c, "joined");
    int fd = hold_one(&c, port, &holder);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    poll(NULL, 0,
         200); /* it takes its time: the others have looked who holds the listener, and go on looking for a second */
    child_tell(&c, "go");
    drains_too(&c, late);
    closes_if_in_time(&c, "so_bindtoifindex");
    is_hidden(&c, port);
    CHECK(holder == forked);
    finish(fd, holder, true);
    child_dies(&c, SIGTERM);
    reports(&c, 3, "drained");
    CHECK(report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static void exec_worker_starts(void)
{
    worker_starts("late");
}

static void vfork_worker_starts(void)
{
    worker_starts("late-vfork");
}

/* It shows that when the others have given it up, and left the listener to it: clients in the queue are served. */
static void exec_worker_starts_too_late(void)
{
    enum { QUEUED = 20 };
    struct child c;
    pid_t holder;
    char line[64];
    int fd[QUEUED];
    child_start(&c, &talking, "execs", "late", NULL);
    long port = child_says_number(&c, "port");
    pid_t forked = next_worker(&c), late = (pid_t)child_says_number(&c, "joined");
    int held = hold_one(&c, port, &holder);
    child_signal(&c, SIGTERM);
    snprintf(line, sizeof line, "lastcall[%d] debug: accept stopped accept_stop=left_to_others", (int)forked);
    child_logs(&c, "stderr", line);
    given_time(forked, 0); /* it has let go of the listener */
    for (int i = 0; i < QUEUED; i++)
        client_get(fd[i] = client_connect(port), "/");
    child_tell(&c, "go");
    for (int i = 0; i < QUEUED; i++) {
        struct answer a;
        client_answer(fd[i], &a);
        CHECK(a.whole && strcmp(a.body, "hello") == 0, "%d: status %d; %s", i, a.status, child_errors(&c));
        close(fd[i]);
    }
    drains_too(&c, late);
    finish(held, holder, true);
    child_dies(&c, SIGTERM);
    reports(&c, 3, "drained");
    CHECK(report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static void successor(void)
{
    struct child c;
    pid_t holder;
    int fd;
    adopt_orphans();
    child_start(&c, &talking, "execs", "successor", NULL);
    long port = child_says_number(&c, "port");
    goes_on(port, 1);
    pid_t successor_pid = (pid_t)child_says_number(&c, "joined");
    CHECK(await(sleeps, &successor_pid));
    while (fd = hold_one(&c, port, &holder), holder != c.pid)
        finish(fd, successor_pid, false);
    goes_on(port, 3);
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "accept stopped accept_stop=left_to_others");
    given_time(c.pid, 0); /* it has let go of the listener */
    goes_on(port, 10);
    finish(fd, c.pid, true);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_says(&c, "accept_stop", "left_to_others"), "%s",
          child_file(&c, "report"));
    CHECK(!strstr(child_file(&c, "report"), "\"processes\""), "%s", child_file(&c, "report"));
    goes_on(port, 10);
    CHECK(kill(successor_pid, SIGTERM) == 0);
    int status = orphan_wait(successor_pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %x", status);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/fork-per-connection/late-reader", late_reader_to_the_parent},
        {"group/fork-per-connection/late-reader-all", late_reader_to_all},
        {"group/fork-per-connection/held-by-both", held_by_both_to_the_parent},
        {"group/fork-per-connection/held-by-both-all", held_by_both_to_all},
        {"group/fork-per-connection/polled", polled_to_the_parent},
        {"group/fork-per-connection/polled-all", polled_to_all},
        {"group/fork-per-connection/accepted-late", accepted_late},
        {"group/made-in-the-look", made_in_the_look},
        {"group/grows-up/in-service", grows_up_before},
        {"group/grows-up/in-the-drain", grows_up_in_the_drain},
        {"group/exec/master-becomes-anew", master_becomes_anew},
        {"group/exec/listener-inherited", exec_worker_inherits},
        {"group/exec/listener-sent", exec_worker_is_sent},
        {"group/exec/no-variable", exec_worker_without_variable},
        {"group/exec/descriptor-closed", exec_worker_without_descriptor},
        {"group/exec/waits-unseen", exec_worker_waits_unseen},
        {"group/exec/starts", exec_worker_starts},
        {"group/exec/starts-by-vfork", vfork_worker_starts},
        {"group/exec/starts-too-late", exec_worker_starts_too_late},
        {"group/exec/successor", successor},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"forker", forker}, {"storm", storm},     {"joined", joined},
                                              {"execs", execs},   {"becomes", becomes}, {"anew", anew},
                                              {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
