/* idle_window.c: a request that comes after the virtual end of file, in the last moments that an idle connection has,
 * and that the program has not come to read when they are over (the explorer of tests/explore found it lost); and one
 * whose client has nothing more to say. */
#include "held_request.h"

#include <poll.h>
#include <sys/socket.h>

/* slow: one connection; what comes on it is read when it is told so. */
__attribute__((noreturn)) static int slow(char **args)
{
    (void)args;
    int fd = next_client(role_listen());
    for (;;) {
        go("waits");
        read_request(fd);
        respond(fd, "hello");
    }
}

/* held: one request, answered when it is told so. */
static int held(char **args)
{
    (void)args;
    int fd = next_client(role_listen());
    read_request(fd);
    go("held");
    respond(fd, "hello");
    return until_the_end(fd);
}

enum { IDLE_MS = 600 };

static void read_late(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=600ms", "LASTCALL_LOG=trace"}};
    child_start(&c, &s, "slow", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "waits");
    child_tell(&c, "go");
    client_expect(fd, "hello", false);
    child_says(&c, "waits");
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "idle window over: read shutdown");
    client_get(fd, "/");
    in_time(at, 2 * IDLE_MS * 0.95 / 1000); /* one window to speak, and one to react to the end of file */
    long cpu = cpu_ms(c.pid);
    poll(NULL, 0, IDLE_MS + IDLE_MS / 2); /* its time is over, and more */
    CHECK(cpu_ms(c.pid) - cpu < IDLE_MS / 4, "%ld ms of CPU while nobody reads it", cpu_ms(c.pid) - cpu);
    child_tell(&c, "go");
    client_expect(fd, "hello", false);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

/* A client that has sent its request, and its FIN with it, gets its answer however long that takes: the FIN is counted
 * among the bytes that the kernel has received, and is no sign that somebody else reads here. */
static void half_closed(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=100ms"}};
    child_start(&c, &s, "held", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    CHECK(shutdown(fd, SHUT_WR) == 0);
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    poll(NULL, 0, 400); /* four times what an opaque connection may be silent */
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    client_expect_end(fd);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "opaque") == 0 && report_number(&c, "aborted") == 0,
          "%s", child_file(&c, "report"));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"idle-window/read-late", read_late}, {"idle-window/half-closed", half_closed}, {NULL, NULL}};
    static const struct check_role roles[] = {{"slow", slow}, {"held", held}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
