/* supervisor.h: the launcher as parent of its command, also as PID 1: it reaps, forwards every signal, follows job control,
 * has the servers behind a shell drain, and returns when the command has ended. */
#ifndef LASTCALL_LAUNCHER_RUN_SUPERVISOR_H
#define LASTCALL_LAUNCHER_RUN_SUPERVISOR_H

#include "core/options.h"

struct supervision {
    const struct options *options;
    const char *object;  /* that is to be loaded into the command; NULL: none is expected there */
    const char *program; /* what the command is, for messages */
    /* Called in the child, with the signals as they were found; returns the error number if it could not execute. */
    int (*execute)(void *arg);
    void *arg;
};

/* *status: the exit status of the command, 128+n if signal n has killed it; -errno: it could not be executed. False: it was not
 * started, since this process can be nobody's parent here (no process, no descriptor more is allowed: *status is -errno), and is
 * what it was before. */
bool supervisor_run(const struct supervision *what, int *status);

#endif
