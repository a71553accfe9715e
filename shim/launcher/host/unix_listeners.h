/* unix_listeners.h: the listeners of AF_UNIX, as /proc/PID/net/unix tells them. */
#ifndef LASTCALL_LAUNCHER_HOST_UNIX_LISTENERS_H
#define LASTCALL_LAUNCHER_HOST_UNIX_LISTENERS_H

#include "base.h"

/* Call f for each in the network namespace of the process, with its path as the kernel prints it (n bytes, any; an
 * abstract one begins with @; 0: it has none). False: they cannot be read. */
bool unix_listeners_each(int pid, void (*f)(uint64_t inode, const char *path, size_t n, void *arg), void *arg);

#endif
