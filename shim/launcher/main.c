/* main.c: the command table, by which usage, help and dispatch walk. */
#include "launcher/commands.h"
#include "launcher/run/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// clang-format off
static const struct command *const commands[] = {
    &command_check,
    &command_run,
    &command_status,
    &command_rehearse,
    &command_timeline,
    &command_version,
};
// clang-format on

static const struct command *find(const char *name)
{
    for (unsigned i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void complain(const char *format, va_list args)
{
    char line[1024];
    int n = vsnprintf(line, sizeof line, format, args);
    (void)n;
    fprintf(stderr, "lastcall: %s\n", line);
}

int cli_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return status;
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    const struct command *c = find(command);
    if (c)
        fprintf(stderr, "usage: lastcall %s %s\n", c->name, c->usage);
    return CLI_USAGE;
}

static int help(FILE *to)
{
    fputs("usage: lastcall COMMAND [options]\n\n", to);
    for (unsigned i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nlastcall COMMAND --help tells more; the manual: lastcall(1), lastcall(7).\n", to);
    return 0;
}

static void help_on_variables(void)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        char name[RUNOPTS_NAME_MAX];
        runopts_name(name, &option_rows[i]);
        printf("  %-12s VALUE    %s (%s)\n", name, option_rows[i].meaning, option_rows[i].fallback);
    }
}

static void put_help(const char *text)
{
    size_t n = strcspn(text, CLI_HELP_VARIABLES);
    fwrite(text, 1, n, stdout);
    if (text[n] == '\0')
        return;
    help_on_variables();
    fputs(text + n + 1, stdout);
}

static int help_on(const struct command *c)
{
    printf("usage: lastcall %s %s\n\n%s\n", c->name, c->usage, c->summary);
    if (c->help) {
        putchar('\n');
        put_help(c->help);
    }
    return 0;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    if (is_help(argv[1]) || strcmp(argv[1], "help") == 0)
        return help(stdout);
    if (strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    const struct command *c = find(argv[1]);
    if (!c)
        return cli_fail(CLI_USAGE, "there is no command '%s'; lastcall --help names them", argv[1]);
    if (argc > 2 && is_help(argv[2]))
        return help_on(c);
    return c->run(argc - 1, argv + 1);
}
