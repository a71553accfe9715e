/* group_shared_queue.c: an accept queue that all workers hold, and of which only one is woken (a mutex around accept):
 * the others, who wait for it to be empty, hear that it is. (The explorer of tests/explore found that they did not.) */
#include "workers.h"

static volatile sig_atomic_t turns;

static void take_turn(int sig)
{
    (void)sig;
    turns++;
}

/* A worker that accepts only when it is its turn: SIGUSR2. */
static void wait_for_turns(int l)
{
    sigset_t block, old;
    signal(SIGUSR2, take_turn);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, &old);
    say("worker %d", (int)getpid());
    for (;;) {
        while (turns == 0)
            sigsuspend(&old);
        turns--;
        int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            role_serve(fd);
    }
}

/* master: two of them, at a listener whose clients count only once they have spoken. */
static int master(char **args)
{
    int l = role_listen(), seconds = 10;
    (void)args;
    CHECK(setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds) == 0);
    for (int i = 0; i < 2; i++)
        if (fork_worker(0) == 0)
            wait_for_turns(l);
    be_the_master();
}

/* blocked: two that block in accept, so that they hold the listener whatever becomes of its number. */
static int blocked(char **args)
{
    int l = role_listen();
    (void)args;
    for (int i = 0; i < 2; i++)
        if (fork_worker(0) == 0) {
            say("worker %d", (int)getpid());
            for (;;) {
                int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                    role_serve(fd);
            }
        }
    be_the_master();
}

static void emptied_by_another(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_LOG=debug"}};
    child_start(&c, &s, "master", NULL);
    long port = child_says_number(&c, "port");
    pid_t busy = next_worker(&c), other = next_worker(&c);

    kill(other, SIGUSR2);
    int fd = client_connect(port);
    client_get(fd, "/");
    client_expect(fd, "hello", false);
    close(fd);
    kill(busy, SIGUSR2);
    fd = client_connect(port);
    client_get(fd, "/hold");
    child_says(&c, "held");

    int late = client_connect(port); /* and says nothing yet: the drain does not wait for it for long */
    child_signal(&c, SIGTERM);
    drains_too(&c, busy);
    drains_too(&c, other);
    is_hidden(&c, port);
    client_get(late, "/");
    kill(busy, SIGUSR1);
    client_expect(fd, "done", true);
    close(fd);
    given_time(busy, 100); /* it has looked, and waits for the queue */
    double at = now_s();
    kill(other, SIGUSR2);
    client_expect(late, "hello", true);
    close(late);
    child_dies(&c, SIGTERM);
    took("the end", at);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

/* Each process of the group has the listener, and the master never accepts: a successor can have the port
 * nevertheless. */
static void port_is_free(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    child_start(&c, &s, "blocked", NULL);
    long port = child_says_number(&c, "port");
    pid_t worker[2];
    for (int i = 0; i < 2; i++)
        worker[i] = next_worker(&c);
    int fd = client_connect(port);
    client_get(fd, "/hold");
    child_says(&c, "held");
    CHECK(successor_at(port) < 0, "the port was never taken");
    child_signal(&c, SIGTERM);
    int next = await_successor(port);
    is_served_by(next, port);
    for (int i = 0; i < 2; i++)
        kill(worker[i], SIGUSR1);
    client_expect(fd, "done", true);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
    is_served_by(next, port);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {{"group/shared-queue/emptied-by-another", emptied_by_another},
                                              {"group/shared-queue/port-is-free", port_is_free},
                                              {NULL, NULL}};
    static const struct check_role roles[] = {{"master", master}, {"blocked", blocked}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
