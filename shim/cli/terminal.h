/* terminal.h: the controlling terminal of a command that runs in a process group of its own. The caller blocks SIGTTOU. */
#ifndef LASTCALL_TERMINAL_H
#define LASTCALL_TERMINAL_H

#include "base.h"

/* A descriptor of the terminal, close-on-exec, or -1: there is none. */
int terminal_open(void);

/* Is this process group in the foreground? False if there is no terminal (fd -1). */
bool terminal_has(int fd, int group);

void terminal_give(int fd, int group);

#endif
