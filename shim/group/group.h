/* group.h: the memory that the processes of one server share (DESIGN section 8), as this process has mapped it: the
 * members of the group, the drain that includes this process, and the two futexes by which members wake each other.
 * Any thread, any signal handler. */
#ifndef LASTCALL_GROUP_GROUP_H
#define LASTCALL_GROUP_GROUP_H

#include "core/group_table.h"
#include "core/conn_history.h"

/* A worker that alone gets the signal goes on accepting for so long: the signal may be on its way to all workers. */
#define GROUP_LONE_GRACE (100 * NSEC_PER_MSEC)

struct group {
    struct group_table *table;    /* NULL: alone */
    struct conn_history *history; /* of the group's drains, after the table in memory; NULL: none is kept */
    int at;                       /* our slot; MEMBER_NONE: none, for want of room */
    int fd;                       /* the table's memory, kept for processes that exec; -1 */
    uint32_t flags;               /* what member_set_flags has said of this process */
    uint32_t state;               /* before member_exec_begin */
    /* The slot and serial of the process that coordinates our drain; MEMBER_NONE: none, or this process coordinates.
     * Drain thread only. */
    int coordinator;
    uint32_t coordinator_serial;
    uint64_t view; /* what member_show has said */
    nsec_t timeout;
};
extern HIDDEN struct group group;

/* Our slot, or NULL. */
static inline struct member *group_self(void)
{
    return group.table && group.at >= 0 ? &group.table->member[group.at] : NULL;
}

/* The outermost process that drains and includes this process, maybe this process itself; NULL: there is none. */
struct member *group_coordinator(void);

/* Is this the pid of a member? */
bool group_contains(int pid);

/* Has a member this serial? */
bool group_has_serial(uint32_t serial);

/* Has this process mapped the group's memory? True also if that cannot be known. */
bool group_is_mapped_by(int pid);

/* A command is a drain signal with the value of the group in its siginfo: fill in such a siginfo; is this value of a
 * siginfo the group's? */
void group_fill_command(void *siginfo, int sig);
bool group_is_command(const void *value);

/* Wake the coordinators, who wait for events; or the participants, who wait for commands. */
void group_wake_coordinators(void);
void group_wake_participants(void);

/* In a drain, this process has taken a connection from an accept queue that all members hold: another member that
 * waits for the queue to be empty gets no other event, if the kernel has woken this process alone (a mutex around
 * accept, EPOLLEXCLUSIVE, a blocking accept). stopped_at: now, if the queue is that of a stopped listener; else 0. */
void group_queue_moved(nsec_t stopped_at);
/* When a member has last taken a connection from the queue of a stopped listener; 0: none has. */
nsec_t group_queue_moved_at(void);

/* One request of this process was aborted: for the coordinator's report. */
void group_add_aborted(const struct report_aborted *aborted);

nsec_t group_boottime(void);

#endif
