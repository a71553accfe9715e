/* read.h: reads the groups of this machine into a struct status. */
#ifndef LASTCALL_LAUNCHER_STATUS_READ_H
#define LASTCALL_LAUNCHER_STATUS_READ_H

#include "launcher/status/model.h"

/* Which groups: all; the group of one process (pid != 0); or a group that was read before (ino != 0), as long as a
 * process of the group is left. */
struct status_wish {
    int pid;
    uint64_t dev, ino;
};

/* False: there is no /proc, or no memory. What was read is to be given to status_free. */
bool status_read(struct status *s, const struct status_wish *wish);

#endif
