/* options.h: what the options of `lastcall run` make of the environment. The options that mirror variables are the rows of
 * option_rows: `--log-file PATH` is LASTCALL_LOG_FILE. Pure. */
#ifndef LASTCALL_LAUNCHER_RUN_OPTIONS_H
#define LASTCALL_LAUNCHER_RUN_OPTIONS_H

#include "core/options.h"
#include "launcher/cli.h"

struct run_options {
    const char *preload;                  /* the object's path; NULL: it is looked for */
    bool exec;                            /* do not stay as parent */
    bool external;                        /* put nothing into the command: drain it from outside */
    const char *value[CLI_VARIABLES_MAX]; /* for each row of option_rows; NULL: not given */
};

/* An error of options_read as a sentence that names what the caller wrote: option or variable. */
void run_options_error(char *to, size_t size, const struct run_options *o, const struct options_error *e);

/* The value of LD_PRELOAD with `ours` first and, of what was there, everything of another file name (ld.so(8): separated by
 * blanks or colons). False: there is no room in `to`. */
bool run_options_preload(char *to, size_t size, const char *ours, const char *old);

#endif
