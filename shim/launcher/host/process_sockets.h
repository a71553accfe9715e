/* process_sockets.h: which sockets processes hold, as /proc tells. Takes milliseconds. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_SOCKETS_H

#include "base.h"

struct process_socket {
    uint64_t inode;
    int pid, fd; /* one process that holds it, and its descriptor there */
};

/* Call f for every socket that a process holds. 0, or -errno: the process's descriptors cannot be read. */
int process_sockets_each(int pid, void (*f)(const struct process_socket *s, void *arg), void *arg);

/* The inode of the socket that a process's descriptor refers to; 0: the descriptor is closed, or is no socket. */
uint64_t process_sockets_inode(int pid, int fd);

/* A duplicate of the process's descriptor in this process (pidfd_getfd(2)), or -errno: EPERM, ENOSYS: not allowed
 * here; ESRCH: the process no longer holds the socket. While the duplicate is open, the process's close(2) does not
 * end the connection: close the duplicate at once. */
int process_sockets_take(const struct process_socket *s);

struct process_sockets {       /* of all descendants of this process */
    struct process_socket *at; /* by inode */
    unsigned count, room;
    unsigned processes; /* descendants */
    unsigned hidden;    /* the number of descendants whose descriptors may not be read */
};

/* Reads the sockets anew. `other` is called for each socket of any other process that may be read (NULL: not
 * wanted). False: there is no /proc, or no memory. */
bool process_sockets_read(struct process_sockets *t, void (*other)(const struct process_socket *s, void *arg),
                          void *arg);

/* NULL: no descendant holds it, as far as can be seen. */
const struct process_socket *process_sockets_find(const struct process_sockets *t, uint64_t inode);

void process_sockets_free(struct process_sockets *t);

#endif
