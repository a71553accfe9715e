/* cli.h: what the commands of `lastcall` share: the row of a command, the row of an option, and how an error is said.
 *
 * An option has one row. The reading of the command line, the usage, the help, the completion (scripts/lastcall.bash)
 * and the guard of the man page (tests/guard/manpage.sh) all go by that row; the last two read it from the help. */
#ifndef LASTCALL_LAUNCHER_CLI_H
#define LASTCALL_LAUNCHER_CLI_H

#include "base.h"

/* Exit statuses besides 0 and those that a command's help names. */
enum { CLI_USAGE = 2 };

struct cli_option {
    const char *name;     /* without the dashes; NULL ends the table */
    char letter;          /* the short form; '\0': there is none */
    const char *argument; /* what the help calls the value, in capitals; NULL: a switch, which takes no value */
    const char *help;     /* one line or several, without a newline at the end */
    const char *fallback; /* the default, for people; NULL: off, or told by help */
    /* Puts the value into the field of settings. Returns NULL, or what is wrong with the value as the end of a
     * sentence:
     * `--clients 'many' is no number`. */
    const char *(*take)(void *settings, size_t field, const char *value);
    size_t field;
};

/* Two takers: of a switch into a bool, of a value into a const char * (argv's string, not copied). */
const char *cli_take_switch(void *settings, size_t field, const char *value);
const char *cli_take_string(void *settings, size_t field, const char *value);

struct command {
    const char *name;
    const char *words;   /* what follows the options: "FILE..." */
    const char *summary; /* one line */
    const char *about;   /* whole lines before the options; may be NULL */
    const char *help;    /* whole lines after the options; may be NULL */
    const struct cli_option *options;
    void *settings;         /* where the options go */
    bool words_are_command; /* options end at the first other word: the rest is another program's command line */
    bool has_variables;     /* one option more for each variable of core/options.h */
    size_t variables;       /* the field of these: const char *[CLI_VARIABLES_MAX], NULL = not given */
    int (*run)(int argc, char **argv); /* only the words that are no options; returns the exit status */
};

enum { CLI_VARIABLES_MAX = 32, CLI_OPTIONS_MAX = 48, CLI_NAME_MAX = 64 };

/* The option of a variable, without dashes: "log-file" for LASTCALL_LOG_FILE. row: an index of option_rows. */
void cli_variable_name(char name[CLI_NAME_MAX], unsigned row);

enum cli_outcome { CLI_READ, CLI_HELP, CLI_WRONG };

/* Reads the options in argv[1...] into settings. CLI_READ: *rest is the index of the first word that is no option (all
 * such words come last, argv is permuted for that). CLI_HELP: --help is there. CLI_WRONG: problem (size bytes) has a
 * sentence. */
enum cli_outcome cli_read(const struct command *c, void *settings, int argc, char **argv, int *rest, char *problem,
                          size_t size);

/* Usage, summary and options, on standard output. */
void cli_help(const struct command *c);

/* `lastcall: MESSAGE` on standard error, in one write. Returns status. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As cli_fail, followed by the usage of the command. Returns CLI_USAGE. */
int cli_usage(const struct command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
