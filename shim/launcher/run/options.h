/* options.h: the environment that the options of `lastcall run` make. The options that mirror variables are the rows
 * of option_rows: `--log-file PATH` is LASTCALL_LOG_FILE. Pure. */
#ifndef LASTCALL_LAUNCHER_RUN_OPTIONS_H
#define LASTCALL_LAUNCHER_RUN_OPTIONS_H

#include "core/options.h"
#include "launcher/cli.h"

struct run_options {
    const char *preload;                  /* path of the library; NULL: search for it */
    bool exec;                            /* do not stay as parent */
    bool external;                        /* external drain: do not load the library into the command */
    const char *value[CLI_VARIABLES_MAX]; /* for each row of option_rows; NULL: not given */
};

/* An error of options_read as a sentence that names what the caller wrote: option or variable. */
void run_options_error(char *to, size_t size, const struct run_options *o, const struct options_error *e);

/* The value of LD_PRELOAD with `ours` first, then the entries of `old` with another file name (ld.so(8): separated
 * by blanks or colons). False: the value does not fit into `to`. */
bool run_options_preload(char *to, size_t size, const char *ours, const char *old);

/* LASTCALL_SIGNALS=auto, as it is for this program with these arguments. (What a shell starts knows it by itself.) */
void run_options_settle(struct options *o, const char *program, char *const *words, bool has_terminal);

#endif
