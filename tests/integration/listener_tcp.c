/* listener_tcp.c: TCP listeners: closed to new clients without losing one who stands in the queue. */
#include "loop_server.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { QUEUED = 64 };

/* AF_INET and AF_INET6, as words of a row. */
#define INET  "2"
#define INET6 "10"

/* ---- roles ---- */

static int listener_like(const char *how)
{
    int secs = 5;
    if (strcmp(how, "inherited") == 0)
        return 3;
    bool six = strcmp(how, "dual") == 0;
    tcp_kind = strcmp(how, "mptcp") == 0 ? IPPROTO_MPTCP : 0;
    int l = listener_at(six ? AF_INET6 : AF_INET, 0, six, strcmp(how, "group") == 0);
    if (strcmp(how, "deferred") == 0)
        CHECK(setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &secs, sizeof secs) == 0);
    return l;
}

/* loop KIND LISTENER wait|now: an event loop. */
static int loop_role(char **args)
{
    int l[2], n = 1;
    l[0] = listener_like(args[1]);
    say("port %ld", port_of(l[0]));
    if (strcmp(args[1], "group") == 0)
        l[n++] = listener_at(AF_INET, port_of(l[0]), false, true);
    loop_serve(args[0], l, n, strcmp(args[2], "now") == 0);
}

/* ports A B: an event loop on two given ports. */
static int ports_role(char **args)
{
    int l[2];
    for (int i = 0; i < 2; i++)
        l[i] = listener_at(AF_INET, atol(args[i]), false, false);
    loop_serve("epoll", l, 2, true);
}

/* block LISTENER wait|now: threads that block in accept and recv; "wait": only after a line. */
static int block_role(char **args)
{
    char line[64];
    int l = listener_like(args[0]);
    say("port %ld", port_of(l));
    say("ready");
    if (strcmp(args[1], "wait") == 0)
        hear(line, sizeof line);
    role_serve_threads(l);
    while (pause() < 0)
        ;
    return 0;
}

enum { PAIRS = 40 };

static struct pair {
    int fd[2], arrived;
} pair[PAIRS];

/* Two threads that leave the barrier at once, and listen. */
static void *listen_at_once(void *second)
{
    for (int i = 0; i < PAIRS; i++) {
        __atomic_add_fetch(&pair[i].arrived, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&pair[i].arrived, __ATOMIC_SEQ_CST) < 2)
            ;
        CHECK(listen(pair[i].fd[second != NULL], 16) == 0);
    }
    return NULL;
}

/* pairs: listeners that are made in pairs; the connections of one more are served. */
static int pairs_role(char **args)
{
    pthread_t other;
    (void)args;
    role_serve_threads(role_listen());
    for (int i = 0; i < 2 * PAIRS; i++)
        pair[i / 2].fd[i % 2] = bound_at(AF_INET, 0, false, false);
    CHECK(pthread_create(&other, NULL, listen_at_once, pair) == 0);
    listen_at_once(NULL);
    pthread_join(other, NULL);
    for (int i = 0; i < 2 * PAIRS; i++)
        say("pair %ld", port_of(pair[i / 2].fd[i % 2]));
    while (pause() < 0)
        ;
    return 0;
}

/* ---- helpers ---- */

/* Until new clients are refused. Those who were not are gone at once, and the program sees them come and go. */
static void refuses(long port)
{
    CHECK(await(refuses_clients, &port), "it goes on accepting");
}

/* With LASTCALL_LOG=debug. */
static void has_stopped_accepting(struct child *c)
{
    child_logs(c, "stderr", "accept stopped");
}

/* However long the server takes to come to a request, its connection has not been idle for too long. (It ends with its
 * answer.) */
#define UNHURRIED "LASTCALL_IDLE=60s"
static const struct setup unhurried = {.env = {UNHURRIED}};

static const struct setup debug = {.env = {"LASTCALL_LOG=debug"}};

/* 64 clients with a request each stand in the queue of a server that does not accept; TERM; all are served. */
static void queue_is_served(struct child *c, int family, int other)
{
    int client[QUEUED];
    long port = child_says_number(c, "port");
    child_says(c, "ready");
    for (int i = 0; i < QUEUED; i++) {
        client[i] = try_connect(i % 2 ? family : other, port);
        CHECK(client[i] >= 0, "%s", strerror(-client[i]));
        client_get(client[i], "/");
    }
    child_signal(c, SIGTERM);
    child_drains(c);
    refuses(port);
    CHECK(try_connect(family, port) == -ECONNREFUSED);
    child_tell(c, "accept");
    for (int i = 0; i < QUEUED; i++) {
        client_expect(client[i], "hello", true);
        client_expect_end(client[i]);
    }
    child_dies(c, SIGTERM);
    CHECK(report_says(c, "end", "drained"));
    CHECK(report_number(c, "served_after_signal") == QUEUED, "%ld", report_number(c, "served_after_signal"));
    CHECK(report_number(c, "aborted") == 0 && report_number(c, "unread_bytes") == 0);
}

static void hidden(const char *const *args) /* KIND of loop, LISTENER, the two families of clients */
{
    struct child c;
    child_start(&c, &unhurried, "loop", args[0], args[1], "wait", NULL);
    queue_is_served(&c, atoi(args[2]), atoi(args[3]));
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex"), "%s", child_file(&c, "report"));
}

/* What Go listens on since 1.24, for clients who speak it and for those who do not. */
static void hidden_mptcp(void)
{
    static const char *const args[] = {"epoll", "mptcp", INET, INET};
    tcp_kind = IPPROTO_MPTCP;
    hidden(args);
    tcp_kind = 0;
    hidden(args);
}

static void hidden_blocking(void)
{
    struct child c;
    child_start(&c, &unhurried, "block", "plain", "wait", NULL);
    queue_is_served(&c, AF_INET, AF_INET);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex"));
}

static void drop_privileges(void *unused)
{
    (void)unused;
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        _exit(120);
}

static void hidden_unprivileged(void)
{
    struct setup s = {.env = {UNHURRIED}, .prepare = drop_privileges};
    struct child c;
    child_start(&c, &s, "loop", "epoll", "plain", "wait", NULL);
    queue_is_served(&c, AF_INET, AF_INET);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex"));
}

/* helper: a server that starts a program, which stays root, and then gives root up. */
static int helper_role(char **args)
{
    (void)args;
    setsid(); /* as daemons do: what else lives in a session may have been given the listener */
    int l = role_listen();
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/bin/sleep", "sleep", "600", NULL);
        _exit(121);
    }
    drop_privileges(NULL);
    role_serve_threads(l);
    role_pause();
}

/* That nobody may look into the helper's descriptors does not make the listener the helper's. */
static void hidden_beside_a_helper(void)
{
    struct child c;
    if (geteuid() != 0)
        check_skip("only root can give root up");
    child_start(&c, &debug, "helper", NULL);
    long port = child_says_number(&c, "port");
    int held = client_connect(port);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "accept stopped accept_stop=");
    CHECK(strstr(child_errors(&c), "accept_stop=so_bindtoifindex"), "%s", child_errors(&c));
    CHECK(try_connect(AF_INET, port) == -ECONNREFUSED);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    child_dies(&c, SIGTERM);
}

/* ---- where hiding is refused ---- */

struct refusal {
    int err;
    bool filter_too;
};

#define ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n))

/* setsockopt(SOL_SOCKET, SO_BINDTOIFINDEX) fails with err; SO_ATTACH_FILTER too, if wanted. */
static void refuse_options(void *arg)
{
    const struct refusal *r = arg;
    uint32_t other = r->filter_too ? SO_ATTACH_FILTER : SO_BINDTOIFINDEX_;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(1)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(2)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_BINDTOIFINDEX_, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)r->err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(119);
}

/* A SYN that is dropped is neither refused nor answered. */
static bool is_dropped(void *port)
{
    union address a;
    socklen_t len = loopback(&a, AF_INET, *(long *)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pollfd p = {fd, POLLOUT, 0};
    CHECK(connect(fd, &a.any, len) == 0 || errno == EINPROGRESS);
    bool dropped = poll(&p, 1, 50) == 0;
    close(fd);
    return dropped;
}

static void filtered(const char *const *args) /* ERRNO of the option that hides */
{
    enum { CLIENTS = 20 };
    struct refusal r = {strcmp(args[0], "EPERM") == 0 ? EPERM : ENOPROTOOPT, false};
    struct setup s = {.env = {UNHURRIED}, .prepare = refuse_options, .arg = &r};
    struct child c;
    int client[CLIENTS];
    child_start(&c, &s, "loop", "epoll", "plain", "wait", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    for (int i = 0; i < CLIENTS; i++)
        client_get(client[i] = client_connect(port), "/");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(is_dropped, &port));
    child_tell(&c, "accept");
    for (int i = 0; i < CLIENTS; i++) {
        client_expect(client[i], "hello", true);
        client_expect_end(client[i]);
    }
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "syn_filter") && report_says(&c, "end", "drained") &&
          report_number(&c, "aborted") == 0);
}

/* Neither way: the queue is emptied, then the placeholder comes. One client is held, so that the drain lasts. */
static void emptied(const char *const *words) /* of the role */
{
    enum { CLIENTS = 20 };
    struct child own, *c = &own;
    bool counts = strcmp(words[0], "loop") == 0;
    struct refusal r = {EPERM, true};
    struct setup s = {.env = {UNHURRIED}, .prepare = refuse_options, .arg = &r};
    int client[CLIENTS];
    child_start(c, &s, words[0], words[1], words[2], words[3], NULL);
    long port = child_says_number(c, "port");
    child_says(c, "ready");
    int held = client_connect(port);
    for (int i = 0; i < CLIENTS; i++)
        client_get(client[i] = client_connect(port), "/");
    client_get(held, "/hold");
    child_signal(c, SIGTERM);
    child_drains(c);
    child_tell(c, "accept");
    for (int i = 0; i < CLIENTS; i++) {
        client_expect(client[i], "hello", true);
        client_expect_end(client[i]);
    }
    child_says(c, "held");
    refuses(port);
    if (counts) {
        child_tell(c, "name");
        CHECK(child_says_number(c, "name") == port, "getsockname tells of the placeholder");
    }
    is_quiet(c, counts);
    child_tell(c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(c, SIGTERM);
    CHECK(report_says(c, "accept_stop", "drain_queue") && report_says(c, "end", "drained") &&
          report_number(c, "aborted") == 0);
}

/* Whoever comes late is served or refused, and never reset: also where an accept or a select is at the old
 * listener while the placeholder comes, and so keeps it alive. */
static void late_crowd(const char *const *words)
{
    enum { CROWD = 20 };
    struct refusal r = {EPERM, true};
    struct setup s = {.env = {"LASTCALL_LOG=debug", UNHURRIED}, .prepare = refuse_options, .arg = &r};
    struct child c;
    int client[CROWD];
    child_start(&c, &s, words[0], words[1], words[2], words[3], NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    int held = client_connect(port);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    has_stopped_accepting(&c);
    kill(c.pid, SIGSTOP); /* so that they come all at once */
    for (int i = 0; i < CROWD; i++) {
        client[i] = try_connect(AF_INET, port);
        if (client[i] >= 0)
            client_get(client[i], "/");
    }
    kill(c.pid, SIGCONT);
    for (int i = 0; i < CROWD; i++)
        if (client[i] >= 0)
            client_expect(client[i], "hello", true);
        else
            CHECK(client[i] == -ECONNREFUSED, "%s", strerror(-client[i]));
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "aborted") == 0);
}

/* ---- groups of SO_REUSEPORT ---- */

static void group_with_another_process(void)
{
    struct child c;
    child_start(&c, &debug, "loop", "epoll", "group", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    int held = client_connect(port), mine[16];
    client_get(held, "/hold");
    child_says(&c, "held");
    int successor = listener_at(AF_INET, port, false, true);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    has_stopped_accepting(&c);
    /* All who come now go to the successor, whatever the hash of their ports. */
    for (int i = 0; i < 16; i++) {
        mine[i] = client_connect(port);
        CHECK(readable(successor, HANG_MS));
        int fd = accept(successor, NULL, NULL);
        CHECK(fd >= 0 && send(fd, "x", 1, 0) == 1 && recv(mine[i], (char[1]){0}, 1, 0) == 1);
    }
    child_tell(&c, "go");
    client_expect(held, "done", true);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "syn_filter") && report_number(&c, "aborted") == 0, "%s",
          child_file(&c, "report"));
}

/* ---- the port is free early ---- */

static void port_is_free(const char *const *words) /* of the role */
{
    struct child c;
    child_start(&c, &unhurried, words[0], words[1], words[2], words[3], NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    int held = client_connect(port);
    client_get(held, "/hold");
    child_says(&c, "held");
    CHECK(successor_at(port) < 0, "the port was never taken");
    child_signal(&c, SIGTERM);
    int next = await_successor(port);
    is_served_by(next, port);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    is_served_by(next, port);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex") && report_says(&c, "end", "drained"), "%s",
          child_file(&c, "report"));
    is_served_by(next, port);
}

/* ---- threads that listen at once ---- */

/* Each of the listeners is stopped: in the middle of the drain nobody is let in any more. */
static void stopped_all(void)
{
    long port[2 * PAIRS];
    struct child c;
    child_start(&c, &debug, "pairs", NULL);
    int held = client_connect(child_says_number(&c, "port"));
    for (int i = 0; i < 2 * PAIRS; i++)
        port[i] = child_says_number(&c, "pair");
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    has_stopped_accepting(&c);
    for (int i = 0; i < 2 * PAIRS; i++)
        CHECK(try_connect(AF_INET, port[i]) == -ECONNREFUSED, "listener %d of %d still accepts", i, 2 * PAIRS);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    child_dies(&c, SIGTERM);
}

static void listened_at_once(void)
{
    for (int i = 0; i < repeats(10); i++)
        stopped_all();
}

/* ---- clients who have connected and not spoken ---- */

static void deferred_accept(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    struct child c;
    int client[8];
    child_start(&c, &s, "loop", "epoll", "deferred", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    for (int i = 0; i < 8; i++)
        client[i] = client_connect(port);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    refuses(port);
    given_time(c.pid, 300);
    for (int i = 0; i < 8; i++)
        client_get(client[i], "/");
    for (int i = 0; i < 8; i++) {
        client_expect(client[i], "hello", true);
        client_expect_end(client[i]);
    }
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex") && report_number(&c, "served_after_signal") == 8);
}

/* The client who never speaks is waited for as long as an idle one, and not until the deadline. */
static void deferred_and_silent(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=300ms"}};
    struct child c;
    child_start(&c, &s, "loop", "epoll", "deferred", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    client_connect(port);
    double start = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took_at_least("from TERM to the end", start, 0.3);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

/* ---- which listeners, and when ---- */

static void only_those_listed(void)
{
    int probe[2];
    long port[2];
    char words[2][16], filter[64];
    for (int i = 0; i < 2; i++) {
        port[i] = port_of(probe[i] = listener_at(AF_INET, 0, false, false));
        snprintf(words[i], sizeof words[i], "%ld", port[i]);
    }
    close(probe[0]);
    close(probe[1]);
    snprintf(filter, sizeof filter, "LASTCALL_LISTEN=127.0.0.1:%ld", port[0]);
    struct setup s = {.env = {filter}};
    struct child c;
    child_start(&c, &s, "ports", words[0], words[1], NULL);
    child_says(&c, "ready");
    int ours = client_connect(port[0]), other = client_connect(port[1]);
    client_get(ours, "/hold");
    child_says(&c, "held");
    client_get(other, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    refuses(port[0]);
    int late = client_connect(port[1]);
    struct answer a;
    client_get(late, "/");
    client_answer(late, &a);
    CHECK(a.status == 200 && !a.close, "a close option on a connection that is not ours");
    child_tell(&c, "go");
    client_expect(ours, "done", true);
    client_answer(other, &a);
    CHECK(a.status == 200 && !a.close);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "in_flight") == 1);
}

static void lame_duck_still_serves(void)
{
    struct setup s = {.env = {"LASTCALL_DELAY=2s"}};
    struct child c;
    child_start(&c, &s, "loop", "epoll", "plain", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    double start = now_s();
    child_signal(&c, SIGTERM);
    child_drains(&c);
    for (int i = 0; i < 5; i++) {
        int fd = client_connect(port);
        client_get(fd, "/");
        client_expect(fd, "hello", true);
        client_expect_end(fd);
    }
    in_time(start, 1.9);
    child_dies(&c, SIGTERM);
    took_at_least("from TERM to the end", start, 2);
    CHECK(report_number(&c, "served_after_signal") == 5 && report_number(&c, "close_sent") == 5);
}

/* Each connection puts the end off by LASTCALL_DELAY_QUIET. Without that the delay would end at the deadline. */
static void lame_duck_ends_when_quiet(void)
{
    enum { QUIET_MS = 1000, CLIENTS = 5 };
    struct setup s = {.env = {"LASTCALL_DELAY=500s", "LASTCALL_DELAY_QUIET=1s"}};
    struct child c;
    child_start(&c, &s, "loop", "epoll", "plain", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    double last = now_s(), start = last;
    for (int i = 0; i < CLIENTS; i++) {
        poll(NULL, 0, QUIET_MS / CLIENTS + 100);
        int fd = try_connect(AF_INET, port);
        in_time(last, QUIET_MS * 0.9 / 1000);
        CHECK(fd >= 0, "client %d: %s", i, strerror(-fd));
        last = now_s();
        client_get(fd, "/");
        client_expect(fd, "hello", true);
        close(fd);
    }
    CHECK(last - start > QUIET_MS / 1000.0);
    child_dies(&c, SIGTERM);
    took_at_least("from the last client to the end", last, 0.99);
}

/* ---- listeners that are not ours alone ---- */

static void take_as_three(void *listener)
{
    if (dup2(*(int *)listener, 3) != 3)
        _exit(118);
}

static void inherited_is_never_hidden(void)
{
    int l = listener_at(AF_INET, 0, false, false);
    struct setup s = {.env = {"LASTCALL_LOG=debug"}, .prepare = take_as_three, .arg = &l};
    struct child c;
    child_start(&c, &s, "loop", "epoll", "inherited", "now", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    int held = client_connect(port);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    has_stopped_accepting(&c);
    int late = client_connect(port);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "left_to_others"), "%s", child_file(&c, "report"));
    /* Who comes afterwards stands in the queue of the one who started it, as with systemd; so does who came
     * meanwhile. */
    int fd_late = accept(l, NULL, NULL);
    CHECK(fd_late >= 0 && send(fd_late, "x", 1, 0) == 1 && recv(late, (char[1]){0}, 1, 0) == 1);
    int next = client_connect(port);
    int fd = accept(l, NULL, NULL);
    CHECK(fd >= 0 && send(fd, "x", 1, 0) == 1 && recv(next, (char[1]){0}, 1, 0) == 1);
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"listener/tcp/hidden/epoll", hidden, {"epoll", "plain", INET, INET}},
        {"listener/tcp/hidden/epoll-et", hidden, {"epoll-et", "plain", INET, INET}},
        {"listener/tcp/hidden/two-epolls", hidden, {"two-epolls", "plain", INET, INET}},
        {"listener/tcp/hidden/select", hidden, {"select", "plain", INET, INET}},
        {"listener/tcp/hidden/dual-stack", hidden, {"epoll", "dual", INET, INET6}},
        {"listener/tcp/hidden/reuseport-group", hidden, {"epoll", "group", INET, INET}},
        {"listener/tcp/filter/eperm", filtered, {"EPERM"}},
        {"listener/tcp/filter/enoprotoopt", filtered, {"ENOPROTOOPT"}},
        {"listener/tcp/port-is-free/epoll", port_is_free, {"loop", "epoll", "plain", "now"}},
        {"listener/tcp/port-is-free/epoll-et", port_is_free, {"loop", "epoll-et", "plain", "now"}},
        {"listener/tcp/port-is-free/two-epolls", port_is_free, {"loop", "two-epolls", "plain", "now"}},
        {"listener/tcp/port-is-free/poll", port_is_free, {"loop", "poll", "plain", "now"}},
        {"listener/tcp/port-is-free/select", port_is_free, {"loop", "select", "plain", "now"}},
        {"listener/tcp/port-is-free/select-blocking", port_is_free, {"loop", "select-blocking", "plain", "now"}},
        {"listener/tcp/port-is-free/blocking", port_is_free, {"block", "plain", "now"}},
        {"listener/tcp/emptied/epoll", emptied, {"loop", "epoll", "plain", "wait"}},
        {"listener/tcp/emptied/epoll-et", emptied, {"loop", "epoll-et", "plain", "wait"}},
        {"listener/tcp/emptied/two-epolls", emptied, {"loop", "two-epolls", "plain", "wait"}},
        {"listener/tcp/emptied/select", emptied, {"loop", "select", "plain", "wait"}},
        {"listener/tcp/emptied/select-blocking", emptied, {"loop", "select-blocking", "plain", "wait"}},
        /* A thread is blocked in accept on the listener that goes. */
        {"listener/tcp/emptied/blocking", emptied, {"block", "plain", "wait"}},
        {"listener/tcp/emptied/late-crowd/epoll", late_crowd, {"loop", "epoll", "plain", "now"}},
        {"listener/tcp/emptied/late-crowd/select", late_crowd, {"loop", "select", "plain", "now"}},
        {"listener/tcp/emptied/late-crowd/select-blocking", late_crowd, {"loop", "select-blocking", "plain", "now"}},
        {"listener/tcp/emptied/late-crowd/blocking", late_crowd, {"block", "plain", "now"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {
        {"listener/tcp/hidden/mptcp", hidden_mptcp},
        {"listener/tcp/hidden/blocking", hidden_blocking},
        {"listener/tcp/hidden/unprivileged", hidden_unprivileged},
        {"listener/tcp/hidden/beside-a-helper", hidden_beside_a_helper},
        {"listener/tcp/group-with-another-process", group_with_another_process},
        {"listener/tcp/listened-at-once", listened_at_once},
        {"listener/tcp/deferred-accept", deferred_accept},
        {"listener/tcp/deferred-accept/silent", deferred_and_silent},
        {"listener/tcp/listen-filter", only_those_listed},
        {"listener/tcp/lame-duck/serves", lame_duck_still_serves},
        {"listener/tcp/lame-duck/quiet", lame_duck_ends_when_quiet},
        {"listener/tcp/inherited-is-never-hidden", inherited_is_never_hidden},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"loop", loop_role},   {"ports", ports_role},   {"block", block_role},
                                              {"pairs", pairs_role}, {"helper", helper_role}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
