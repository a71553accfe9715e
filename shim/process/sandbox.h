/* sandbox.h: a seccomp filter that the program is about to lock itself into, and the system calls of lastcall. Any
 * thread. */
#ifndef LASTCALL_PROCESS_SANDBOX_H
#define LASTCALL_PROCESS_SANDBOX_H

#include "base.h"

struct sock_fprog;

/* Does the filter let every system call that lastcall makes on its own account come back? False: such a call may end
 * the program. */
bool sandbox_spares(const struct sock_fprog *filter);

#endif
