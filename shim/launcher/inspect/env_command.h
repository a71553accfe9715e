/* env_command.h: the words of a command line as env(1) of coreutils reads them. Pure but for getenv. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ENV_COMMAND_H
#define LASTCALL_LAUNCHER_INSPECT_ENV_COMMAND_H

#include "base.h"

enum { ENVLINE_WORDS = 128, ENVLINE_ARENA = 16384 };

struct envline {
    const char *words[ENVLINE_WORDS]; /* of the whole command */
    unsigned count;
    char arena[ENVLINE_ARENA]; /* where words live that came from a file or from -S */
    size_t used;
};

/* Puts this word before those from `at` on; false = no room. The word is copied. */
bool envline_insert(struct envline *e, unsigned at, const char *word, size_t n);

/* Takes away words[at] and the n - 1 after it. */
void envline_drop(struct envline *e, unsigned at, unsigned n);

struct envline_outcome {
    unsigned command;  /* the word that env would run; == count: none, it prints the environment */
    const char *path;  /* PATH as an assignment sets it; NULL = as it was */
    const char *chdir; /* --chdir; NULL = none */
    bool path_gone;    /* PATH is unset */
    bool preload_gone; /* LD_PRELOAD is unset or replaced */
};

/* words[0] is env itself. NULL, or what env would complain of. -S strings are split in place. */
const char *envline_read(struct envline *e, struct envline_outcome *outcome);

#endif
