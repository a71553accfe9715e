/* runopts: the options that mirror the variables, and the merging of LD_PRELOAD. */
#include "launcher/commands.h"
#include "launcher/run/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char problem[256];

/* Reads a command line of `lastcall run`; returns how many words the options take, with the name of the command. -1:
 * problem. */
static int read_words(struct run_options *o, const char *const *words)
{
    char *argv[16] = {NULL};
    int n = 0, rest = 0;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    *o = (struct run_options){0};
    problem[0] = '\0';
    return cli_read(&command_run, o, n, argv, &rest, problem, sizeof problem) == CLI_READ ? rest : -1;
}

#define READ(o, ...) read_words(o, (const char *const[]){"run", __VA_ARGS__, NULL})

static void every_row_has_a_place(void **state)
{
    (void)state;
    struct run_options o;
    assert_in_range(option_rows_count, 1, COUNT(o.value));
    for (unsigned i = 0; i < option_rows_count; i++) {
        char name[CLI_NAME_MAX], spelt[CLI_NAME_MAX + 2], joined[CLI_NAME_MAX + 8];
        cli_variable_name(name, i);
        assert_true(strlen(name) < CLI_NAME_MAX - 1);
        snprintf(spelt, sizeof spelt, "--%s", name);
        assert_int_equal(READ(&o, spelt, "value", "command"), 3);
        assert_string_equal(o.value[i], "value");
        snprintf(joined, sizeof joined, "--%s=v=w", name);
        assert_int_equal(READ(&o, joined, "command"), 2);
        assert_string_equal(o.value[i], "v=w");
    }
}

static void where_the_command_begins(void **state)
{
    (void)state;
    struct run_options o;
    assert_int_equal(READ(&o, "server", "--timeout", "x"), 1);
    assert_int_equal(READ(&o, "--exec", "--", "--odd-name"), 3);
    assert_true(o.exec);
    assert_int_equal(READ(&o, "--preload", "/a.so", "-", "-x"), 3);
    assert_string_equal(o.preload, "/a.so");
    assert_false(o.external);
    assert_int_equal(READ(&o, "--external", "--timeout", "5s", "server"), 4);
    assert_true(o.external);
    assert_int_equal(READ(&o, "--exec"), 2);
    assert_int_equal(READ(&o, "--idle", "1s", "--idle", "2s", "c"), 5);
}

static void what_is_wrong(void **state)
{
    (void)state;
    struct run_options o;
    assert_int_equal(READ(&o, "--tim", "25s", "c"), -1);
    assert_string_equal(problem, "there is no option '--tim'");
    assert_int_equal(READ(&o, "--timeouts=1", "c"), -1);
    assert_int_equal(READ(&o, "-t", "c"), -1);
    assert_int_equal(READ(&o, "--timeout"), -1);
    assert_string_equal(problem, "the option '--timeout' wants a value");
    assert_int_equal(READ(&o, "--timeout", "--", "c"), -1);
    assert_int_equal(READ(&o, "--timeout=", "c"), -1);
    assert_int_equal(READ(&o, "--preload", "", "c"), -1);
}

static void says_what_cannot_be_read(void **state)
{
    (void)state;
    struct run_options o;
    char said[512];
    const struct options_error of_timeout = {"LASTCALL_TIMEOUT=q\"", 16, "q\"", "25s", false};
    const struct options_error of_nothing = {"LASTCALL_X=1", 10, "1", "", true};
    assert_int_equal(READ(&o, "--timeout", "q\"", "c"), 3);
    run_options_error(said, sizeof said, &o, &of_timeout);
    assert_string_equal(said,
                        "--timeout \"q\\\"\" cannot be read, so the command is not started; by default it is 25s");
    assert_int_equal(READ(&o, "c"), 1);
    run_options_error(said, sizeof said, &o, &of_timeout);
    assert_string_equal(
        said, "LASTCALL_TIMEOUT=\"q\\\"\" cannot be read, so the command is not started; by default it is 25s");
    run_options_error(said, sizeof said, &o, &of_nothing);
    assert_string_equal(said, "LASTCALL_X is not a variable of lastcall; it is not used");
    char small[24];
    run_options_error(small, sizeof small, &o, &of_timeout);
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
        assert_true(run_options_preload(out, need, "/us.so", cases[i].old));
        assert_string_equal(out, cases[i].merged);
        assert_false(run_options_preload(out, strlen(cases[i].merged), "/us.so", cases[i].old));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_place),
        cmocka_unit_test(where_the_command_begins),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(says_what_cannot_be_read),
        cmocka_unit_test(preloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
