/* supervisor.h: the launcher as parent of its command, also as PID 1. The launcher reaps children, forwards every
 * signal, follows job control, drains servers that descend from a shell, and returns when the command has ended. */
#ifndef LASTCALL_LAUNCHER_RUN_SUPERVISOR_H
#define LASTCALL_LAUNCHER_RUN_SUPERVISOR_H

#include "core/options.h"

struct supervision {
    const struct options *options;
    const char *object;  /* the library that is to be loaded into the command; NULL: none is expected there */
    const char *program; /* what the command is, for messages */
    /* Called in the child, with the signals as they were found; returns the error number if it could not execute. */
    int (*execute)(void *arg);
    void *arg;
};

/* *status: the exit status of the command, 128+n if signal n has killed the command; -errno: the command could not
 * be executed. False: the command was not started, since this process cannot have a child here (the process or
 * descriptor limit is reached: *status is -errno); this process is as it was before. */
bool supervisor_run(const struct supervision *what, int *status);

#endif
