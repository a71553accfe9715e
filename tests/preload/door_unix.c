/* door_unix.c: AF_UNIX listeners: shut, emptied, and then a placeholder under the number, which nobody notices. */
#include "forbid.h"
#include "loop_server.h"

#include <signal.h>
#include <stdio.h>

enum { QUEUED = 20 };

/* loop KIND NAME now|wait|blind: an event loop that does not accept before it is told to; blind: nobody can ask the kernel
 * how many stand in the queue (no unix_diag, or a sandbox). */
static int loop_role(char **args)
{
    int l = unix_listener(args[1]);
    if (strcmp(args[2], "blind") == 0)
        forbid_call(SYS_socket, 0, AF_NETLINK);
    loop_serve(args[0], &l, 1, strcmp(args[2], "now") == 0);
}

/* block NAME wait|now */
static int block_role(char **args)
{
    char line[64];
    int l = unix_listener(args[0]);
    say("ready");
    if (strcmp(args[1], "wait") == 0)
        hear(line, sizeof line);
    role_serve_threads(l);
    while (pause() < 0)
        ;
    return 0;
}

static bool is_refused(void *name)
{
    int fd = try_unix(name);
    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

/* AF_UNIX listeners are looked after only if they are asked for. */
static void start(struct child *c, const char *role, const char *kind, const char *name, const char *when)
{
    static char listen[128];
    snprintf(listen, sizeof listen, "LASTCALL_LISTEN=unix:@%s", name);
    struct setup s = {.env = {listen}};
    if (strcmp(role, "loop") == 0)
        child_start(c, &s, role, kind, name, when, NULL);
    else
        child_start(c, &s, role, name, when, NULL);
    child_says(c, "ready");
}

static void quiet_for(struct child *c, const char *name, bool counts)
{
    if (counts) {
        child_tell(c, "name");
        CHECK(strcmp(child_says(c, "name"), name) == 0, "getsockname tells of the placeholder");
        child_tell(c, "count");
        long before = child_says_number(c, "wakeups");
        poll(NULL, 0, 200);
        child_tell(c, "count");
        long wakeups = child_says_number(c, "wakeups") - before;
        CHECK(wakeups <= 3, "%ld wakeups in 200 ms of nothing", wakeups);
    }
    long cpu = cpu_ms(c->pid);
    poll(NULL, 0, 200);
    cpu = cpu_ms(c->pid) - cpu;
    CHECK(cpu < 40, "%ld ms of CPU in 200 ms of nothing", cpu);
}

/* One request is held. 20 clients stand in the queue; TERM; they are served, newer ones refused, and the server
 * sleeps until the held one is done. */
static void shut(const char *role, const char *kind, const char *name, const char *when)
{
    struct child c;
    int client[QUEUED];
    bool loops = strcmp(role, "loop") == 0;
    start(&c, role, kind, name, when);
    int held = try_unix(name);
    client_get(held, "/hold");
    for (int i = 0; i < QUEUED; i++) {
        client[i] = try_unix(name);
        CHECK(client[i] >= 0);
        client_get(client[i], "/");
    }
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(is_refused, (void *)name));
    child_tell(&c, "accept");
    for (int i = 0; i < QUEUED; i++) {
        client_expect(client[i], "hello", true);
        client_expect_end(client[i]);
    }
    child_says(&c, "held");
    quiet_for(&c, name, loops);
    CHECK(is_refused((void *)name));
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "hidden", "unix") && report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
    CHECK(report_number(&c, "cut") == 0);
    CHECK(strstr(child_output(&c), "accept E") == NULL && strstr(child_output(&c), "Invalid") == NULL, "%s",
          child_output(&c));
}

/* The door is shut while the server waits for clients, with one request held. */
static void shut_while_it_waits(const char *role, const char *kind, const char *name)
{
    struct child c;
    bool loops = strcmp(role, "loop") == 0;
    start(&c, role, kind, name, "now");
    int held = try_unix(name);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(is_refused, (void *)name));
    quiet_for(&c, name, loops);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "hidden", "unix") && report_number(&c, "cut") == 0);
}

static const char *own_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "lastcall-test-%d", (int)getpid());
    return name;
}

#define LOOP(id, kind)                                 \
    static void queue_##id(void)                       \
    {                                                  \
        shut("loop", kind, own_name(), "wait");        \
    }                                                  \
    static void waiting_##id(void)                     \
    {                                                  \
        shut_while_it_waits("loop", kind, own_name()); \
    }

LOOP(epoll, "epoll")
LOOP(epoll_et, "epoll-et")
LOOP(two_epolls, "two-epolls")
LOOP(poll, "poll")
LOOP(select, "select")
LOOP(select_blocking, "select-blocking")

static void queue_block(void)
{
    shut("block", "", own_name(), "wait");
}

static void queue_unknown(void)
{
    shut("loop", "epoll", own_name(), "blind");
}

static void waiting_block(void)
{
    shut_while_it_waits("block", "", own_name());
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"door/unix/queue/epoll", queue_epoll},
        {"door/unix/queue/epoll-et", queue_epoll_et},
        {"door/unix/queue/two-epolls", queue_two_epolls},
        {"door/unix/queue/poll", queue_poll},
        {"door/unix/queue/select", queue_select},
        {"door/unix/queue/select-blocking", queue_select_blocking},
        {"door/unix/queue/blocking", queue_block},
        {"door/unix/queue/unknown", queue_unknown},
        {"door/unix/waiting/epoll", waiting_epoll},
        {"door/unix/waiting/epoll-et", waiting_epoll_et},
        {"door/unix/waiting/two-epolls", waiting_two_epolls},
        {"door/unix/waiting/poll", waiting_poll},
        {"door/unix/waiting/select", waiting_select},
        {"door/unix/waiting/select-blocking", waiting_select_blocking},
        {"door/unix/waiting/blocking", waiting_block},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"loop", loop_role}, {"block", block_role}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
