/* sigmask.h: the signal mask of the calling thread. Any thread, any signal handler. */
#ifndef LASTCALL_SIGMASK_H
#define LASTCALL_SIGMASK_H

#include "base.h"

/* Block all signals. Returns what sigmask_restore wants. */
uint64_t sigmask_block_all(void);
void sigmask_restore(uint64_t old);
/* Unblock this signal if it is pending. */
void sigmask_let_in(int sig);

#endif
