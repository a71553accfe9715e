/* descendants.h: the servers that descend from the command, when the command is a shell that stays as their parent.
 * Such servers join the group whose memory the launcher makes and names in the environment (group/join.h), though
 * the launcher itself is no member. In that memory the launcher finds the servers, sends the outermost ones the
 * drain signal, and sees when they have ended. */
#ifndef LASTCALL_LAUNCHER_RUN_DESCENDANTS_H
#define LASTCALL_LAUNCHER_RUN_DESCENDANTS_H

#include "core/group_table.h"

#include <poll.h>

struct descendants {
    struct group_table *table; /* NULL: the memory could not be made */
    size_t size;
    int fd;
    int command; /* the command's own process: the caller sends signals to this process */
    struct {
        uint32_t serial; /* the member that was sent the signal; 0: none */
        int pidfd;
        bool ignores_signal; /* the member ignores the signal, and is not waited for */
    } sent[GROUP_TABLE_MAX];
};

/* Make the group's memory, with room for a history if the members are to keep one, and name the memory in this
 * process's environment. */
void descendants_open(struct descendants *b, bool history);

/* Undo descendants_open, before any process was started with that environment. */
void descendants_close(struct descendants *b);

/* Is this process a member that serves? */
bool descendants_serves(const struct descendants *b, int pid);

/* Send a drain signal to every outermost member that descends from this process, except the command. again false:
 * only to members that do not drain yet; true: also to members that drain. Returns how many members are waited for
 * until they end; a member that ignores the signal is not waited for. May be called at any time: each call also
 * notices ended and new members. */
unsigned descendants_drain(struct descendants *b, int sig, bool again);

/* What to poll for, at most GROUP_TABLE_MAX. */
unsigned descendants_poll(const struct descendants *b, struct pollfd *to);

/* A process with this pid was reaped. */
void descendants_reaped(struct descendants *b, int pid);

#endif
