/* ownfd.h: the descriptors of lastcall: code that makes one registers it here. The program does not know these
 * descriptors, so a close of a range leaves them open, the sweep skips them, and a fork's child closes them. Any
 * thread, any signal handler. */
#ifndef LASTCALL_PROCESS_OWNFD_H
#define LASTCALL_PROCESS_OWNFD_H

#include "base.h"

/* Register fd; remove it. An error number (< 0) is ignored. */
void ownfd_add(int fd);
void ownfd_remove(int fd);

/* fd_move_high, and ownfd_add of the new number. */
int ownfd_move_high(int fd);

/* Close fd, if it is a descriptor (>= 0). */
void ownfd_close(int fd);

bool ownfd_has(int fd);

/* The first registered descriptor from `from` on; OWNFD_END if there is none. */
enum { OWNFD_END = 1 << 20 };
int ownfd_next(unsigned from);

/* A fork's child: the registered descriptors are its parent's. All are closed but those that are kept. */
void ownfd_after_fork(bool (*is_kept)(int fd));

#endif
