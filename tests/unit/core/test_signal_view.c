/* test_signal_view.c: what the program believes of its signals while ours is in the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/signal_view.h"

enum { HUP = 1, TERM = 15, LAST = 63 };
static const struct ksigaction by_default = {.handler = SIGNAL_VIEW_DEFAULT}, ignored = {.handler = SIGNAL_VIEW_IGNORE};
static const struct ksigaction caught = {.handler = 0x1234, .flags = 0x14000004, .restorer = 0x77, .mask = 0x8001};

static void holds_nothing_at_first(void **unused UNUSED)
{
    struct signal_view v = {0};
    for (int sig = -1; sig <= SIGNAL_VIEW_MAX + 1; sig++)
        assert_false(signal_view_holds(&v, sig));
}

static void holds_what_it_was_told_to(void **unused UNUSED)
{
    struct signal_view v = {0};
    signal_view_hold(&v, TERM, &by_default);
    signal_view_hold(&v, LAST, &caught);
    for (int sig = -1; sig <= 2 * SIGNAL_VIEW_MAX + TERM; sig++)
        assert_int_equal(signal_view_holds(&v, sig), sig == TERM || sig == LAST);
}

static void tells_the_program_its_own(void **unused UNUSED)
{
    struct signal_view v = {0};
    signal_view_hold(&v, TERM, &caught);
    assert_memory_equal(&v.program[TERM], &caught, sizeof caught);
    assert_true(signal_view_set(&v, TERM, &by_default));
    assert_memory_equal(&v.program[TERM], &by_default, sizeof caught);
}

static void ignoring_is_for_the_kernel(void **unused UNUSED)
{
    struct signal_view v = {0};
    signal_view_hold(&v, TERM, &by_default);
    assert_false(signal_view_set(&v, TERM, &ignored)); /* the kernel must have it: exec inherits it */
    assert_true(signal_view_holds(&v, TERM));
    assert_true(signal_view_set(&v, TERM, &caught)); /* and ours comes back */
    assert_true(signal_view_set(&v, TERM, &by_default));
}

static void gives_back_all_of_it(void **unused UNUSED)
{
    struct signal_view v = {0};
    signal_view_hold(&v, HUP, &by_default);
    signal_view_hold(&v, TERM, &by_default);
    signal_view_set(&v, TERM, &caught);
    struct ksigaction own = signal_view_release(&v, TERM);
    assert_memory_equal(&own, &caught, sizeof own);
    assert_false(signal_view_holds(&v, TERM));
    assert_true(signal_view_holds(&v, HUP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_nothing_at_first),    cmocka_unit_test(holds_what_it_was_told_to),
        cmocka_unit_test(tells_the_program_its_own), cmocka_unit_test(ignoring_is_for_the_kernel),
        cmocka_unit_test(gives_back_all_of_it),
    };
    return cmocka_run_group_tests_name("signal_view", tests, NULL, NULL);
}
