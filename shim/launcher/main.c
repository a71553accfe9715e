/* main.c: the table of commands, by which dispatch and help walk. */
#include "launcher/commands.h"

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

static int help(FILE *to)
{
    fputs("usage: lastcall COMMAND [options]\n\n", to);
    for (unsigned i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nlastcall COMMAND --help tells more; the manual: lastcall(1), lastcall(7).\n", to);
    return 0;
}

static int dispatch(const struct command *c, int argc, char **argv)
{
    char problem[1024];
    int rest = 1;
    switch (cli_read(c, c->settings, argc, argv, &rest, problem, sizeof problem)) {
    case CLI_READ: return c->run(argc - rest, argv + rest);
    case CLI_HELP: cli_help(c); return 0;
    case CLI_WRONG: break;
    }
    return cli_usage(c, "%s", problem);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(stdout);
    const struct command *c = find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
    if (!c)
        return cli_fail(CLI_USAGE, "there is no command '%s'; lastcall --help names them", argv[1]);
    return dispatch(c, argc - 1, argv + 1);
}
