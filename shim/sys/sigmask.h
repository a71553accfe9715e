/* sigmask.h: the signal mask of the calling thread. Any thread, any signal handler. */
#ifndef LASTCALL_SIGMASK_H
#define LASTCALL_SIGMASK_H

#include "base.h"

/* Block all signals. Returns what sigmask_restore wants. */
uint64_t sigmask_block_all(void);
void sigmask_restore(uint64_t old);

/* Around a call of lastcall's own that may raise a signal in the calling thread where it fails (write(2): SIGPIPE,
 * SIGXFSZ), which would end the program: nobody sees it. sig: what the call has raised; 0: nothing. */
struct sigmask_raising {
    uint64_t mask, pending; /* before */
};
void sigmask_raising_begin(struct sigmask_raising *before);
void sigmask_raising_end(const struct sigmask_raising *before, int sig);

/* Unblock this signal if it is pending. */
void sigmask_let_in(int sig);

#endif
