/* shutdown_waits.c: a program whose own shutdown waits until all of its connections have ended, and clients that have
 * their responses and keep their connections open. The drain has half-closed these: the program must be woken to notice
 * it. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static void on_term(int sig)
{
    (void)sig;
    told = 1;
}

/* Waits for the signal, then for the end of its connection. */
static int serves(char **args)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    char buf[512], line[64];
    sigset_t none;
    (void)args;
    sigemptyset(&none);
    signal(SIGTERM, on_term);
    int fd = accept(role_listen(), NULL, NULL);
    CHECK(fd >= 0 && read(fd, buf, sizeof buf) > 0);
    say("read");
    hear(line, sizeof line);
    CHECK(write(fd, response, strlen(response)) == (ssize_t)strlen(response));
    struct pollfd end = {fd, POLLIN, 0};
    while (!told)
        ppoll(NULL, 0, NULL, &none);
    say("shuts down");
    while (poll(&end, 1, -1) != 1)
        ;
    return read(fd, buf, sizeof buf) == 0 ? 5 : 6;
}

static void clients_that_stay(void)
{
    struct child c;
    child_start(&c, NULL, "serves", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "read");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    client_expect_end(fd);
    child_exits(&c, 5);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
    close(fd);
}

/* drops close|both|out: with its signal it closes its listener, and ends the connection of a request that it has not
 * answered, at once or after a shutdown (twisted). */
static int drops(char **args)
{
    char buf[512];
    sigset_t none;
    sigemptyset(&none);
    signal(SIGTERM, on_term);
    int listener = role_listen(), fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0 && read(fd, buf, sizeof buf) > 0);
    say("read");
    while (!told)
        ppoll(NULL, 0, NULL, &none);
    close(listener);
    if (strcmp(args[0], "close") != 0)
        CHECK(shutdown(fd, strcmp(args[0], "both") == 0 ? SHUT_RDWR : SHUT_WR) == 0);
    close(fd);
    return 5;
}

static void dropped(const char *how)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_SHUTDOWN_TIME=599s"}};
    child_start(&c, &s, "drops", how, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/");
    child_says(&c, "read");
    child_signal(&c, SIGTERM);
    client_expect_end(fd);
    child_exits(&c, 5);
    CHECK(report_number(&c, "in_flight") == 1 && report_number(&c, "aborted") == 1, "%s: %s", how,
          child_file(&c, "report"));
    CHECK(!report_says(&c, "accept_stop", "none"), "it has forgotten that accepting stopped: %s",
          child_file(&c, "report"));
    close(fd);
}

static void requests_that_it_drops(void)
{
    dropped("close");
    dropped("both");
    dropped("out");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {{"shutdown/clients-that-stay", clients_that_stay},
                                              {"shutdown/requests-that-it-drops", requests_that_it_drops},
                                              {NULL, NULL}};
    static const struct check_role roles[] = {{"serves", serves}, {"drops", drops}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
