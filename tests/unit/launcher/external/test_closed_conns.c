/* test_closed_conns.c: who was cut when a program died, where a look came in the middle of that. The processes are
 * real: this one lives, a child of it has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/external/closed_conns.h"

enum { REQUEST = 80, RESPONSE = 200 };

static struct closed_conns d;
static int living, dead;

/* It had asked when it was last seen. */
static struct activity asking(uint64_t cookie)
{
    struct activity a = {.last_sender = SENDER_CLIENT};
    a.now.cookie = a.now.inode = cookie;
    a.now.state = DIAG_ESTABLISHED;
    a.now.received = REQUEST;
    return a;
}

static struct diag_socket ended(uint64_t cookie, unsigned answered)
{
    return (struct diag_socket){.cookie = cookie, .received = REQUEST, .acked = answered + 1};
}

static void add(uint64_t cookie, int holder)
{
    const struct activity a = asking(cookie);
    closed_conns_add(&d, &a, holder, NULL);
}

static unsigned cut(enum program_end why)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d.count; i++)
        n += closed_conns_was_aborted(&d.at[i], why);
    return n;
}

static int begin(void **state)
{
    (void)state;
    siginfo_t end;
    living = (int)getpid();
    dead = (int)fork();
    if (!dead)
        _exit(0);
    return waitid(P_PID, (id_t)dead, &end, WEXITED | WNOWAIT);
}

static int end(void **state)
{
    (void)state;
    closed_conns_free(&d);
    return waitpid(dead, NULL, 0) == dead ? 0 : -1;
}

static void whose_process_has_died_is_aborted(void **state)
{
    (void)state;
    add(1, dead);
    add(2, 0);
    closed_conns_forget_settled(&d, dead);
    assert_true(closed_conns_awaits_final(&d));
    assert_int_equal(cut(PROGRAM_KILLED), 2); /* their end is not known */
    struct diag_socket last = ended(1, 0);
    assert_true(closed_conns_set_final(&d, &last));
    last = ended(2, RESPONSE);
    assert_true(closed_conns_set_final(&d, &last));
    assert_false(closed_conns_awaits_final(&d));
    closed_conns_forget_settled(&d, dead);
    assert_int_equal(cut(PROGRAM_KILLED), 2); /* was that answer all? */
    assert_int_equal(cut(PROGRAM_EXITED), 1);
}

static void who_was_answered_is_forgotten(void **state)
{
    (void)state;
    const struct diag_socket last = ended(1, RESPONSE);
    add(1, living);
    closed_conns_forget_settled(&d, living);
    assert_int_equal(d.count, 1); /* until it is known */
    closed_conns_set_final(&d, &last);
    closed_conns_forget_settled(&d, living);
    assert_int_equal(d.count, 0);
}

static void a_worker_that_dies_aborts_its_own(void **state)
{
    (void)state;
    const struct diag_socket one = ended(1, 0), other = ended(2, 0);
    add(1, dead);
    add(2, living); /* this client has left, maybe */
    closed_conns_set_final(&d, &one);
    closed_conns_set_final(&d, &other);
    closed_conns_forget_settled(&d, living);
    assert_int_equal(d.count, 2);
    assert_int_equal(cut(PROGRAM_LIVES), 1);
}

static void between_two_looks(void **state)
{
    (void)state;
    const struct diag_socket one = ended(1, 0), other = ended(2, RESPONSE);
    closed_conns_add_unseen(&d, &one);
    closed_conns_add_unseen(&d, &other);
    closed_conns_forget_settled(&d, dead);
    assert_int_equal(cut(PROGRAM_EXITED), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whose_process_has_died_is_aborted, begin, end),
        cmocka_unit_test_setup_teardown(who_was_answered_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(a_worker_that_dies_aborts_its_own, begin, end),
        cmocka_unit_test_setup_teardown(between_two_looks, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
