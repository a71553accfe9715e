/* env_command.h: the words of a command line as env(1) of coreutils reads them. Pure. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ENV_COMMAND_H
#define LASTCALL_LAUNCHER_INSPECT_ENV_COMMAND_H

#include "base.h"

enum { ENV_COMMAND_WORDS = 128, ENV_COMMAND_ARENA = 16384 };

struct env_command {
    const char *words[ENV_COMMAND_WORDS]; /* of the whole command */
    unsigned count;
    char arena[ENV_COMMAND_ARENA]; /* where words live that came from a file or from -S */
    size_t used;
};

/* Puts this word before those from `at` on; false = no room. The word is copied. */
bool env_command_insert(struct env_command *e, unsigned at, const char *word, size_t n);

/* Takes away words[at] and the n - 1 after it. */
void env_command_drop(struct env_command *e, unsigned at, unsigned n);

struct env_command_outcome {
    unsigned command;  /* the word that env would run; == count: none, it prints the environment */
    const char *path;  /* PATH as an assignment sets it; NULL = as it was */
    const char *chdir; /* --chdir; NULL = none */
    bool path_gone;    /* PATH is unset */
    bool preload_gone; /* LD_PRELOAD is unset or replaced */
    bool unexamined;   /* env would start something, but -S says what in more than plain words */
};

/* words[0] is env itself. -S strings of plain words are split in place. NULL, or what env would say is wrong; with
 * unexamined, what has not been read. */
const char *env_command_read(struct env_command *e, struct env_command_outcome *outcome);

#endif
