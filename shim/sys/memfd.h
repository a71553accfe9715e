/* memfd.h: memory that processes share: inherited by fork, and through a descriptor also by what exec starts. */
#ifndef LASTCALL_MEMFD_H
#define LASTCALL_MEMFD_H

#include "base.h"

/* New zeroed memory, and a descriptor of it, close-on-exec, at a number that no program counts on; *fd is -1 if there
 * could be none: then only forks share it. NULL: no memory. */
void *memfd_make(size_t size, int *fd);

/* The memory of fd; NULL if fd is no memory of just this size, sealed against shrinking (an access past a shrunk end
 * is a SIGBUS). */
void *memfd_join(int fd, size_t size);

/* Open that of another process (of the same user): a descriptor as from memfd_make, or -errno. */
int memfd_of(int pid);
/* Open that behind descriptor fd of another process; may this process open it? */
int memfd_open(int pid, int fd);
bool memfd_may_be_opened(int pid, int fd);

/* The inode of such memory; 0: fd is none. */
uint64_t memfd_inode(int fd, size_t size);

#endif
