/* runopts: the options that mirror the variables, and the merging of LD_PRELOAD. */
#include "launcher/run/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char problem[256];

static bool read_words(struct runopts *o, const char *const *words)
{
    int n = 0;
    while (words[n])
        n++;
    problem[0] = '\0';
    return runopts_read(o, n, (char *const *)words, problem, sizeof problem);
}

#define READ(o, ...) read_words(o, (const char *const[]){"run", __VA_ARGS__, NULL})

static void every_row_has_a_place(void **state)
{
    (void)state;
    struct runopts o;
    assert_in_range(option_rows_count, 1, COUNT(o.value));
    for (unsigned i = 0; i < option_rows_count; i++) {
        char name[RUNOPTS_NAME_MAX], joined[RUNOPTS_NAME_MAX + 8];
        runopts_name(name, &option_rows[i]);
        assert_true(strncmp(name, "--", 2) == 0 && strlen(name) < RUNOPTS_NAME_MAX - 1);
        assert_true(READ(&o, name, "value", "command"));
        assert_string_equal(o.value[i], "value");
        assert_int_equal(o.command, 3);
        snprintf(joined, sizeof joined, "%s=v=w", name);
        assert_true(READ(&o, joined, "command"));
        assert_string_equal(o.value[i], "v=w");
        assert_int_equal(o.command, 2);
    }
}

static void where_the_command_begins(void **state)
{
    (void)state;
    struct runopts o;
    assert_true(READ(&o, "server", "--timeout", "x"));
    assert_int_equal(o.command, 1);
    assert_true(READ(&o, "--exec", "--", "--odd-name"));
    assert_int_equal(o.command, 3);
    assert_true(o.exec);
    assert_true(READ(&o, "--preload", "/a.so", "-", "-x"));
    assert_int_equal(o.command, 3);
    assert_string_equal(o.preload, "/a.so");
    assert_false(o.outside);
    assert_true(READ(&o, "--outside", "--timeout", "5s", "server"));
    assert_true(o.outside && o.command == 4);
    assert_true(READ(&o, "--exec"));
    assert_int_equal(o.command, 2);
    assert_true(READ(&o, "--idle", "1s", "--idle", "2s", "c"));
    assert_int_equal(o.command, 5);
}

static void what_is_wrong(void **state)
{
    (void)state;
    struct runopts o;
    assert_false(READ(&o, "--tim", "25s", "c"));
    assert_string_equal(problem, "there is no option '--tim'");
    assert_false(READ(&o, "--timeouts=1", "c"));
    assert_false(READ(&o, "-t", "c"));
    assert_false(READ(&o, "--timeout"));
    assert_string_equal(problem, "the option '--timeout' wants a value");
    assert_false(READ(&o, "--timeout", "--", "c"));
    assert_false(READ(&o, "--timeout=", "c"));
    assert_false(READ(&o, "--preload", "", "c"));
}

static void complaints(void **state)
{
    (void)state;
    struct runopts o;
    char said[512];
    const struct options_error of_timeout = {"LASTCALL_TIMEOUT=q\"", 16, "q\"", "25s", false};
    const struct options_error of_nothing = {"LASTCALL_X=1", 10, "1", "", true};
    assert_true(READ(&o, "--timeout", "q\"", "c"));
    runopts_error(said, sizeof said, &o, &of_timeout);
    assert_string_equal(said,
                        "--timeout \"q\\\"\" cannot be read, so the command is not started; by default it is 25s");
    assert_true(READ(&o, "c"));
    runopts_error(said, sizeof said, &o, &of_timeout);
    assert_string_equal(
        said, "LASTCALL_TIMEOUT=\"q\\\"\" cannot be read, so the command is not started; by default it is 25s");
    runopts_error(said, sizeof said, &o, &of_nothing);
    assert_string_equal(said, "LASTCALL_X is not a variable of lastcall; it is not used");
    char small[24];
    runopts_error(small, sizeof small, &o, &of_timeout);
    assert_int_equal(strlen(small), sizeof small - 1);
}

static void preloads(void **state)
{
    static const struct {
        const char *old, *merged;
    } cases[] = {
        {"", "/us.so"},
        {"/a.so", "/us.so:/a.so"},
        {"/us.so", "/us.so"},
        {"/us.so:/us.so /us.so", "/us.so"},
        {"/a.so /us.so:/b.so", "/us.so:/a.so:/b.so"},
        {" ::/a.so::  /b.so: ", "/us.so:/a.so:/b.so"},
        {"/us.so.2 /x/us.so us.so /x/plus.so", "/us.so:/us.so.2:/x/plus.so"},
    };
    (void)state;
    for (unsigned i = 0; i < COUNT(cases); i++) {
        char out[64];
        size_t need = strlen("/us.so") + strlen(cases[i].old) + 2;
        assert_true(runopts_preload(out, need, "/us.so", cases[i].old));
        assert_string_equal(out, cases[i].merged);
        assert_false(runopts_preload(out, strlen(cases[i].merged), "/us.so", cases[i].old));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_place),
        cmocka_unit_test(where_the_command_begins),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(complaints),
        cmocka_unit_test(preloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
