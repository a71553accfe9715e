/* membership.c: see membership.h. */
#include "group/membership.h"

#include "group/member.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <time.h>

/* A process that has run for so long and shown nothing of itself holds our listener for another reason than to serve: a
 * helper, a CGI program. */
#define STARTING (30 * NSEC_PER_SEC)

/* The process that coordinates our drain. */
static int root_of_drain(void)
{
    return group.coordinator == MEMBER_NONE ? group.at : group.coordinator;
}

/* *fork_in_progress: the pid of a child that is just being forked is not known yet. A member that has left may still be
 * about to end (its slot keeps the number); one that has gone to another program is external. */
static bool is_participant(int pid, bool *fork_in_progress)
{
    const struct group_table *m = group.table;
    int root = root_of_drain();
    *fork_in_progress = false;
    for (int i = 0; i < group_table_top(m); i++) {
        const struct member *who = &m->member[i];
        uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
        if (state == MEMBER_AWAY || !group_table_in_scope(m, i, root))
            continue;
        if ((i == root ? who->own_pid : member_pid(who)) == pid) /* as it sees itself: that is where we look from */
            return true;
        *fork_in_progress = *fork_in_progress || (member_pid(who) == 0 && state != MEMBER_FREE);
    }
    return false;
}

static bool may_still_start(int pid)
{
    nsec_t begun;
    return !proc_started(pid, &begun) || group_boottime() < begun + STARTING;
}

/* One of our descendants that was exec'd and has shown nothing of itself. If it holds our listener, either it has just
 * received the listener and its hook has not come to say so (node's cluster replaces a worker), or it is a
 * successor. */
static bool may_be_participant(int pid)
{
    const struct group_table *m = group.table;
    int root = root_of_drain(), at = group_table_find(m, pid);
    if (at == MEMBER_NONE || at == root || !group_table_reachable(m, at, root))
        return false;
    const struct member *who = member_at(at);
    uint32_t flags = __atomic_load_n(&who->flags, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_AWAY)
        return may_still_start(pid);
    return (flags & MEMBER_EXECED) && (flags & (MEMBER_ACCEPTS | MEMBER_RECEIVED | MEMBER_FORKS)) == 0;
}

/* A descendant that has no slot: vfork and exec leave none, and the program still starts. */
static bool is_new_here(int pid)
{
    enum { GENERATIONS = 8 };
    const struct group_table *m = group.table;
    int root = member_at(root_of_drain())->own_pid; /* as in is_participant */
    if (group_table_find(m, pid) != MEMBER_NONE || !may_still_start(pid))
        return false;
    for (int i = 0; i < GENERATIONS && pid > 1; i++)
        if ((pid = proc_parent(pid)) == root)
            return true;
    return false;
}

enum membership membership_of(uint64_t pid)
{
    static const struct timespec moment = {0, NSEC_PER_MSEC};
    bool fork_in_progress, yes = false;
    if (!group_self())
        return MEMBERSHIP_EXTERNAL;
    for (int i = 0; i < 50 && !(yes = is_participant((int)pid, &fork_in_progress)) && fork_in_progress; i++)
        sys2(SYS_nanosleep, &moment, 0);
    if (yes)
        return MEMBERSHIP_MEMBER;
    return may_be_participant((int)pid) || is_new_here((int)pid) ? MEMBERSHIP_UNKNOWN : MEMBERSHIP_EXTERNAL;
}

/* It took no listener along at its exec, and has not come to serve since: else it would have joined. */
static bool is_helper(int pid)
{
    const struct group_table *m = group.table;
    for (int i = 0; i < group_table_top(m); i++) {
        const struct member *who = &m->member[i];
        if ((who->pid == pid || who->own_pid == pid) && __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_AWAY)
            return (__atomic_load_n(&who->flags, __ATOMIC_ACQUIRE) & MEMBER_CARRIES) == 0;
    }
    return false;
}

enum proc_membership membership_of_unseen(uint64_t pid)
{
    bool fork_in_progress;
    if (!group_self())
        return PROC_EXTERNAL;
    if (is_participant((int)pid, &fork_in_progress))
        return PROC_MEMBER;
    return is_helper((int)pid) ? PROC_HELPER : PROC_EXTERNAL;
}
