/* job_control.h: the controlling terminal of a command that runs in a process group of its own. The caller blocks SIGTTOU. */
#ifndef LASTCALL_LAUNCHER_RUN_JOB_CONTROL_H
#define LASTCALL_LAUNCHER_RUN_JOB_CONTROL_H

#include "base.h"

/* A descriptor of the terminal, close-on-exec, or -1: there is none. */
int terminal_open(void);

/* Is this process group in the foreground? False if there is no terminal (fd -1). */
bool terminal_has(int fd, int group);

void terminal_give(int fd, int group);

#endif
