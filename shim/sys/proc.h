/* proc.h: what /proc tells of other processes. Raw system calls; pump only (it takes milliseconds). */
#ifndef LASTCALL_PROC_H
#define LASTCALL_PROC_H

#include "../base.h"

/* Call f for the inode of every socket that some other process has open. False: a process of our session could not
 * be looked into, or there is no /proc: then there may be more. */
bool proc_foreign_sockets(void (*f)(uint64_t inode, void *arg), void *arg);

/* Call f for every descriptor of this process. False: there is no /proc. */
bool proc_own_descriptors(void (*f)(int fd, void *arg), void *arg);

/* Does this process's first thread sleep in the kernel? True also if it cannot be known. */
bool proc_main_sleeps(void);

/* Threads of this process; 1 if it cannot be known. */
unsigned proc_threads(void);

#endif
