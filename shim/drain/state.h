/* state.h: how far the drain is. Written by its thread. */
#ifndef LASTCALL_DRAIN_STATE_H
#define LASTCALL_DRAIN_STATE_H

#include "core/drain.h"

struct drain_state {
    struct drain drain;
    int tid;          /* of the drain's thread. 0: there is none; -1: there could not be one */
    uint8_t watching; /* the thread that waits for the group: 1 runs, 2 could not be made */
};
extern HIDDEN struct drain_state drain_state;

/* Threads of lastcall. */
static inline unsigned state_threads(void)
{
    return 1 + (drain_state.watching == 1);
}

void state_after_fork(void);

#endif
