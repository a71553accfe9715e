/* process_sockets.h: the processes of the program that is drained from outside, and which sockets they hold, as /proc
 * tells. Takes milliseconds. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H

#include "base.h"

struct family_socket {
    uint64_t inode;
    int pid, fd; /* one who holds it */
};

struct family {
    struct family_socket *at; /* by inode */
    unsigned count, room;
    unsigned processes; /* of the program */
    unsigned hidden;    /* those of them into whose descriptors we may not look */
};

/* Reads it anew. The program: `root`, its descendants, and those of ours that are orphans of it. `stranger` is
 * called for each socket of any other process that may be looked into (NULL: they are of no interest). False: there is
 * no /proc, or no memory. */
bool family_read(struct family *t, int root, void (*stranger)(uint64_t inode, void *arg), void *arg);

/* NULL: nobody of the program holds it, as far as can be seen. */
const struct family_socket *family_find(const struct family *t, uint64_t inode);

void family_free(struct family *t);

#endif
