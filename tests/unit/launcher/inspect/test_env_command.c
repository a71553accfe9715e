/* test_env_command.c: command lines of env, read as coreutils' env reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/inspect/env_command.h"

static struct env_command line;
static struct env_command_outcome outcome;

static const char *read_words(const char *const *words)
{
    memset(&line, 0, sizeof line);
    for (; words[line.count]; line.count++)
        line.words[line.count] = words[line.count];
    return env_command_read(&line, &outcome);
}

/* The words from the command on, joined by |. */
static const char *command(void)
{
    static char joined[4096];
    joined[0] = '\0';
    for (unsigned i = outcome.command; i < line.count; i++) {
        strcat(joined, i > outcome.command ? "|" : "");
        strcat(joined, line.words[i]);
    }
    return joined;
}

static const struct {
    const char *words[8], *command;
} commands[] = {
    {{"env", "server"}, "server"},
    {{"env"}, ""},
    {{"env", "A=b", "C==", "server", "D=e"}, "server|D=e"},
    {{"env", "-i", "-", "--", "server", "-x"}, "server|-x"},
    {{"env", "-u", "A", "-uB", "--unset=C", "server"}, "server"},
    {{"env", "--unset", "C", "-v0", "server"}, "server"},
    {{"env", "--ignore-signal=PIPE", "--debug", "--block-signal", "server"}, "server"},
    {{"env", "-S server -x  y\t", "script"}, "server|-x|y|script"},
    {{"env", "-S", "A=b server", "script"}, "server|script"},
    {{"env", "-vS-u X server", "script"}, "server|script"},
    {{"env", "--split-string=server a", "e"}, "server|a|e"},
    {{"env", "-S", " \v\f", "e"}, "e"},
    {{"env", "-S", "-S server x", "e"}, "server|x|e"},
};

static void finds_the_command(void **state UNUSED)
{
    for (unsigned i = 0; i < COUNT(commands); i++) {
        const char *wrong = read_words(commands[i].words);
        if (wrong || strcmp(command(), commands[i].command) != 0)
            fail_msg("%u: %s, %s, not %s", i, wrong ? wrong : "fine", command(), commands[i].command);
    }
}

static void refuses(void **state UNUSED)
{
    static const char *const bad[][4] = {
        {"env", "-x", "server"},
        {"env", "--nonsense", "server"},
        {"env", "-u"},
        {"env", "-S"},
    };
    for (unsigned i = 0; i < COUNT(bad); i++)
        if (!read_words(bad[i]))
            fail_msg("%u is fine: %s", i, command());
}

static void leaves_open_what_is_more_than_words(void **state UNUSED)
{
    static const char *const strings[] = {"server 'a b'", "server \"a\"", "a\\_b", "${SERVER}", "server #x", "-i 'x"};
    for (unsigned i = 0; i < COUNT(strings); i++) {
        assert_non_null(read_words((const char *[]){"env", "-S", strings[i], "e", NULL}));
        assert_true(outcome.unexamined);
    }
    assert_non_null(read_words((const char *[]){"env", "-x", NULL}));
    assert_false(outcome.unexamined);
}

static void knows_what_becomes_of_the_environment(void **state UNUSED)
{
    read_words((const char *[]){"env", "PATH=/x:/y", "server", NULL});
    assert_string_equal(outcome.path, "/x:/y");
    assert_false(outcome.preload_gone);
    read_words((const char *[]){"env", "-i", "server", NULL});
    assert_true(outcome.path_gone && outcome.preload_gone);
    read_words((const char *[]){"env", "-i", "PATH=/x", "server", NULL});
    assert_true(!outcome.path_gone && outcome.preload_gone);
    read_words((const char *[]){"env", "-uLD_PRELOAD", "--chdir=/tmp", "server", NULL});
    assert_true(!outcome.path_gone && outcome.preload_gone);
    assert_string_equal(outcome.chdir, "/tmp");
    read_words((const char *[]){"env", "LD_PRELOAD=/lib/other.so", "server", NULL});
    assert_true(outcome.preload_gone);
    read_words((const char *[]){"env", "-i", "LD_PRELOAD=/usr/lib/liblastcall.so", "server", NULL});
    assert_false(outcome.preload_gone);
}

static void bounds(void **state UNUSED)
{
    static char many[8192], large[ENV_COMMAND_ARENA + 8] = "-S ";
    for (size_t i = 0; i + 2 < sizeof many; i += 2)
        memcpy(many + i, i ? "a " : "-S", 2);
    assert_non_null(read_words((const char *[]){"env", many, NULL}));
    memset(large + 3, 'a', sizeof large - 4);
    assert_non_null(read_words((const char *[]){"env", large, NULL}));
    memset(&line, 0, sizeof line);
    unsigned fitted = 0;
    while (env_command_insert(&line, 0, "word", 4))
        fitted++;
    assert_int_equal(fitted, ENV_COMMAND_WORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_command),
        cmocka_unit_test(refuses),
        cmocka_unit_test(leaves_open_what_is_more_than_words),
        cmocka_unit_test(knows_what_becomes_of_the_environment),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests_name("env_command", tests, NULL, NULL);
}
