/* group_passed_listener.c: listeners that one process makes and others serve.
 *
 * A child that was exec'd holds its parent's listener, and has not shown yet what it is. A worker that
 * has just been sent it (node's cluster replaces one that has ended) says so a moment later: until then nobody must
 * take it for a stranger, to whom the door would be left, and with it all who stand there. An successor says nothing.
 *
 * A parent that only binds, and whose workers listen (uvicorn, the primary of node's cluster), holds the queue when
 * they are gone: it waits for the worker that comes in their place. */
#include "workers.h"

#include <sys/stat.h>

static bool drains(void *pid)
{
    char path[64];
    struct stat tasks;
    snprintf(path, sizeof path, "/proc/%d/task", *(pid_t *)pid);
    return stat(path, &tasks) == 0 && tasks.st_nlink > 3; /* one thread is ours by then */
}

/* newcomer CHANNEL LISTENER: it has the listener from the start, as if by a system call that is not seen; if its parent
 * sends it again, once the drain has begun, that is seen. */
static int newcomer(char **args)
{
    int channel = atoi(args[0]);
    pid_t parent = getppid();
    say("newcomer");
    CHECK(await(drains, &parent));
    poll(NULL, 0, 100); /* the parent has looked who holds its listener, and goes on looking for a second */
    passed(channel);    /* which waits for ever if nothing is sent */
    role_pause();
}

/* parent sends|keeps */
static int parent(char **args)
{
    int l = role_listen(), channel[2];
    char channel_name[16], listener_name[16];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
    CHECK(fcntl(l, F_SETFD, 0) == 0);
    snprintf(channel_name, sizeof channel_name, "%d", channel[1]);
    snprintf(listener_name, sizeof listener_name, "%d", l);
    if (fork_worker(0) == 0)
        execl("/proc/self/exe", "child", "newcomer", channel_name, listener_name, (char *)NULL);
    CHECK(fcntl(l, F_SETFD, FD_CLOEXEC) == 0);
    if (strcmp(args[0], "sends") == 0)
        pass(channel[0], l);
    serve_all(l);
    return 1;
}

static void has_stopped_accepting(const char *what, const char *how)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_LOG=debug"}};
    child_start(&c, &s, "parent", what, NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "newcomer");
    goes_on(port, 3);
    child_signal(&c, SIGTERM);
    closes_if_in_time(&c, how);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

static void a_worker_shows_itself(void)
{
    for (int i = 0; i < repeats(3); i++)
        has_stopped_accepting("sends", "so_bindtoifindex");
}

static void a_successor_does_not(void)
{
    has_stopped_accepting("keeps", "left_to_others");
}

/* ---- the parent only binds -------------------------------------------------------------------------------- */

static volatile sig_atomic_t asked;

static void ask(int sig)
{
    asked = sig;
}

static int binds(char **args)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)args;
    signal(SIGUSR1, ask);
    a.sin_port = htons((unsigned short)(20000 + getpid() % 12000)); /* port 0 does not tell a server */
    while (bind(l, (struct sockaddr *)&a, sizeof a) != 0)
        a.sin_port = htons((unsigned short)(ntohs(a.sin_port) + 1));
    pid_t pid = fork_worker(0);
    if (pid == 0) {
        CHECK(listen(l, 128) == 0);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid && getsockname(l, (struct sockaddr *)&a, &len) == 0);
    say("port %d", ntohs(a.sin_port));
    for (;;) {
        usleep(1000);
        if (asked && fork_worker(0) == 0)
            serve_all(l);
        asked = 0;
    }
}

static void queue_waits_for_a_worker(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    child_start(&c, &s, "binds", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    poll(NULL, 0, 200); /* the worker that comes takes its time */
    child_signal(&c, SIGUSR1);
    client_expect(fd, "hello", true);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

static void but_not_for_ever(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=300ms"}};
    child_start(&c, &s, "binds", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took_at_least("the end", at, 0.3);
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/passed-listener/a-worker-shows-itself", a_worker_shows_itself},
        {"group/passed-listener/an-successor-does-not", a_successor_does_not},
        {"group/passed-listener/a-queue-waits-for-a-worker", queue_waits_for_a_worker},
        {"group/passed-listener/but-not-for-ever", but_not_for_ever},
        {NULL, NULL}};
    static const struct check_role roles[] = {
        {"parent", parent}, {"newcomer", newcomer}, {"binds", binds}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
