/* listeners.h: the listeners of a drain stop accepting. Drain thread only. (drain.h: the calls for an accept of the
 * program.) */
#ifndef LASTCALL_DRAIN_LISTENERS_H
#define LASTCALL_DRAIN_LISTENERS_H

#include "core/drain.h"

/* Stop every listener that still accepts, but for internal ones: new connections are refused; queues and handshakes
 * live on. Was there one? */
bool listeners_stop(void);

/* Stop those that are left to accept as long as something is outstanding (track/internal.h). Was there one? */
bool listeners_stop_internal(void);

/* Add the clients in the accept queues to the census; a listener that had to be emptied first is replaced once its
 * queue is empty. */
void listeners_census(struct census *census, const struct drain *drain, nsec_t now);

/* Detach from the listeners that are left to other processes, though a client may be in the queue. False: there was
 * none. */
bool listeners_detach(void);

/* Accepting has stopped in every process of the group: close the listeners, so that a successor can have their ports
 * while connections are still served (DESIGN section 3.8). last: the other processes have closed theirs. True: none is
 * left open. A listener that other processes were left with is none of ours. */
bool listeners_close(const struct drain *drain, bool last, nsec_t now);

/* How the first listener was stopped, for the report; NULL: there is none. */
const char *listeners_how(void);

#endif
