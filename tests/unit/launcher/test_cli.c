/* test_cli.c: how the options of a command are read: the table's rows, and each way in which a command line is
 * wrong. */
#include "launcher/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct settings {
    bool loud, quick;
    const char *file, *title;
};

static const char *take_file(void *settings, size_t field, const char *value)
{
    return value[0] == '/' ? cli_take_string(settings, field, value) : "is no absolute path";
}

static const struct cli_option options[] = {
    {"loud", 'l', NULL, "say more", NULL, cli_take_switch, offsetof(struct settings, loud)},
    {"quick", 0, NULL, "be quick", NULL, cli_take_switch, offsetof(struct settings, quick)},
    {"file", 'f', "FILE", "where", NULL, take_file, offsetof(struct settings, file)},
    {"title", 0, "TEXT", "what is over it", "none", cli_take_string, offsetof(struct settings, title)},
    {0},
};

static struct command command = {.name = "toy", .words = "WORD", .summary = "a toy", .options = options};
static struct settings got;
static char problem[256], *argv[16];
static int rest;

static enum cli_outcome read_words(const char *const *words)
{
    int n = 0;
    memset(argv, 0, sizeof argv);
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    got = (struct settings){0};
    problem[0] = '\0';
    return cli_read(&command, &got, n, argv, &rest, problem, sizeof problem);
}

#define READ(...) read_words((const char *const[]){"toy", __VA_ARGS__, NULL})

static void reads_each_form(void **state UNUSED)
{
    assert_int_equal(READ("--loud", "--file", "/a", "--title=x=y", "word"), CLI_READ);
    assert_true(got.loud && !got.quick && rest == 5);
    assert_string_equal(got.file, "/a");
    assert_string_equal(got.title, "x=y");
    assert_int_equal(READ("-lf", "/b"), CLI_READ);
    assert_true(got.loud);
    assert_string_equal(got.file, "/b");
    assert_int_equal(READ("-f/c", "--", "--loud"), CLI_READ);
    assert_string_equal(got.file, "/c");
    assert_false(got.loud);
    assert_string_equal(argv[rest], "--loud");
    assert_int_equal(read_words((const char *const[]){"toy", NULL}), CLI_READ);
    assert_int_equal(rest, 1);
}

static void options_may_follow_words(void **state UNUSED)
{
    assert_int_equal(READ("word", "--loud", "-"), CLI_READ);
    assert_true(got.loud);
    assert_string_equal(argv[rest], "word");
    assert_string_equal(argv[rest + 1], "-");
    command.words_are_command = true;
    assert_int_equal(READ("--quick", "word", "--loud"), CLI_READ);
    command.words_are_command = false;
    assert_true(got.quick && !got.loud && rest == 2);
}

static void help_may_stand_anywhere(void **state UNUSED)
{
    assert_int_equal(READ("word", "--help"), CLI_HELP);
    assert_int_equal(READ("--file", "/a", "-h"), CLI_HELP);
    assert_int_equal(READ("--file", "--help"), CLI_WRONG); /* it is the value */
    assert_int_equal(READ("--", "--help"), CLI_READ);
}

static const struct {
    const char *words[5], *problem;
} wrong[] = {
    {{"toy", "--load"}, "there is no option '--load'"},
    {{"toy", "--lou"}, "there is no option '--lou'"},
    {{"toy", "--fil=/a"}, "there is no option '--fil=/a'"},
    {{"toy", "--hel"}, "there is no option '--hel'"},
    {{"toy", "-x"}, "there is no option '-x'"},
    {{"toy", "-lx"}, "there is no option '-x'"},
    {{"toy", "--loud=1"}, "'--loud=1': this option takes no value"},
    {{"toy", "--file"}, "the option '--file' wants a value"},
    {{"toy", "-f"}, "the option '-f' wants a value"},
    {{"toy", "--title="}, "the option '--title' wants a value"},
    {{"toy", "--title", "--", "word"}, "the option '--title' wants a value"},
    {{"toy", "--file", "a b"}, "--file 'a b' is no absolute path"},
};

static void says_what_is_wrong(void **state UNUSED)
{
    for (unsigned i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(read_words(wrong[i].words), CLI_WRONG);
        assert_string_equal(problem, wrong[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_form),
        cmocka_unit_test(options_may_follow_words),
        cmocka_unit_test(help_may_stand_anywhere),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
