/* group.h: the memory that the processes of one server share (DESIGN section 8), as this process has mapped it: who is in
 * the group, whose drain includes us, and the two futexes by which members wake each other. Any thread, any signal
 * handler. */
#ifndef LASTCALL_GROUP_GROUP_H
#define LASTCALL_GROUP_GROUP_H

#include "core/group_table.h"
#include "core/conn_history.h"

/* A worker that gets the signal alone goes on as before for so long: the signal may be on its way to all of them. */
#define GROUP_LONE_GRACE (100 * NSEC_PER_MSEC)

struct group {
    struct group_table *table;    /* NULL: alone */
    struct conn_history *history; /* of its drains, behind the table; NULL: none is kept */
    int at;                       /* our slot; MEMBER_NONE: none, for want of room */
    int fd;                       /* the table's memory, kept for processes that exec; -1 */
    uint32_t flags;               /* what member_set_flags has said of this process */
    uint32_t state;               /* before member_exec_begin */
    /* Whose drain ours is a part of, and its serial; MEMBER_NONE: nobody's, or we coordinate. Drain thread only. */
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

/* The outermost process that drains, and whose drain includes us; NULL: there is none. May be ourselves. */
struct member *group_coordinator(void);

/* Is this pid one of the group's? */
bool group_contains(int pid);

/* Has a process of the group this serial? */
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

/* In a drain, this process has taken a connection from an accept queue that all hold: another member that waits for the
 * queue to be empty hears of it by nothing else, if the kernel has woken this process alone (a mutex around accept,
 * EPOLLEXCLUSIVE, a blocking accept). */
void group_queue_moved(void);

/* One request of ours was aborted: for the report of our coordinator. */
void group_add_aborted(const struct report_aborted *aborted);

nsec_t group_boottime(void);

#endif
