/* options.h: the options of `lastcall run` and what they make of the environment. The options that mirror variables are
 * the rows of option_rows: `--log-file PATH` is LASTCALL_LOG_FILE. Pure. */
#ifndef LASTCALL_LAUNCHER_RUN_OPTIONS_H
#define LASTCALL_LAUNCHER_RUN_OPTIONS_H

#include "core/options.h"

struct runopts {
    const char *preload;   /* the object's path; NULL: it is looked for */
    bool exec;             /* do not stay as parent */
    bool outside;          /* put nothing into the command: drain it from outside */
    const char *value[32]; /* for each row of option_rows; NULL: not given */
    int command;           /* argv[command] is the command's first word; argc: there is none */
};

/* Read argv[1...]. False: `problem` (of size bytes) says what is wrong with it, in one sentence. */
bool runopts_read(struct runopts *o, int argc, char *const *argv, char *problem, size_t size);

/* The option of a row, "--log-file". */
enum { RUNOPTS_NAME_MAX = 64 };
void runopts_name(char name[RUNOPTS_NAME_MAX], const struct option_row *row);

/* An error of options_read as a sentence that says what the caller wrote: option or variable. */
void runopts_error(char *to, size_t size, const struct runopts *o, const struct options_error *e);

/* The value of LD_PRELOAD with `ours` first and, of what was there, everything of another file name (ld.so(8): separated by
 * blanks or colons). False: there is no room in `to`. */
bool runopts_preload(char *to, size_t size, const char *ours, const char *old);

#endif
