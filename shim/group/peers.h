/* peers.h: the other processes of a drain, one by one, by their slots in the group's table: is it alive, and has it
 * been told to drain? Drain thread only, but for peers_after_fork. */
#ifndef LASTCALL_GROUP_PEERS_H
#define LASTCALL_GROUP_PEERS_H

#include "group/member.h"

/* Members that have died in the middle of their drain: the connections that they had are to be recorded as closed. */
struct peers_deaths {
    unsigned count;
    uint32_t serial[GROUP_TABLE_MAX];
};

/* The epoll set's token of a peer: below the one of the event descriptor, above all that stand for connections. */
#define PEERS_TOKEN(at) (UINT64_MAX - 1 - (uint64_t)(at))

/* Be notified of the death of the process in slot `at` from now on. pid: its number here. False: the process is
 * dead. */
bool peers_watch(int at, int pid, struct peers_deaths *deaths);

/* An event of the private epoll set. True: it was the death of a peer. */
bool peers_event(uint64_t token, struct peers_deaths *deaths);

/* Command the process in slot `at` to drain too, once. */
void peers_command(int at);
/* The process in slot `at` cannot be commanded, or not be told apart from a process that is no member. */
bool peers_out_of_reach(int at);

/* SIGKILL to the process in slot `at`, if it is certain which one that is. */
void peers_end(int at);

/* A fork's child: the pidrefs are its parent's; their descriptors are closed by ownfd_after_fork. */
void peers_after_fork(void);

#endif
