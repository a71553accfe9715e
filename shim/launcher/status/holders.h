/* holders.h: which processes hold a group's memory, and what is in it. */
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
    bool incomplete; /* there was not enough memory */
};

/* Every process that the caller may see. False: there is no /proc, or no memory. */
bool holders_read(struct holders *all);
void holders_free(struct holders *all);

/* The memory behind a holder's descriptor: at most `size` bytes, or -errno. *whole: its size. */
long holders_table(const struct holder *h, void *to, size_t size, uint64_t *whole);

enum process_kind {
    PROCESS_NONE,      /* there is no such process */
    PROCESS_FORBIDDEN, /* the caller may not look into it */
    PROCESS_ENDED,     /* a zombie */
    PROCESS_UNRELATED, /* not under lastcall */
    PROCESS_PRELOADED, /* under lastcall, but it does not serve */
    PROCESS_MAPPED,    /* it has a group's memory, but no descriptor of that */
};
/* What is known of a process that is no holder. PROCESS_MAPPED: *ino is the memory's inode. */
enum process_kind holders_process_kind(int pid, uint64_t *ino);

#endif
