/* version.c: `lastcall version`. */
#include "launcher/commands.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
    if (argc > 1)
        return cli_usage("version", "version takes no argument, not '%s'", argv[1]);
    puts("lastcall " LASTCALL_VERSION);
    return 0;
}

const struct command command_version = {"version", "", "print the version", NULL, run};
