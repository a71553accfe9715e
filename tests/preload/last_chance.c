/* last_chance.c: a request that comes after the virtual end of file, in the last moments that an idle connection has, and
 * that the program has not come to read when they are over (the explorer of tests/explore found it lost). */
#include "held.h"

#include <poll.h>

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

enum { IDLE_MS = 400 };

static void read_late(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=400ms", "LASTCALL_TIMEOUT=10s", "LASTCALL_LOG=trace"}};
    child_start(&c, &s, "slow", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "waits");
    child_tell(&c, "go");
    client_expect(fd, "hello", false);
    child_says(&c, "waits");
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "virtual EOF");
    poll(NULL, 0, IDLE_MS / 4);
    client_get(fd, "/");
    poll(NULL, 0, 2 * IDLE_MS); /* its time is over, and more */
    child_tell(&c, "go");
    client_expect(fd, "hello", false);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "cut") == 0, "%s", child_file(&c, "report"));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {{"last_chance/read-late", read_late}, {NULL, NULL}};
    static const struct check_role roles[] = {{"slow", slow}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
