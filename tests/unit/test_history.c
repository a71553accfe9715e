/* test_history.c: what is kept of each connection, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/history.h"

static struct history *table;
static uint8_t states[HISTORY_CHANGES];
static uint64_t at_us[HISTORY_CHANGES];

static int fresh(void **state UNUSED)
{
    table = calloc(1, sizeof *table);
    return table ? 0 : -1;
}

static int done(void **state UNUSED)
{
    free(table);
    return 0;
}

static struct history_track *taken(uint32_t serial)
{
    struct history_track *t = history_at(table, history_take(table, serial), serial);
    assert_non_null(t);
    return t;
}

/* As "idle 0, closed 5". */
static void check_changes(const struct history_track *t, unsigned count, const uint8_t *want, const uint64_t *times)
{
    assert_int_equal(history_read(t, states, at_us), count);
    assert_memory_equal(states, want, count);
    assert_memory_equal(at_us, times, count * sizeof *times);
}

static void keeps_changes(void **state UNUSED)
{
    struct history_track *t = taken(7);
    history_note(t, HISTORY_IDLE, 0);
    history_note(t, HISTORY_IDLE, 3); /* nothing new */
    history_note(t, HISTORY_IN_FLIGHT, 10);
    history_note(t, HISTORY_ENDED, 12);
    history_note(t, HISTORY_LINGERING, UINT32_MAX + UINT64_C(1));
    history_note(t, HISTORY_CLOSED, UINT32_MAX + UINT64_C(2));
    history_note(t, HISTORY_IDLE, UINT32_MAX + UINT64_C(3)); /* after the end nothing comes */
    check_changes(t, 5, (uint8_t[]){HISTORY_IDLE, HISTORY_IN_FLIGHT, HISTORY_ENDED, HISTORY_LINGERING, HISTORY_CLOSED},
                  (uint64_t[]){0, 10, 12, UINT32_MAX + UINT64_C(1), UINT32_MAX + UINT64_C(2)});
    assert_int_equal(t->left_out, 0);
}

static void drops_what_took_no_time(void **state UNUSED)
{
    struct history_track *t = taken(7);
    history_note(t, HISTORY_IN_FLIGHT, 0);
    history_note(t, HISTORY_IDLE, 9);
    history_note(t, HISTORY_ENDED, 9);
    check_changes(t, 2, (uint8_t[]){HISTORY_IN_FLIGHT, HISTORY_ENDED}, (uint64_t[]){0, 9});
    t = taken(7);
    history_note(t, HISTORY_IN_FLIGHT, 0);
    history_note(t, HISTORY_IDLE, 4);
    history_note(t, HISTORY_IN_FLIGHT, 4); /* and so nothing has changed */
    check_changes(t, 1, (uint8_t[]){HISTORY_IN_FLIGHT}, (uint64_t[]){0});
}

static void sorts_what_two_threads_noted(void **state UNUSED)
{
    struct history_track *t = taken(7);
    history_note(t, HISTORY_IDLE, 0);
    history_note(t, HISTORY_ENDED, 20);
    history_note(t, HISTORY_IN_FLIGHT, 10);
    check_changes(t, 3, (uint8_t[]){HISTORY_IDLE, HISTORY_IN_FLIGHT, HISTORY_ENDED}, (uint64_t[]){0, 10, 20});
}

/* The end of a connection finds room however often it has changed before. */
static void a_busy_connection_keeps_its_end(void **state UNUSED)
{
    struct history_track *t = taken(7);
    for (unsigned i = 0; i < 1000; i++)
        history_note(t, i % 2 ? HISTORY_IN_FLIGHT : HISTORY_IDLE, i);
    history_note(t, HISTORY_ENDED, 2000);
    history_note(t, HISTORY_LINGERING, 2001);
    history_note(t, HISTORY_CLOSED, 2002);
    unsigned n = history_read(t, states, at_us);
    assert_int_equal(n, HISTORY_CHANGES);
    assert_int_equal(states[n - 4], HISTORY_MANY);
    assert_int_equal(at_us[n - 4], n - 4);
    assert_int_equal(states[n - 1], HISTORY_CLOSED);
    assert_int_equal(at_us[n - 1], 2002);
    assert_int_equal(t->left_out, 1000 - (n - 3));
}

static void is_bounded(void **state UNUSED)
{
    for (uint32_t i = 0; i < HISTORY_TRACKS; i++)
        assert_int_equal(history_take(table, 1 + i % 3), i + 1);
    assert_int_equal(history_take(table, 1), 0);
    assert_int_equal(history_take(table, 4), 0);
    history_drop(table, 2);
    assert_int_equal(table->taken, HISTORY_TRACKS - HISTORY_TRACKS / 3);
    assert_null(history_at(table, 2, 2));
    struct history_track *t = taken(4);
    assert_int_equal(history_read(t, states, at_us), 0); /* nothing is left of whose it was */
    assert_int_equal(history_top(table), HISTORY_TRACKS);
}

static void knows_whose_it_is(void **state UNUSED)
{
    uint32_t number = history_take(table, 7);
    assert_non_null(history_at(table, number, 7));
    assert_null(history_at(table, number, 8));
    assert_null(history_at(table, 0, 7));
    assert_null(history_at(table, UINT32_MAX, 7));
    assert_null(history_at(table, HISTORY_TRACKS + 1, 7));
}

static void the_dead_cut_what_was_in_flight(void **state UNUSED)
{
    struct history_track *busy = taken(7), *idle = taken(7), *closed = taken(7), *others = taken(8);
    history_note(busy, HISTORY_IN_FLIGHT, 0);
    history_note(idle, HISTORY_IDLE, 0);
    history_note(closed, HISTORY_IN_FLIGHT, 0);
    history_note(closed, HISTORY_CLOSED, 5);
    history_note(others, HISTORY_IN_FLIGHT, 0);
    history_died(table, 7, 99);
    assert_true(busy->cut && !idle->cut && !closed->cut && !others->cut);
    check_changes(busy, 2, (uint8_t[]){HISTORY_IN_FLIGHT, HISTORY_CLOSED}, (uint64_t[]){0, 99});
    check_changes(closed, 2, (uint8_t[]){HISTORY_IN_FLIGHT, HISTORY_CLOSED}, (uint64_t[]){0, 5});
    check_changes(others, 1, (uint8_t[]){HISTORY_IN_FLIGHT}, (uint64_t[]){0});
}

/* Another process, which may be anybody's by now, can write there what it likes. */
static void trusts_no_word(void **state UNUSED)
{
    struct history_track *t = taken(7);
    memset(&t->count, 0xff, sizeof *t - sizeof t->serial);
    assert_int_equal(history_read(t, states, at_us), 0);
    history_note(t, HISTORY_IDLE, 1);
    for (unsigned i = 0; i < HISTORY_CHANGES; i++)
        t->change[i] = (uint64_t)(HISTORY_CHANGES - i) << 8 | (i % 2 ? HISTORY_IDLE : HISTORY_EOF);
    assert_int_equal(history_read(t, states, at_us), HISTORY_CHANGES);
    table->top = table->hint = UINT32_MAX;
    assert_int_equal(history_top(table), HISTORY_TRACKS);
    assert_int_not_equal(history_take(table, 9), 0);
    history_died(table, 7, 1);
    history_drop(table, 7);
}

static void names_every_state(void **state UNUSED)
{
    assert_string_equal(history_state_name(HISTORY_IN_FLIGHT), "in_flight");
    assert_string_equal(history_state_name(HISTORY_CLOSED), "closed");
    assert_string_equal(history_state_name(HISTORY_STATES), "unknown");
    for (unsigned i = 0; i < HISTORY_STATES; i++)
        assert_non_null(history_state_name(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_changes, fresh, done),
        cmocka_unit_test_setup_teardown(drops_what_took_no_time, fresh, done),
        cmocka_unit_test_setup_teardown(sorts_what_two_threads_noted, fresh, done),
        cmocka_unit_test_setup_teardown(a_busy_connection_keeps_its_end, fresh, done),
        cmocka_unit_test_setup_teardown(is_bounded, fresh, done),
        cmocka_unit_test_setup_teardown(knows_whose_it_is, fresh, done),
        cmocka_unit_test_setup_teardown(the_dead_cut_what_was_in_flight, fresh, done),
        cmocka_unit_test_setup_teardown(trusts_no_word, fresh, done),
        cmocka_unit_test_setup_teardown(names_every_state, fresh, done),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
