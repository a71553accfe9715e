/* unix_paths.h: the paths of the AF_UNIX listeners that this process has stopped. A server removes its path at its end:
 * by then a successor may have its socket there (DESIGN section 3.8). drain.h: the question of a hook. */
#ifndef LASTCALL_DRAIN_UNIX_PATHS_H
#define LASTCALL_DRAIN_UNIX_PATHS_H

#include "sys/net.h"

/* The listener with this name is being stopped: what lies at its path now is its own. Drain thread only. */
void unix_paths_note(const struct sock_address *name);

#endif
