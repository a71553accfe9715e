/* version.c: `lastcall version`. */
#include "launcher/commands.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
    if (argc > 0)
        return cli_usage(&command_version, "version takes no argument, not '%s'", argv[0]);
    puts("lastcall " LASTCALL_VERSION);
    return 0;
}

const struct command command_version = {.name = "version", .words = "", .summary = "print the version", .run = run};
