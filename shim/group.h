/* group.h: the memory that the processes of one server share, and this process's place in it (DESIGN section 8). It is
 * inherited over fork, and found over exec by a descriptor that the environment names, or at an ancestor. Any thread,
 * any signal handler. */
#ifndef LASTCALL_GROUP_H
#define LASTCALL_GROUP_H

#include "core/history.h"
#include "core/members.h"
#include "core/text.h"

struct group {
    struct members *table;   /* NULL: alone */
    struct history *history; /* of its drains, behind the table; NULL: none is kept */
    int at;                  /* our slot; MEMBER_NONE: none, for want of room */
    int fd;                  /* the table's memory, kept for processes that exec; -1 */
    uint32_t marks;          /* what group_marks has said of this process */
    uint32_t state;          /* before group_exec */
    /* Whom our drain follows, and its serial; MEMBER_NONE: nobody, or we lead. Pump only. */
    int leader;
    uint32_t leader_serial;
    uint64_t view; /* what group_show has said */
    nsec_t timeout;
};
extern HIDDEN struct group group;

/* The process begins to serve: join the group of the environment or of an ancestor, or found one; history: one that keeps
 * a history of its drains. What is wrong with the environment's is said in complaints. */
void group_open(struct text *complaints, bool history);

/* What `lastcall status` is told of this process and its forks: where its view lies, and how long a drain may take. */
void group_show(const void *view, nsec_t timeout);

/* A fork: begin gives a slot for the child (MEMBER_NONE: there is none); then one of the others, in each process.
 * pid < 0: the fork has failed. A fork that was not seen: the child comes with MEMBER_NONE. */
int group_fork_begin(void);
void group_forked_parent(int slot, int pid);
void group_forked_child(int slot);

/* What is to be known of this process (MEMBER_ACCEPTS ...), or no longer. */
void group_marks(uint32_t flags);
void group_unmarks(uint32_t flags);
/* It serves, or waits for something: it is no child on its way to an exec. */
void group_serves(void);
/* Has a child of it said so, and thereby that it stays? */
bool group_has_grown(void);

/* It goes to another program; that has failed; it ends. */
void group_exec(void);
void group_exec_failed(void);
void group_leave(void);

/* Our slot, or NULL. */
static inline struct member *group_self(void)
{
    return group.table && group.at >= 0 ? &group.table->member[group.at] : NULL;
}

/* The outermost process that drains, and whose drain means us; NULL: there is none. May be ourselves. */
struct member *group_leader(void);

/* Has the process whose drain meant us, or one that we work for, been released? What it sends us now is not to be
 * withheld. */
bool group_is_free(void);

/* Has a process of the group this serial? */
bool group_has_serial(uint32_t serial);

/* Is this pid one of the group's? */
bool group_knows(int pid);

/* Has this process mapped the group's memory? True also if that cannot be known. */
bool group_is_mapped_by(int pid);

/* Is this value of a siginfo the order of a leader? The value of ours. */
bool group_is_order(const void *value);
void *group_order(void);

/* Wake the leaders, who wait for reports; or those who are led, and wait for orders. */
void group_report(void);
void group_command(void);

/* In a drain, we have taken a connection from an accept queue that all hold: whoever waits for the queue to be empty hears
 * of it by nothing else, if the kernel has woken us alone (a mutex around accept, EPOLLEXCLUSIVE, a blocking accept). */
void group_queue_moved(void);

nsec_t group_boottime(void);

#endif
