/* test_conn_history.c: what is kept of each connection, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/conn_history.h"

static struct conn_history *table;
static uint8_t states[CONN_HISTORY_CHANGES];
static uint64_t at_us[CONN_HISTORY_CHANGES];

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

static struct conn_history_entry *taken(uint32_t serial)
{
    struct conn_history_entry *t = conn_history_at(table, conn_history_take(table, serial), serial);
    assert_non_null(t);
    return t;
}

/* As "idle 0, closed 5". */
static void check_changes(const struct conn_history_entry *t, unsigned count, const uint8_t *want,
                          const uint64_t *times)
{
    assert_int_equal(conn_history_read(t, states, at_us), count);
    assert_memory_equal(states, want, count);
    assert_memory_equal(at_us, times, count * sizeof *times);
}

static void keeps_changes(void **state UNUSED)
{
    struct conn_history_entry *t = taken(7);
    conn_history_note(t, CONN_HISTORY_IDLE, 0);
    conn_history_note(t, CONN_HISTORY_IDLE, 3); /* nothing new */
    conn_history_note(t, CONN_HISTORY_IN_FLIGHT, 10);
    conn_history_note(t, CONN_HISTORY_HALF_CLOSED, 12);
    conn_history_note(t, CONN_HISTORY_LINGERING, UINT32_MAX + UINT64_C(1));
    conn_history_note(t, CONN_HISTORY_CLOSED, UINT32_MAX + UINT64_C(2));
    conn_history_note(t, CONN_HISTORY_IDLE, UINT32_MAX + UINT64_C(3)); /* after the end nothing comes */
    check_changes(t, 5,
                  (uint8_t[]){CONN_HISTORY_IDLE, CONN_HISTORY_IN_FLIGHT, CONN_HISTORY_HALF_CLOSED,
                              CONN_HISTORY_LINGERING, CONN_HISTORY_CLOSED},
                  (uint64_t[]){0, 10, 12, UINT32_MAX + UINT64_C(1), UINT32_MAX + UINT64_C(2)});
    assert_int_equal(t->left_out, 0);
}

static void drops_what_took_no_time(void **state UNUSED)
{
    struct conn_history_entry *t = taken(7);
    conn_history_note(t, CONN_HISTORY_IN_FLIGHT, 0);
    conn_history_note(t, CONN_HISTORY_IDLE, 9);
    conn_history_note(t, CONN_HISTORY_HALF_CLOSED, 9);
    check_changes(t, 2, (uint8_t[]){CONN_HISTORY_IN_FLIGHT, CONN_HISTORY_HALF_CLOSED}, (uint64_t[]){0, 9});
    t = taken(7);
    conn_history_note(t, CONN_HISTORY_IN_FLIGHT, 0);
    conn_history_note(t, CONN_HISTORY_IDLE, 4);
    conn_history_note(t, CONN_HISTORY_IN_FLIGHT, 4); /* and so nothing has changed */
    check_changes(t, 1, (uint8_t[]){CONN_HISTORY_IN_FLIGHT}, (uint64_t[]){0});
}

static void sorts_what_two_threads_noted(void **state UNUSED)
{
    struct conn_history_entry *t = taken(7);
    conn_history_note(t, CONN_HISTORY_IDLE, 0);
    conn_history_note(t, CONN_HISTORY_HALF_CLOSED, 20);
    conn_history_note(t, CONN_HISTORY_IN_FLIGHT, 10);
    check_changes(t, 3, (uint8_t[]){CONN_HISTORY_IDLE, CONN_HISTORY_IN_FLIGHT, CONN_HISTORY_HALF_CLOSED},
                  (uint64_t[]){0, 10, 20});
}

/* The end of a connection finds room however often it has changed before. */
static void a_busy_connection_keeps_its_end(void **state UNUSED)
{
    struct conn_history_entry *t = taken(7);
    for (unsigned i = 0; i < 1000; i++)
        conn_history_note(t, i % 2 ? CONN_HISTORY_IN_FLIGHT : CONN_HISTORY_IDLE, i);
    conn_history_note(t, CONN_HISTORY_HALF_CLOSED, 2000);
    conn_history_note(t, CONN_HISTORY_LINGERING, 2001);
    conn_history_note(t, CONN_HISTORY_CLOSED, 2002);
    unsigned n = conn_history_read(t, states, at_us);
    assert_int_equal(n, CONN_HISTORY_CHANGES);
    assert_int_equal(states[n - 4], CONN_HISTORY_MANY);
    assert_int_equal(at_us[n - 4], n - 4);
    assert_int_equal(states[n - 1], CONN_HISTORY_CLOSED);
    assert_int_equal(at_us[n - 1], 2002);
    assert_int_equal(t->left_out, 1000 - (n - 3));
}

static void is_bounded(void **state UNUSED)
{
    for (uint32_t i = 0; i < CONN_HISTORY_ENTRIES; i++)
        assert_int_equal(conn_history_take(table, 1 + i % 3), i + 1);
    assert_int_equal(conn_history_take(table, 1), 0);
    assert_int_equal(conn_history_take(table, 4), 0);
    conn_history_drop(table, 2);
    assert_int_equal(table->taken, CONN_HISTORY_ENTRIES - CONN_HISTORY_ENTRIES / 3);
    assert_null(conn_history_at(table, 2, 2));
    struct conn_history_entry *t = taken(4);
    assert_int_equal(conn_history_read(t, states, at_us), 0); /* nothing is left of whose it was */
    assert_int_equal(conn_history_top(table), CONN_HISTORY_ENTRIES);
}

static void knows_whose_it_is(void **state UNUSED)
{
    uint32_t number = conn_history_take(table, 7);
    assert_non_null(conn_history_at(table, number, 7));
    assert_null(conn_history_at(table, number, 8));
    assert_null(conn_history_at(table, 0, 7));
    assert_null(conn_history_at(table, UINT32_MAX, 7));
    assert_null(conn_history_at(table, CONN_HISTORY_ENTRIES + 1, 7));
}

static void the_dead_abort_what_was_in_flight(void **state UNUSED)
{
    struct conn_history_entry *busy = taken(7), *idle = taken(7), *closed = taken(7), *others = taken(8);
    conn_history_note(busy, CONN_HISTORY_IN_FLIGHT, 0);
    conn_history_note(idle, CONN_HISTORY_IDLE, 0);
    conn_history_note(closed, CONN_HISTORY_IN_FLIGHT, 0);
    conn_history_note(closed, CONN_HISTORY_CLOSED, 5);
    conn_history_note(others, CONN_HISTORY_IN_FLIGHT, 0);
    conn_history_died(table, 7, 99);
    assert_true(busy->aborted && !idle->aborted && !closed->aborted && !others->aborted);
    check_changes(busy, 2, (uint8_t[]){CONN_HISTORY_IN_FLIGHT, CONN_HISTORY_CLOSED}, (uint64_t[]){0, 99});
    check_changes(closed, 2, (uint8_t[]){CONN_HISTORY_IN_FLIGHT, CONN_HISTORY_CLOSED}, (uint64_t[]){0, 5});
    check_changes(others, 1, (uint8_t[]){CONN_HISTORY_IN_FLIGHT}, (uint64_t[]){0});
}

/* Another process, which may be anybody's by now, can write there what it likes. */
static void trusts_no_word(void **state UNUSED)
{
    struct conn_history_entry *t = taken(7);
    memset(&t->count, 0xff, sizeof *t - sizeof t->serial);
    assert_int_equal(conn_history_read(t, states, at_us), 0);
    conn_history_note(t, CONN_HISTORY_IDLE, 1);
    for (unsigned i = 0; i < CONN_HISTORY_CHANGES; i++)
        t->change[i] = (uint64_t)(CONN_HISTORY_CHANGES - i) << 8 | (i % 2 ? CONN_HISTORY_IDLE : CONN_HISTORY_CLOSING);
    assert_int_equal(conn_history_read(t, states, at_us), CONN_HISTORY_CHANGES);
    table->top = table->hint = UINT32_MAX;
    assert_int_equal(conn_history_top(table), CONN_HISTORY_ENTRIES);
    assert_int_not_equal(conn_history_take(table, 9), 0);
    conn_history_died(table, 7, 1);
    conn_history_drop(table, 7);
}

static void names_every_state(void **state UNUSED)
{
    assert_string_equal(conn_history_state_name(CONN_HISTORY_IN_FLIGHT), "in_flight");
    assert_string_equal(conn_history_state_name(CONN_HISTORY_CLOSED), "closed");
    assert_string_equal(conn_history_state_name(CONN_HISTORY_STATES), "unknown");
    for (unsigned i = 0; i < CONN_HISTORY_STATES; i++)
        assert_non_null(conn_history_state_name(i));
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
        cmocka_unit_test_setup_teardown(the_dead_abort_what_was_in_flight, fresh, done),
        cmocka_unit_test_setup_teardown(trusts_no_word, fresh, done),
        cmocka_unit_test_setup_teardown(names_every_state, fresh, done),
    };
    return cmocka_run_group_tests_name("conn_history", tests, NULL, NULL);
}
