/* door.h: the listeners of a drain. Pump only, but for shim_accept_failed (shim.h). */
#ifndef LASTCALL_DOOR_H
#define LASTCALL_DOOR_H

#include "shim.h"

/* Close every door that is open: new connections are refused, queues and handshakes live on. Was there one? */
bool door_close(void);

/* Add what stands in the doors to the census; closes those that had to be emptied first. */
void door_census(struct census *census, const struct drain *drain, nsec_t now);

/* Close the doors that are left to others, though somebody may stand there. False: there was none. */
bool door_leave(void);

/* How the first listener was closed, for the report. */
const char *door_name(void);

#endif
