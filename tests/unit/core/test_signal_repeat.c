/* test_signal_repeat.c: a second signal, a repeat of the first, and a supervisor's escalation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/signal_repeat.h"

enum { INT = 2, QUIT = 3, TERM = 15 };
#define AT(ms) ((nsec_t)(1000000 + (ms)) * NSEC_PER_MSEC)

static const struct {
    const char *what;
    struct {
        int sig, ms;
        bool ends;
    } comes[6];
} cases[] = {
    {"one signal", {{TERM, 0, false}}},
    {"two of a kind at once are one", {{TERM, 0, false}, {TERM, 0, false}, {TERM, 5, false}, {TERM, 999, false}}},
    {"a repeat after a second is a second signal", {{TERM, 0, false}, {TERM, 1000, true}}},
    {"the time counts from the first of its kind", {{TERM, 0, false}, {TERM, 900, false}, {TERM, 1100, true}}},
    {"an escalation is no second signal", {{QUIT, 0, false}, {TERM, 5000, false}}},
    {"an escalation is repeated, too", {{QUIT, 0, false}, {TERM, 5000, false}, {TERM, 5900, false}}},
    {"the escalation's own repeat is a second signal", {{QUIT, 0, false}, {TERM, 5000, false}, {TERM, 6000, true}}},
    {"so is the first one's", {{QUIT, 0, false}, {TERM, 5000, false}, {QUIT, 5500, true}}},
    {"each kind once", {{TERM, 0, false}, {INT, 3000, false}, {QUIT, 6000, false}, {INT, 6001, true}}},
};

static void says_what_ends_a_drain(void **unused UNUSED)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct signal_repeat r = {{0}};
        for (size_t j = 0; j < COUNT(cases[i].comes) && cases[i].comes[j].sig; j++)
            if (signal_repeat_ends(&r, cases[i].comes[j].sig, AT(cases[i].comes[j].ms)) != cases[i].comes[j].ends)
                fail_msg("%s: number %zu", cases[i].what, j);
    }
}

static void knows_no_other_numbers(void **unused UNUSED)
{
    struct signal_repeat r = {{0}};
    for (int i = 0; i < 2; i++) {
        assert_false(signal_repeat_ends(&r, -1, AT(i * 5000)));
        assert_false(signal_repeat_ends(&r, SIGNAL_VIEW_MAX, AT(i * 5000)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_ends_a_drain),
                                       cmocka_unit_test(knows_no_other_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
