/* watch.h: the other processes of a drain, one by one, by their slots in the group's table: is it alive, and has it been
 * told to drain? Pump only, but for watch_forget. */
#ifndef LASTCALL_WATCH_H
#define LASTCALL_WATCH_H

#include "group.h"
#include "shim.h"

static inline struct member *member(int at)
{
    return &group.table->member[at];
}

static inline bool alive(const struct member *who)
{
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    return state == MEMBER_STARTING || state == MEMBER_SERVES;
}

static inline uint32_t phase_of(const struct member *who)
{
    return __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
}

/* As its parent sees it, or, while that is not known, as it does itself. */
static inline int pid_of(const struct member *who)
{
    int pid = __atomic_load_n(&who->pid, __ATOMIC_ACQUIRE);
    return pid ? pid : who->own_pid;
}

/* Hear of its death from now on. pid: its number here. False: it is dead. */
bool watch_alive(int at, int pid);

/* Tell it to drain too, once. */
void watch_order(int at);
/* It cannot be told, or not be told apart from a stranger. */
bool watch_out_of_reach(int at);

/* A fork's child: what is watched is its parent's. */
void watch_forget(void);

#endif
