/* descendants.h: the servers behind the command: those that a shell has started which stays as their parent. They join the
 * group whose memory the launcher makes and names in the environment (group/join.h), though the launcher itself is no member;
 * so it finds them there, has the outermost of them drain, and learns when they have ended. */
#ifndef LASTCALL_LAUNCHER_RUN_DESCENDANTS_H
#define LASTCALL_LAUNCHER_RUN_DESCENDANTS_H

#include "core/group_table.h"

#include <poll.h>

struct descendants {
    struct group_table *table; /* NULL: there could be none */
    size_t size;
    int fd;
    int command; /* the command's own process: its signals are the caller's affair */
    struct {
        uint32_t serial; /* whom we have signalled; 0: nobody */
        int pidfd;
        bool ignores_signal; /* it ignores the signal, and is not waited for */
    } sent[GROUP_TABLE_MAX];
};

/* Make the memory, with room for a history if those who join are to keep one, and name it in this process's environment. */
void descendants_open(struct descendants *b, bool history);

/* Undo that: nobody has been started with it. */
void descendants_close(struct descendants *b);

/* Does this process serve, as a member? */
bool descendants_serves(const struct descendants *b, int pid);

/* Send a drain signal to every outermost member that lives below this process, but the command: the first one (again:
 * false) to whom does not drain yet, another one also to whom does. Returns how many are waited for until they end:
 * whoever ignores the signal is not. May be called at any time: it also looks who has ended, and who is new. */
unsigned descendants_drain(struct descendants *b, int sig, bool again);

/* What to poll for, at most GROUP_TABLE_MAX. */
unsigned descendants_poll(const struct descendants *b, struct pollfd *to);

/* A process with this pid was reaped. */
void descendants_reaped(struct descendants *b, int pid);

#endif
