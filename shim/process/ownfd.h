/* ownfd.h: the descriptors of our own: whoever makes one says so here. The program does not know them, so a close of a range
 * passes them by, the sweep does not look at them, and a fork's child closes them. Any thread, any signal handler. */
#ifndef LASTCALL_PROCESS_OWNFD_H
#define LASTCALL_PROCESS_OWNFD_H

#include "base.h"

/* fd is ours from now on; it no longer is. An error number (< 0) is none. */
void ownfd_add(int fd);
void ownfd_remove(int fd);

/* fd_move_high, and ownfd_add of what that gives. */
int ownfd_move_high(int fd);

/* Close fd, if it is one. */
void ownfd_close(int fd);

bool ownfd_has(int fd);

/* The first of them from `from` on; OWNFD_END if there is none. */
enum { OWNFD_END = 1 << 20 };
int ownfd_next(unsigned from);

/* A fork's child: they were its parent's. All are closed but `kept` (-1: none). */
void ownfd_after_fork(int kept);

#endif
