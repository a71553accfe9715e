/* test_text.c: what is appended, what is escaped, and that no size of buffer is ever overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/text.h"

static char room[512];
static struct text line;

static struct text *fresh(void)
{
    text_init(&line, room, sizeof room);
    return &line;
}

static void starts_empty(void **state UNUSED)
{
    struct text *t = fresh();
    assert_string_equal(t->at, "");
    assert_int_equal(t->len, 0);
    assert_false(t->truncated);
}

static void appends(void **state UNUSED)
{
    struct text *t = fresh();
    text_str(t, "ab");
    text_char(t, 'c');
    text_bytes(t, "defg", 2);
    text_bytes(t, NULL, 0);
    text_str(t, "");
    assert_string_equal(t->at, "abcde");
    assert_int_equal(t->len, 5);
    assert_false(t->truncated);
}

static void spells_numbers(void **state UNUSED)
{
    struct text *t = fresh();
    text_u64(t, 0);
    text_char(t, ' ');
    text_u64(t, UINT64_MAX);
    text_char(t, ' ');
    text_i64(t, INT64_MIN);
    text_char(t, ' ');
    text_i64(t, INT64_MAX);
    text_char(t, ' ');
    text_i64(t, -1);
    assert_string_equal(t->at, "0 18446744073709551615 -9223372036854775808 9223372036854775807 -1");
}

static const struct {
    const char *bytes;
    size_t n;
    const char *text, *json;
} quotations[] = {
    {"", 0, "\"\"", "\"\""},
    {"plain /x?y=1&z", 14, "\"plain /x?y=1&z\"", "\"plain /x?y=1&z\""},
    {"a\"b\\c", 5, "\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\""},
    {"\0\n\r\t\x1b", 5, "\"\\x00\\x0a\\x0d\\x09\\x1b\"", "\"\\u0000\\u000a\\u000d\\u0009\\u001b\""},
    {"\x7f\x80\xff", 3, "\"\\x7f\\x80\\xff\"", "\"\\u007f\\u0080\\u00ff\""},
    {"\xc3\xa4", 2, "\"\\xc3\\xa4\"", "\"\\u00c3\\u00a4\""},
};

static void escapes(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(quotations); i++) {
        text_quoted(fresh(), quotations[i].bytes, quotations[i].n, false);
        assert_string_equal(line.at, quotations[i].text);
        text_quoted(fresh(), quotations[i].bytes, quotations[i].n, true);
        assert_string_equal(line.at, quotations[i].json);
    }
}

/* A log must never carry what a terminal or a line reader would take for a command. */
static void leaves_only_printable_ascii(void **state UNUSED)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (int json = 0; json < 2; json++) {
        char big[2048];
        struct text t;
        text_init(&t, big, sizeof big);
        text_quoted(&t, all, sizeof all, json);
        assert_false(t.truncated);
        for (size_t i = 0; i < t.len; i++)
            assert_true(t.at[i] >= ' ' && t.at[i] <= '~');
    }
}

static const struct {
    nsec_t ns;
    const char *text;
} durations[] = {
    {0, "0s"},
    {1, "1ns"},
    {999, "999ns"},
    {1000, "1us"},
    {1500, "1.5us"},
    {312456, "312us"},
    {850 * NSEC_PER_USEC, "850us"},
    {999999, "999us"},
    {NSEC_PER_MSEC, "1ms"},
    {12500 * NSEC_PER_USEC, "12.5ms"},
    {99999 * NSEC_PER_USEC, "99.9ms"},
    {999999999, "999ms"},
    {NSEC_PER_SEC, "1s"},
    {1049 * NSEC_PER_MSEC, "1s"},
    {3200 * NSEC_PER_MSEC, "3.2s"},
    {25 * NSEC_PER_SEC, "25s"},
    {86400 * NSEC_PER_SEC, "86400s"},
    {UINT64_MAX, "18446744073s"},
};

static void spells_durations(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(durations); i++) {
        text_duration(fresh(), durations[i].ns);
        assert_string_equal(line.at, durations[i].text);
    }
}

static void append_everything(struct text *t)
{
    text_str(t, "lastcall ");
    text_char(t, '#');
    text_bytes(t, "bytes", 5);
    text_u64(t, UINT64_MAX);
    text_i64(t, INT64_MIN);
    text_quoted(t, "\0\"\\\xff", 4, true);
    text_quoted(t, "\0\"\\\xff", 4, false);
    text_duration(t, 12500 * NSEC_PER_USEC);
}

/* Every size from 1 to enough, each in an allocation of exactly that size: ASan sees one byte too many. */
static void cuts_at_every_size(void **state UNUSED)
{
    append_everything(fresh());
    assert_false(line.truncated);
    for (size_t size = 1; size <= line.len + 2; size++) {
        struct text t;
        char *buffer = malloc(size);
        assert_non_null(buffer);
        text_init(&t, buffer, size);
        append_everything(&t);
        assert_int_equal(t.truncated, size <= line.len);
        assert_int_equal(t.len, t.truncated ? size - 1 : line.len);
        assert_int_equal(strlen(buffer), t.len);
        assert_memory_equal(buffer, line.at, t.len);
        free(buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(appends),
        cmocka_unit_test(spells_numbers),
        cmocka_unit_test(escapes),
        cmocka_unit_test(leaves_only_printable_ascii),
        cmocka_unit_test(spells_durations),
        cmocka_unit_test(cuts_at_every_size),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
