/* loop.h: one step of the drain: count what is outstanding, decide what follows (core/drain.h), do it. Drain thread
 * only. */
#ifndef LASTCALL_DRAIN_LOOP_H
#define LASTCALL_DRAIN_LOOP_H

#include "core/drain.h"

/* A drain begins: forget the one before. */
void loop_begin(void);

/* One step. *wake_at: when the next one is due though nothing changes; 0: never. False: the drain is over, and there is
 * no next one. */
bool loop_step(nsec_t *wake_at);

/* An event of the private epoll set. True: it was the death of a process of our group. */
bool loop_peer_event(uint64_t token);

#endif
