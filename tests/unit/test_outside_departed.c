/* test_outside_departed.c: who was cut when a program died, where a look came in the middle of that. The processes are real:
 * this one lives, a child of it has ended. */
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

static struct departures d;
static int living, dead;

/* It had asked when it was last seen. */
static struct guest asking(uint64_t cookie)
{
    struct guest g = {.word = WORD_CLIENT};
    g.now.cookie = g.now.inode = cookie;
    g.now.state = DIAG_ESTABLISHED;
    g.now.received = REQUEST;
    return g;
}

static struct diag_socket ended(uint64_t cookie, unsigned answered)
{
    return (struct diag_socket){.cookie = cookie, .received = REQUEST, .acked = answered + 1};
}

static void add(uint64_t cookie, int holder)
{
    const struct guest g = asking(cookie);
    departed_add(&d, &g, holder, NULL);
}

static unsigned cut(enum departed_why why)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d.count; i++)
        n += departed_was_cut(&d.at[i], why);
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
    departed_free(&d);
    return waitpid(dead, NULL, 0) == dead ? 0 : -1;
}

static void whose_process_has_died_is_cut(void **state)
{
    (void)state;
    add(1, dead);
    add(2, 0);
    departed_sift(&d, dead);
    assert_true(departed_waits(&d));
    assert_int_equal(cut(DEPARTED_BY_SIGNAL), 2); /* their end is not known */
    struct diag_socket last = ended(1, 0);
    assert_true(departed_ended(&d, &last));
    last = ended(2, RESPONSE);
    assert_true(departed_ended(&d, &last));
    assert_false(departed_waits(&d));
    departed_sift(&d, dead);
    assert_int_equal(cut(DEPARTED_BY_SIGNAL), 2); /* was that answer all? */
    assert_int_equal(cut(DEPARTED_BY_EXIT), 1);
}

static void who_was_answered_is_forgotten(void **state)
{
    (void)state;
    const struct diag_socket last = ended(1, RESPONSE);
    add(1, living);
    departed_sift(&d, living);
    assert_int_equal(d.count, 1); /* until it is known */
    departed_ended(&d, &last);
    departed_sift(&d, living);
    assert_int_equal(d.count, 0);
}

static void a_worker_that_dies_cuts_its_own(void **state)
{
    (void)state;
    const struct diag_socket one = ended(1, 0), other = ended(2, 0);
    add(1, dead);
    add(2, living); /* this client has left, maybe */
    departed_ended(&d, &one);
    departed_ended(&d, &other);
    departed_sift(&d, living);
    assert_int_equal(d.count, 2);
    assert_int_equal(cut(DEPARTED_IN_PEACE), 1);
}

static void between_two_looks(void **state)
{
    (void)state;
    const struct diag_socket one = ended(1, 0), other = ended(2, RESPONSE);
    departed_unseen(&d, &one);
    departed_unseen(&d, &other);
    departed_sift(&d, dead);
    assert_int_equal(cut(DEPARTED_BY_EXIT), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whose_process_has_died_is_cut, begin, end),
        cmocka_unit_test_setup_teardown(who_was_answered_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(a_worker_that_dies_cuts_its_own, begin, end),
        cmocka_unit_test_setup_teardown(between_two_looks, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
