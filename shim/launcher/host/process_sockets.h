/* process_sockets.h: which sockets processes hold, as /proc tells. Takes milliseconds. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H

#include "base.h"

struct process_socket {
    uint64_t inode;
    int pid, fd; /* one process that holds it, and its descriptor there */
};

/* Call f for every socket that a process holds. 0, or -errno: its descriptors cannot be looked at. */
int process_sockets_each(int pid, void (*f)(const struct process_socket *s, void *arg), void *arg);

/* The inode of the socket behind a descriptor of a process; 0: it is none, or closed. */
uint64_t process_sockets_inode(int pid, int fd);

/* A descriptor of ours for this socket, or -errno: EPERM, ENOSYS: not allowed here; ESRCH: the process does not hold it any
 * more. As long as it is open, the process's close closes nothing: close it at once. */
int process_sockets_take(const struct process_socket *s);

struct process_sockets {       /* of all descendants of this process */
    struct process_socket *at; /* by inode */
    unsigned count, room;
    unsigned processes; /* descendants */
    unsigned hidden;    /* those of them whose descriptors may not be looked at */
};

/* Reads them anew. `other` is called for each socket of any other process that may be looked into (NULL: they are of no
 * interest). False: there is no /proc, or no memory. */
bool process_sockets_read(struct process_sockets *t, void (*other)(const struct process_socket *s, void *arg),
                          void *arg);

/* NULL: no descendant holds it, as far as can be seen. */
const struct process_socket *process_sockets_find(const struct process_sockets *t, uint64_t inode);

void process_sockets_free(struct process_sockets *t);

#endif
