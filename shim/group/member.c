/* member.c: see member.h. */
#include "group/member.h"

#include "sys/syscall.h"

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* Does the pid of this member mean the same process here? A pid is numbered where its parent lives
 * (pid_namespaces(7)). */
static bool is_numbered_here(const struct member *who)
{
    const struct member *self = group_self();
    if (who->pid <= 0 || !self)
        return false;
    return who->parent == self->serial || (who->parent == self->parent && self->pid == self->own_pid);
}

/* Free the slots of processes that have died without a word, and of ends that no coordinator asks for any more. */
static void reap(void)
{
    struct group_table *m = group.table;
    for (int i = 0; i < group_table_top(m); i++) {
        struct member *who = &m->member[i];
        uint32_t state = who->state, left = MEMBER_LEFT;
        if (state == MEMBER_LEFT && group_table_coordinator(m, i) == MEMBER_NONE)
            __atomic_compare_exchange_n(&who->state, &left, MEMBER_FREE, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        else if (state != MEMBER_FREE && is_numbered_here(who) && sys2(SYS_kill, who->pid, 0) == -ESRCH)
            group_table_leave(m, i, who->serial, false);
    }
}

int member_claim(int parent, enum member_state state)
{
    int at = group_table_claim(group.table, parent, state, group_boottime());
    if (at == MEMBER_NONE) {
        reap();
        at = group_table_claim(group.table, parent, state, group_boottime());
    }
    return at;
}

/* Also of a fork's child: its memory is laid out as its parent's. */
static void show(struct member *self)
{
    self->timeout = group.timeout;
    __atomic_store_n(&self->view, group.view, __ATOMIC_RELEASE);
}

void member_show(const void *view, nsec_t timeout)
{
    struct member *self = group_self();
    group.view = (uintptr_t)view;
    group.timeout = timeout;
    if (self)
        show(self);
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

int member_fork_begin(void)
{
    return group_self() ? member_claim(group.at, MEMBER_STARTING) : MEMBER_NONE;
}

void member_forked_parent(int slot, int pid)
{
    if (slot == MEMBER_NONE)
        return;
    struct member *child = &group.table->member[slot];
    if (pid > 0)
        __atomic_store_n(&child->pid, pid, __ATOMIC_RELEASE);
    else
        group_table_leave(group.table, slot, child->serial, false);
}

void member_forked_child(int slot)
{
    if (!group.table)
        return;
    group.at = slot != MEMBER_NONE ? slot : member_fork_begin();
    group.coordinator = MEMBER_NONE;
    group.flags = 0;
    struct member *self = group_self();
    if (!self)
        return;
    show(self);
    __atomic_store_n(&self->own_pid, (int32_t)sys0(SYS_getpid), __ATOMIC_RELEASE);
}

void member_give_back(int slot)
{
    if (slot != MEMBER_NONE && group.table && slot != group.at)
        group_table_leave(group.table, slot, member_at(slot)->serial, false);
}

/* ---- what it shows of itself ------------------------------------------------------------------------------------- */

void member_set_flags(uint32_t flags)
{
    struct member *self = group_self();
    group.flags |= flags;
    if (self)
        __atomic_fetch_or(&self->flags, flags, __ATOMIC_RELAXED);
}

void member_clear_flags(uint32_t flags)
{
    struct member *self = group_self();
    group.flags &= ~flags;
    if (self)
        __atomic_fetch_and(&self->flags, ~flags, __ATOMIC_RELAXED);
}

/* This process, and its ancestors: a process that only waits for a worker of its own is on its way to no exec
 * either. */
void member_settle(void)
{
    struct group_table *m = group.table;
    if (!group_self())
        return;
    bool settled = false;
    for (int at = group.at, i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; at = group_table_parent(m, at), i++) {
        uint32_t starting = MEMBER_STARTING;
        settled |= __atomic_compare_exchange_n(&m->member[at].state, &starting, MEMBER_SERVES, false, __ATOMIC_ACQ_REL,
                                               __ATOMIC_RELAXED);
    }
    if (settled && group_coordinator())
        group_wake_coordinators();
}

bool member_is_settled(void)
{
    const struct member *self = group_self();
    return self && __atomic_load_n(&self->state, __ATOMIC_ACQUIRE) == MEMBER_SERVES; /* AWAY: it is at its exec */
}

/* ---- its drain --------------------------------------------------------------------------------------------------- */

void member_begin_drain(int sig, nsec_t signal_at)
{
    struct member *self = group_self();
    if (!self)
        return;
    self->signal = sig;
    self->signal_at = signal_at;
    self->counted = 0;
    self->may_close = self->closed = 0;
    __atomic_store_n(&self->phase, DRAIN_LAME_DUCK, __ATOMIC_SEQ_CST);
}

void member_defer(int sig)
{
    struct member *self = group_self();
    if (self)
        self->deferred = sig;
}

/* ---- exec and exit ----------------------------------------------------------------------------------------------- */

void member_exec_begin(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    if (self->state != MEMBER_AWAY)
        group.state = self->state;
    __atomic_store_n(&self->state, MEMBER_AWAY, __ATOMIC_RELEASE);
    if (group_coordinator())
        group_wake_coordinators();
}

void member_exec_failed(void)
{
    struct member *self = group_self();
    if (self)
        __atomic_store_n(&self->state, group.state, __ATOMIC_RELEASE);
}

void member_leave(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    bool drains = group_coordinator() != NULL;
    int at = group.at;
    group.at = MEMBER_NONE;
    group_table_leave(group.table, at, self->serial, drains);
    if (drains)
        group_wake_coordinators();
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

bool member_is_worker(void)
{
    return group_self() && group_table_master(group.table, group.at) != MEMBER_NONE;
}

bool member_has_workers(void)
{
    for (int i = 0; group_self() && i < group_table_top(group.table); i++) {
        uint32_t state = __atomic_load_n(&member_at(i)->state, __ATOMIC_ACQUIRE);
        if (i != group.at && (member_is_alive(member_at(i)) || state == MEMBER_AWAY) &&
            group_table_reachable(group.table, i, group.at))
            return true;
    }
    return false;
}
