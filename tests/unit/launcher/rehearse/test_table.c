/* test_table.c: two outcomes side by side, to the column; the bar; no buffer is ever overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/rehearse/table.h"

static char room[4096];
static struct text out;

static struct text *fresh(void)
{
    text_init(&out, room, sizeof room);
    return &out;
}

#define MS NSEC_PER_MSEC

static void head(void **state UNUSED)
{
    rehearse_table_head(fresh());
    assert_string_equal(room, "           without lastcall                    with lastcall\n"
                              "          served  LOST   delay    gone  exit  served  LOST   delay    gone  exit\n");
}

static void plain(void **state UNUSED)
{
    struct rehearse_row row = {
        "hammer",
        {{.served = 412, .lost = {[LOAD_RESET] = 16}, .exit_delay = 300000, .gone = 2 * MS, .status = 143},
         {.served = 1020, .exit_delay = 1900000, .gone = 1500 * MS}}};
    rehearse_table_row(fresh(), &row);
    assert_string_equal(room, "hammer       412    16   300us     2ms   143    1020     0   1.9ms    1.5s     0\n"
                              "           16 reset\n");
}

static void every_remark(void **state UNUSED)
{
    struct rehearse_side all = {.served = 1, .idle_closed = 7, .idle_reset = 8, .left = 9, .status = 1};
    for (int i = LOAD_RESET; i < LOAD_CLASSES; i++)
        all.lost[i] = 10;
    struct rehearse_row row = {"think", {{.served = 1, .idle_closed = 3}, all}};
    rehearse_table_row(fresh(), &row);
    assert_string_equal(room, "think          1     0      0s      0s     0       1    50      0s      0s     1\n"
                              "           3 idle closed                       10 reset, 10 truncated, 10 bad,\n"
                              "                                               10 keepalive_race, 10 timeout,\n"
                              "                                               7 idle closed, 8 idle RESET,\n"
                              "                                               9 left running\n");
}

static void never(void **state UNUSED)
{
    struct rehearse_row row = {"reuse", {{.served = 5, .gone = 35 * NSEC_PER_SEC, .killed = true}, {.served = 0}}};
    rehearse_table_row(fresh(), &row);
    assert_string_equal(room, "reuse          5     0       -     35s never       0     0       -      0s     0\n");
}

static void widths(void **state UNUSED)
{
    struct rehearse_side big = {
        .served = 9999999, .exit_delay = 99900 * NSEC_PER_USEC, .gone = 3599 * NSEC_PER_SEC, .status = 255};
    big.lost[LOAD_BAD] = 99999;
    struct rehearse_row row = {"inflight", {big, big}};
    rehearse_table_row(fresh(), &row);
    assert_int_equal(strchr(room, '\n') - room, 80);
    for (const char *line = room; *line; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line <= 80);
}

static void verdict(void **state UNUSED)
{
    struct rehearse_row rows[2] = {
        {"a", {{.served = 10, .lost = {[LOAD_RESET] = 3}}, {.served = 20}}},
        {"b", {{.served = 1, .lost = {[LOAD_BAD] = 1}}, {.served = 4, .lost = {[LOAD_TIMEOUT] = 1}}}}};
    rehearse_verdict(fresh(), rows, 2);
    assert_string_equal(room, "Without lastcall 4 of 15 requests were lost; with it 1 of 25.\n");
}

static void bar(void **state UNUSED)
{
    rehearse_bar(fresh(), 30, 500, "half");
    assert_string_equal(room, "[=====>    ] half");
    rehearse_bar(fresh(), 30, 0, "a label that is too long for it");
    assert_string_equal(room, "[>         ] a label that is t");
    rehearse_bar(fresh(), 80, 1000, "all");
    assert_string_equal(room, "[========================] all");
    rehearse_bar(fresh(), 2, 5000, "narrow");
    assert_string_equal(room, "[] ");
}

static void any_buffer(void **state UNUSED)
{
    struct rehearse_side side = {.served = UINT64_MAX, .left = 4, .status = 1};
    side.lost[LOAD_RESET] = UINT64_MAX;
    struct rehearse_row row = {"a scenario of a long name", {side, side}};
    for (size_t size = 1; size < 400; size++) {
        char *small = malloc(size); /* so that the sanitizer sees each byte too many */
        text_init(&out, small, size);
        rehearse_table_head(&out);
        rehearse_table_row(&out, &row);
        rehearse_verdict(&out, &row, 1);
        rehearse_bar(&out, 40, 300, "label");
        assert_true(out.len < size && small[out.len] == 0);
        free(small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head),  cmocka_unit_test(plain),      cmocka_unit_test(every_remark),
        cmocka_unit_test(never), cmocka_unit_test(widths),     cmocka_unit_test(verdict),
        cmocka_unit_test(bar),   cmocka_unit_test(any_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
