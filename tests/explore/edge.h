/* edge.h: the real group/coordinator.c and drain/loop.c, with two processes' worlds instead of a kernel. */
#ifndef LASTCALL_EDGE_H
#define LASTCALL_EDGE_H

#include "kernel.h"

#include "core/conn_drain.h"
#include "drain/holders.h"
#include "drain/state.h"
#include "group/coordinator.h"
#include "process/config.h"
#include "process/deferred.h"
#include "world.h"

/* Be this process; write back what has changed. */
void edge_load(struct world *w, unsigned who);
void edge_save(struct world *w, unsigned who);

/* Events of its private epoll set, then one step of the drain: thread.c, in short, and the real loop.c. False:
 * delivered. */
bool edge_step(struct process *p);

/* A worker that is drained looks for its coordinator, which delivers in the middle of that: does it take that for
 * its coordinator's death? (An event is one piece to the explorer: this is what may happen inside of one.) */
bool edge_survives_torn_look(struct world *w);

/* The slots of the table only, for events that are nobody's. */
struct group_table *edge_table(void);

/* shim_follow and note_signal as they are in shim_signal.c. */
void edge_begin(struct process *p, const struct member *coordinator, nsec_t now);
void edge_follow(struct process *p, nsec_t now);

#endif
