/* listener_unix.c: AF_UNIX listeners: shut, emptied, and then a placeholder under the number, which nobody notices. */
#include "forbid.h"
#include "loop_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { QUEUED = 20 };

/* loop KIND NAME now|wait|blind: an event loop that does not accept before it is told to; blind: nobody can ask the
 * kernel how many stand in the queue (no unix_diag, or a sandbox). */
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

/* A listener at a path: fails the test if there is something already. */
static int listener_at_path(const char *path)
{
    union address a;
    memset(&a, 0, sizeof a);
    a.un.sun_family = AF_UNIX;
    snprintf(a.un.sun_path, sizeof a.un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, &a.any, sizeof a.un) == 0 && listen(fd, 16) == 0, "%s", strerror(errno));
    return fd;
}

static int connect_path(const char *path)
{
    union address a;
    memset(&a, 0, sizeof a);
    a.un.sun_family = AF_UNIX;
    snprintf(a.un.sun_path, sizeof a.un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, &a.any, sizeof a.un) == 0 ? fd : -errno;
}

static const char *path_to_remove, *how_to_remove;

static void remove_and_leave(int sig)
{
    (void)sig;
    int ret = strcmp(how_to_remove, "unlink") == 0     ? unlink(path_to_remove)
              : strcmp(how_to_remove, "unlinkat") == 0 ? unlinkat(AT_FDCWD, path_to_remove, 0)
                                                       : remove(path_to_remove); /* NOLINT(bugprone-signal-handler) */
    _exit(ret == 0 ? 0 : 123);
}

/* path PATH HOW: removes its path at its end. */
static int path_role(char **args)
{
    path_to_remove = args[0];
    how_to_remove = args[1];
    signal(SIGTERM, remove_and_leave);
    int l = listener_at_path(args[0]);
    say("ready");
    role_serve_threads(l);
    role_pause();
}

/* At its end the server removes its path; a successor's that is there by then stays. */
static void path_is_removed(const char *const *args) /* HOW, "successor" or nothing */
{
    char dir[] = "/tmp/lastcall-path-XXXXXX", path[64], listen[96];
    struct child c;
    struct stat st;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/socket", dir);
    snprintf(listen, sizeof listen, "LASTCALL_LISTEN=unix:%s", path);
    struct setup s = {.env = {listen, "LASTCALL_LOG=debug"}};
    child_start(&c, &s, "path", path, args[0], NULL);
    child_says(&c, "ready");
    int held = connect_path(path), next = -1;
    CHECK(held >= 0);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "accept stopped");
    if (args[1]) {
        CHECK(unlink(path) == 0);
        next = listener_at_path(path);
    }
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_exits(&c, 0);
    CHECK((stat(path, &st) == 0) == (next >= 0), "%s", path);
    CHECK(next < 0 || connect_path(path) >= 0);
    unlink(path);
    rmdir(dir);
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
    /* However long the server takes to come to a request, its connection has not been idle for too long. */
    struct setup s = {.env = {listen, "LASTCALL_IDLE=60s"}};
    if (strcmp(role, "loop") == 0)
        child_start(c, &s, role, kind, name, when, NULL);
    else
        child_start(c, &s, role, name, when, NULL);
    child_says(c, "ready");
}

static void is_quiet_as(struct child *c, const char *name, bool counts)
{
    if (counts) {
        child_tell(c, "name");
        CHECK(strcmp(child_says(c, "name"), name) == 0, "getsockname tells of the placeholder");
    }
    is_quiet(c, counts);
}

static const char *own_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "lastcall-test-%d", (int)getpid());
    return name;
}

/* One request is held. 20 clients stand in the queue; TERM; they are served, newer ones refused, and the server
 * sleeps until the held one is done. */
static void shut(const char *const *args) /* ROLE, KIND of loop, wait|blind */
{
    struct child c;
    int client[QUEUED];
    const char *role = args[0], *kind = args[1], *when = args[2], *name = own_name();
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
    is_quiet_as(&c, name, loops);
    CHECK(is_refused((void *)name));
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "shutdown") && report_says(&c, "end", "drained"), "%s",
          child_file(&c, "report"));
    CHECK(report_number(&c, "aborted") == 0);
    CHECK(strstr(child_output(&c), "accept E") == NULL && strstr(child_output(&c), "Invalid") == NULL, "%s",
          child_output(&c));
}

/* Accepting stops while the server waits for clients, with one request held. */
static void shut_while_it_waits(const char *const *args) /* ROLE, KIND of loop */
{
    struct child c;
    const char *role = args[0], *kind = args[1], *name = own_name();
    bool loops = strcmp(role, "loop") == 0;
    start(&c, role, kind, name, "now");
    int held = try_unix(name);
    client_get(held, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(is_refused, (void *)name));
    is_quiet_as(&c, name, loops);
    child_tell(&c, "go");
    client_expect(held, "done", true);
    client_expect_end(held);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "shutdown") && report_number(&c, "aborted") == 0);
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"listener/unix/queue/epoll", shut, {"loop", "epoll", "wait"}},
        {"listener/unix/queue/epoll-et", shut, {"loop", "epoll-et", "wait"}},
        {"listener/unix/queue/two-epolls", shut, {"loop", "two-epolls", "wait"}},
        {"listener/unix/queue/poll", shut, {"loop", "poll", "wait"}},
        {"listener/unix/queue/select", shut, {"loop", "select", "wait"}},
        {"listener/unix/queue/select-blocking", shut, {"loop", "select-blocking", "wait"}},
        {"listener/unix/queue/blocking", shut, {"block", "", "wait"}},
        {"listener/unix/queue/unknown", shut, {"loop", "epoll", "blind"}},
        {"listener/unix/waiting/epoll", shut_while_it_waits, {"loop", "epoll"}},
        {"listener/unix/waiting/epoll-et", shut_while_it_waits, {"loop", "epoll-et"}},
        {"listener/unix/waiting/two-epolls", shut_while_it_waits, {"loop", "two-epolls"}},
        {"listener/unix/waiting/poll", shut_while_it_waits, {"loop", "poll"}},
        {"listener/unix/waiting/select", shut_while_it_waits, {"loop", "select"}},
        {"listener/unix/waiting/select-blocking", shut_while_it_waits, {"loop", "select-blocking"}},
        {"listener/unix/waiting/blocking", shut_while_it_waits, {"block", ""}},
        {"listener/unix/path/unlink", path_is_removed, {"unlink"}},
        {"listener/unix/path/unlink/successor", path_is_removed, {"unlink", "successor"}},
        {"listener/unix/path/unlinkat/successor", path_is_removed, {"unlinkat", "successor"}},
        {"listener/unix/path/remove/successor", path_is_removed, {"remove", "successor"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_role roles[] = {
        {"loop", loop_role}, {"block", block_role}, {"path", path_role}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, NULL, roles);
}
