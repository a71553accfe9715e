/* check.c: `lastcall check`. */
#include "commands.h"
#include "verdict.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("check", "check needs a FILE");
    int worst = 0;
    for (int i = 1; i < argc; i++) {
        static struct elf_facts facts;
        struct verdict v;
        elfscan_program(argv[i], &facts);
        verdict_of(&facts, &v);
        printf("%s: %s: %s\n", argv[i], verdict_name(v.kind), v.reasons[0]);
        int status = v.kind == VERDICT_FULL ? 0 : v.kind == VERDICT_NONE ? 2 : 1;
        worst = status > worst ? status : worst;
    }
    return worst;
}

const struct command command_check = {"check", "FILE...", "say what can be done for a program", NULL, run};
