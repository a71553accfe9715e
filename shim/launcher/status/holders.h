/* holders.h: what /proc tells `lastcall status`: which processes hold a group's memory, and what is in it. Nothing is
 * ever written, and no descriptor of a server's is taken over: a socket that two processes hold does not close when one of
 * them closes it. */
#ifndef LASTCALL_LAUNCHER_STATUS_HOLDERS_H
#define LASTCALL_LAUNCHER_STATUS_HOLDERS_H

#include "base.h"

enum { HOLDER_SOCKETS = 64, HOLDER_SPACES = 8 };

struct holder { /* a process with a descriptor of a group's memory */
    int pid;
    int own[HOLDER_SPACES]; /* its numbers, in its own PID namespace last */
    unsigned spaces;
    int fd; /* there */
    uint64_t dev, ino;
    uint64_t socket[HOLDER_SOCKETS]; /* inodes of its first ones: a server's listeners are among them */
    unsigned sockets;
};

struct holders {
    struct holder *at;
    unsigned count, room;
    unsigned hidden; /* processes that the caller may not look into */
};

/* Every process that the caller may see. False: there is no /proc, or no memory. */
bool proc_holders(struct holders *all);
void proc_free(struct holders *all);

/* The memory behind a holder's descriptor: at most `size` bytes, or -errno. *whole: its size. */
long proc_table(const struct holder *h, void *to, size_t size, uint64_t *whole);

/* `size` bytes at an address of a process, all or none. mem: from proc_memory, or -errno. */
int proc_memory(int pid);
bool proc_peek(int mem, uint64_t address, void *to, size_t size);

/* The inode of a socket among its descriptors; 0: it is none, or closed. */
uint64_t proc_socket(int pid, int fd);

/* Its name (PR_SET_NAME) as it is: any bytes. Returns their number. */
size_t proc_name(int pid, char *to, size_t size);

/* The process that a thread belongs to; pid itself if that cannot be known. */
int proc_of_thread(int pid);

/* Fills in own and spaces. False: it has ended. */
bool proc_numbers(int pid, struct holder *h);

enum proc_kind { PROC_NONE, PROC_FORBIDDEN, PROC_ENDED, PROC_STRANGER, PROC_PRELOADED, PROC_MAPPED };
/* What is known of a process that is no holder: there is none; not to be looked into; a zombie; not under lastcall; under
 * it, but does not serve; has a group's memory, but no descriptor of it: *ino is its inode. */
enum proc_kind proc_kind(int pid, uint64_t *ino);

/* A descriptor of its network namespace, if that is not ours; -1: it is, or cannot be opened (*foreign tells). */
int proc_network(int pid, bool *foreign);

#endif
