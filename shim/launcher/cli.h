/* cli.h: what the commands of `lastcall` share: the table's row, and how they say what is wrong. */
#ifndef LASTCALL_LAUNCHER_CLI_H
#define LASTCALL_LAUNCHER_CLI_H

#include "base.h"

/* Exit statuses besides 0 and what a command's own page says. */
enum { CLI_USAGE = 2 };

/* In the text of a command's help: here stand the options that mirror the variables. */
#define CLI_HELP_VARIABLES "\v"

struct command {
    const char *name;
    const char *usage;                 /* what follows the name */
    const char *summary;               /* one line */
    const char *help;                  /* options and exit statuses, whole lines; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
};

/* `lastcall: MESSAGE` on standard error, in one write. Returns status. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, with the command's usage behind it. Returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
