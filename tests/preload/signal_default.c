/* signal_default.c: a program that leaves SIGTERM alone is drained, and then dies of it. */
#include "check.h"

#include <signal.h>

static int server(char **args)
{
    (void)args;
    role_serve_threads(role_listen());
    role_pause();
}

static void dies_of_it_after_the_drain(void)
{
    struct child c;
    child_start(&c, NULL, "server", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    client_expect_end(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"));
    CHECK(report_number(&c, "in_flight") == 1);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-default/dies-after-the-drain", dies_of_it_after_the_drain},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
