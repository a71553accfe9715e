/* listeners.h: the listeners of a drain stop accepting. Drain thread only. (drain.h has what an accept of the program asks.) */
#ifndef LASTCALL_DRAIN_LISTENERS_H
#define LASTCALL_DRAIN_LISTENERS_H

#include "core/drain.h"

/* Stop every listener that still accepts: new connections are refused; queues and handshakes live on. Was there one? */
bool listeners_stop(void);

/* Add what stands in the queues to the census; a listener that had to be emptied first is replaced once it is. */
void listeners_census(struct census *census, const struct drain *drain, nsec_t now);

/* Let go of the listeners that are left to other processes, though a client may be in the queue. False: there was none. */
bool listeners_detach(void);

/* How the first listener was stopped, for the report. */
const char *listeners_how(void);

#endif
