/* descriptors.h: entries for new connections. Any thread, any signal handler. */
#ifndef LASTCALL_DESCRIPTORS_H
#define LASTCALL_DESCRIPTORS_H

#include "shim.h"

/* Make an entry for fd; NULL: no memory, the connection passes through unseen. found: by the sweep, which is looking at it;
 * what has become of it until now is not known. */
struct conn *shim_track(int fd, uint16_t listener, bool unix_, bool found);

#endif
