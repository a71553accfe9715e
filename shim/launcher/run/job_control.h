/* job_control.h: the controlling terminal of a command that runs in a process group of its own. The caller blocks
 * all signals. */
#ifndef LASTCALL_LAUNCHER_RUN_JOB_CONTROL_H
#define LASTCALL_LAUNCHER_RUN_JOB_CONTROL_H

#include "base.h"

/* A descriptor of the terminal, close-on-exec, or -1: there is none. */
int job_control_open(void);

/* Is this process group in the foreground? False if there is no terminal (fd -1). */
bool job_control_has(int fd, int group);

void job_control_give(int fd, int group);

/* The child, which leads a process group, was stopped by `signo`: this process's job stops too. When that job is
 * continued, the child is continued as well, in the foreground if this process is. */
void job_control_stopped(int fd, int child, int signo);

#endif
