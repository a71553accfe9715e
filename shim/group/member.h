/* member.h: one process of the group: how a member's slot is read, and the life of this process's own, from fork to
 * exit. Any thread, any signal handler. */
#ifndef LASTCALL_GROUP_MEMBER_H
#define LASTCALL_GROUP_MEMBER_H

#include "group/group.h"

/* ---- a slot of the table ---- */

static inline struct member *member_at(int at)
{
    return &group.table->member[at];
}

static inline bool member_is_alive(const struct member *who)
{
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    return state == MEMBER_STARTING || state == MEMBER_SERVES;
}

static inline uint32_t member_phase(const struct member *who)
{
    return __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
}

/* The member's pid as its parent sees it; while that is not known, as the member itself sees it. */
static inline int member_pid(const struct member *who)
{
    int pid = __atomic_load_n(&who->pid, __ATOMIC_ACQUIRE);
    return pid ? pid : who->own_pid;
}

/* Take a slot for a process that is being made by the one in slot `parent`; MEMBER_NONE: the table is full. */
int member_claim(int parent, enum member_state state);

/* ---- our own ---- */

/* What `lastcall status` is told of this process and its forks: where its view lies, and how long a drain may take. */
void member_show(const void *view, nsec_t timeout);

/* A fork: begin gives a slot for the child (MEMBER_NONE: there is none); then one of the others, in each process.
 * pid < 0: the fork has failed. A fork that was not seen: the child comes with MEMBER_NONE. */
int member_fork_begin(void);
void member_forked_parent(int slot, int pid);
void member_forked_child(int slot);
/* The child has a slot already. */
void member_give_back(int slot);

/* What is to be known of this process (MEMBER_ACCEPTS ...), or no longer. */
void member_set_flags(uint32_t flags);
void member_clear_flags(uint32_t flags);
static inline bool member_has_flags(uint32_t flags)
{
    return (group.flags & flags) == flags;
}

/* This process serves, or waits for something: it is no child on its way to an exec. */
void member_settle(void);
/* Has a child of this process said so? Then this process is not on its way to an exec either. */
bool member_is_settled(void);

/* This process's drain begins, by this signal, at this moment; the signal is deferred for the program. */
void member_begin_drain(int sig, nsec_t signal_at);
void member_defer(int sig);

/* This process goes to another program; that has failed; it ends. */
void member_exec_begin(void);
void member_exec_failed(void);
void member_leave(void);

/* Does this process work for another member? */
bool member_is_worker(void);
/* Has this process descendants, or may it soon have one that serves? */
bool member_has_workers(void);

#endif
