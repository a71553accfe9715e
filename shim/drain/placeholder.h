/* placeholder.h: a listener that no client can ever connect to takes the number of one that has stopped accepting, so
 * that the kernel's listener can be closed while the program still has it (DESIGN section 5). Any thread, any signal
 * handler. */
#ifndef LASTCALL_DRAIN_PLACEHOLDER_H
#define LASTCALL_DRAIN_PLACEHOLDER_H

#include "track/listeners.h"

/* A thread that waits in accept or poll keeps the kernel's listener open, to clients that would never be served. */
enum placeholder_old {
    PLACEHOLDER_SHUT,      /* no process needs the listener any more: it is shut down, and all of them wake up */
    PLACEHOLDER_INTERRUPT, /* it is left to other processes: the threads of this process are interrupted */
    PLACEHOLDER_KEEP,      /* another process of the group shuts it down */
};

/* False: the listener stays, until the process ends. The last process to do this resets every client in the queue: the
 * queue must be empty. */
bool placeholder_put(struct listener *l, enum placeholder_old old);

#endif
