/* holders.h: the processes that hold a group's memory, and the content of that memory. */
#ifndef LASTCALL_LAUNCHER_STATUS_HOLDERS_H
#define LASTCALL_LAUNCHER_STATUS_HOLDERS_H

#include "base.h"

enum { HOLDER_SOCKETS = 64, HOLDER_SPACES = 8 };

struct holder { /* a process that has a descriptor of a group's memory */
    int pid;
    int own[HOLDER_SPACES]; /* the process's pids, the one in its own PID namespace last */
    unsigned spaces;
    int fd; /* there */
    uint64_t dev, ino;
    uint64_t socket[HOLDER_SOCKETS]; /* inodes of the process's first sockets: a server's listeners are among them */
    unsigned sockets;
};

struct holders {
    struct holder *at;
    unsigned count, room;
    unsigned hidden; /* processes that the caller may not examine */
    bool incomplete; /* there was not enough memory */
};

/* Every process that the caller may see. False: there is no /proc, or no memory. */
bool holders_read(struct holders *all);
void holders_free(struct holders *all);

/* Reads the group's memory through a holder's descriptor: at most `size` bytes, or -errno. *whole: the size of the
 * memory. */
long holders_table(const struct holder *h, void *to, size_t size, uint64_t *whole);

enum process_kind {
    PROCESS_NONE,      /* there is no such process */
    PROCESS_FORBIDDEN, /* the caller may not examine the process */
    PROCESS_ENDED,     /* a zombie */
    PROCESS_UNRELATED, /* not under lastcall */
    PROCESS_PRELOADED, /* the library is loaded, but the process does not serve */
    PROCESS_MAPPED,    /* the process maps a group's memory, but has no descriptor of the memory */
};
/* The kind of a process that is no holder. PROCESS_MAPPED: *ino is the memory's inode. */
enum process_kind holders_process_kind(int pid, uint64_t *ino);

#endif
