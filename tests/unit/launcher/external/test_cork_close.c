/* test_cork_close.c: which answer under the cork is sent together with the close. The connections are real, the time is
 * ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/external/cork_close.h"

#define MS     NSEC_PER_MSEC
#define BEGINS (1000 * MS)

enum { ANSWER = 120 };

static int client, server;
static struct cork_close f;

static int connect_them(void **unused)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)unused;
    if (bind(listener, (struct sockaddr *)&at, n) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &n) != 0)
        return -1;
    client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&at, n) != 0)
        return -1;
    server = accept(listener, NULL, NULL);
    close(listener);
    cork_close_begin(&f, dup(server), BEGINS);
    return server < 0;
}

static int close_them(void **unused)
{
    (void)unused;
    cork_close_cancel(&f);
    close(server);
    close(client);
    return 0;
}

static void answer(void)
{
    const char bytes[ANSWER] = "HTTP/1.1 200 OK";
    assert_int_equal(write(server, bytes, sizeof bytes), sizeof bytes);
}

/* As the kernel does after 200 ms. */
static void let_it_leave(void)
{
    char bytes[2 * ANSWER];
    int on = 1, off = 0;
    setsockopt(server, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    setsockopt(server, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    assert_true(read(client, bytes, sizeof bytes) > 0);
}

static bool step(nsec_t ms)
{
    return cork_close_step(&f, BEGINS + ms * MS);
}

/* The program reads an end of file, and closes: the client has the answer and the end in one. */
static void assert_said(void)
{
    char bytes[2 * ANSWER];
    assert_int_equal(read(server, bytes, 1), 0);
    close(server);
    assert_true(read(client, bytes, sizeof bytes) > 0);
    assert_int_equal(recv(client, bytes, sizeof bytes, MSG_DONTWAIT), 0);
}

static void says_it_with_an_answer(void **unused)
{
    (void)unused;
    assert_false(step(2));
    answer();
    assert_false(step(4)); /* it may be a piece of one */
    assert_false(step(6));
    assert_true(step(9));
    assert_said();
}

static void waits_for_the_last_piece(void **unused)
{
    (void)unused;
    answer();
    assert_false(step(2));
    answer();
    assert_false(step(8));
    assert_true(step(13));
    assert_said();
}

static void leaves_an_answer_that_may_be_about_to_leave(void **unused)
{
    (void)unused;
    answer();
    assert_false(step(99)); /* it has lain there for up to 99 ms */
    assert_false(step(104));
    assert_false(step(190));
    let_it_leave();
    assert_false(step(202));
    answer();
    assert_false(step(204));
    assert_true(step(209));
    assert_said();
}

static void leaves_one_whose_first_piece_may_be(void **unused)
{
    (void)unused;
    answer();
    assert_false(step(2));
    answer();
    assert_false(step(98));
    assert_false(step(103));
}

static void knows_the_next_answer_of_the_same_length(void **unused)
{
    (void)unused;
    answer();
    assert_false(step(101));
    let_it_leave();
    answer();
    assert_false(step(106)); /* settled, were it the old one */
    assert_true(step(111));
    assert_said();
}

static bool has_tcp_info(void)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool has = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && n > sizeof(int); /* qemu takes it for one */
    close(fd);
    return has;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_it_with_an_answer, connect_them, close_them),
        cmocka_unit_test_setup_teardown(waits_for_the_last_piece, connect_them, close_them),
        cmocka_unit_test_setup_teardown(leaves_an_answer_that_may_be_about_to_leave, connect_them, close_them),
        cmocka_unit_test_setup_teardown(leaves_one_whose_first_piece_may_be, connect_them, close_them),
        cmocka_unit_test_setup_teardown(knows_the_next_answer_of_the_same_length, connect_them, close_them),
    };
    if (!has_tcp_info()) {
        puts("SKIP cork_close: there is no TCP_INFO (qemu-user)");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
