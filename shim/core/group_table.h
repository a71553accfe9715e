/* group_table.h: the processes of a group, as a table in memory that they share (DESIGN section 8).
 *
 * Pure: the memory and the time are the caller's. Lock-free; any process, any thread, any signal handler. What another
 * process has written is never trusted to be in range. */
#ifndef LASTCALL_GROUP_TABLE_H
#define LASTCALL_GROUP_TABLE_H

#include "core/drain.h"
#include "core/conn_history.h"
#include "core/report_format.h"
#include "core/spoken.h"

enum {
    GROUP_TABLE_VERSION = 5,
    GROUP_TABLE_MAX = 512,
    GROUP_TABLE_LISTENERS = 64,
    GROUP_TABLE_ABORTED = 64,
    MEMBER_NONE = -1
};

enum member_state {
    MEMBER_FREE,
    MEMBER_STARTING, /* forked, and has neither waited nor served yet: it may be about to exec */
    MEMBER_SERVES,   /* one that drains with its group */
    MEMBER_AWAY,     /* gone to another program, which has not joined */
    MEMBER_LEFT,     /* ended in the middle of a drain; its counts are still wanted */
};

/* What a process has shown of itself. */
enum {
    MEMBER_EXECED = 1,           /* joined after an exec */
    MEMBER_ACCEPTS = 2,          /* has accepted, or waits on a listener */
    MEMBER_RECEIVED = 4,         /* has received sockets by SCM_RIGHTS */
    MEMBER_FORKS = 8,            /* has made members of its own */
    MEMBER_IGNORES_SIGNALS = 16, /* ignores all drain signals: no command reaches it */
    MEMBER_INHERITED = 32,       /* has accepted, or waits, on a listener that another process has bound */
    MEMBER_CARRIES = 64,         /* has gone to another program with a listener that stays open at exec */
};

struct member {
    uint32_t state;  /* enum member_state */
    uint32_t serial; /* unique in the group, never 0 while in use */
    uint32_t parent; /* serial of the process that made this one; 0: not in the group */
    uint32_t parent_at;
    int32_t pid;     /* as seen in the parent's PID namespace; 0: not known yet */
    int32_t own_pid; /* as the process sees its own; differs from pid: the process is in a PID namespace below */
    uint32_t flags;
    uint32_t phase;       /* enum drain_phase */
    uint32_t confirm;     /* as coordinator: how often it has asked its participants to confirm that they are drained */
    uint32_t coordinator; /* serial of the process that coordinates this member's drain; 0: none */
    uint32_t confirmed;   /* as participant: the coordinator's `confirm` that it has said yes to */
    uint32_t may_close;   /* as coordinator: accepting has stopped everywhere: its participants close their listeners */
    uint32_t closed;      /* this process has none of the drain's listeners open any more */
    uint32_t second_signal;  /* as coordinator: a second signal has ended its drain */
    uint32_t end;            /* enum report_end, or MEMBER_KILLED */
    int32_t signal;          /* that began its drain */
    uint32_t counted;        /* what was in flight at the signal is in counts */
    uint32_t open;           /* requests in flight now */
    uint32_t missed;         /* connections of its drain that the history (conn_history.h) has no room for */
    uint32_t node_listeners; /* node_cluster_lines_sum() of the listeners that it is handed connections of; 0: none */
    nsec_t started_at;       /* CLOCK_BOOTTIME, as in /proc/PID/stat; at most as exact as that */
    nsec_t signal_at, last_done_at;
    uint64_t wall_ms;
    struct report_counts counts;
    /* for `lastcall status`, which runs outside of the group */
    int32_t deferred; /* a signal that is to be delivered to it later; 0: none */
    nsec_t timeout;   /* its deadline, from signal_at; 0: none */
    uint64_t view;    /* where its struct status_abi lies, in its own memory; 0: not known */
};

enum { MEMBER_KILLED = 100 };

/* One request that was aborted, for the coordinator's report. */
struct group_aborted {
    uint32_t serial; /* of the member that served it; 0: free */
    char peer[64], method[24];
    struct report_aborted facts; /* its pointers mean nothing here */
};

/* What the participants of one drain have found out about a listener that other processes may hold. */
struct group_listener {
    uint64_t inode;
    uint32_t coordinator, members_only; /* members_only: no process outside of the coordinator's drain holds it */
};

struct group_table {
    char magic[8];
    uint32_t version, size;
    uint64_t cookie;
    uint32_t next_serial;
    uint32_t top;           /* slots from here on were never used */
    uint32_t events;        /* futex: something has changed that a coordinator waits for */
    uint32_t commands;      /* futex: a coordinator has changed something */
    uint32_t aborted_count; /* so many were reported, here or for want of room not */
    nsec_t queue_moved_at;  /* when a member last took a connection from the queue of a stopped listener; 0: never */
    struct member member[GROUP_TABLE_MAX];
    struct group_listener listener[GROUP_TABLE_LISTENERS];
    struct group_aborted aborted[GROUP_TABLE_ABORTED];
    struct spoken_table spoken; /* on the listeners */
};

/* The table, and, where its founder was told to keep one, the history of the group's drains. A page of the history
 * costs nothing before something is written there. */
struct group_memory {
    struct group_table table;
    struct conn_history history;
};

/* A new table in zeroed memory; is this memory a table made with this cookie? */
void group_table_init(struct group_table *m, uint64_t cookie);
bool group_table_is_valid(const struct group_table *m, uint64_t cookie);

/* How the environment names the table to the programs that are started: _LASTCALL_GROUP=<descriptor>:<cookie>:<holder>.
 * The holder is a process that has the descriptor. signal: added if it is not 0 (environment.h). */
#define GROUP_TABLE_VARIABLE "_LASTCALL_GROUP"
enum { GROUP_TABLE_NAME_MAX = 64 };
void group_table_name(struct text *t, int fd, uint64_t cookie, int holder, int signal);

/* Take a slot for a process that is being made by the process in slot `parent` (MEMBER_NONE: not a member).
 * MEMBER_NONE: the table is full. */
int group_table_claim(struct group_table *m, int parent, enum member_state state, nsec_t now);

/* The process with this serial has ended. Its children belong to its parent from now on. keep: the report still
 * needs its counts. False: another process has called this for it before. */
bool group_table_leave(struct group_table *m, int at, uint32_t serial, bool keep);

/* The living member with this pid, as its parent sees it, or MEMBER_NONE. */
int group_table_find(const struct group_table *m, int pid);

/* The slot of the living parent of the process in slot `at`, or MEMBER_NONE. */
int group_table_parent(const struct group_table *m, int at);

/* The slot of the master that the process in slot `at` works for: its parent, or MEMBER_NONE if there is none or the
 * process drains by itself. A parent that is gone to another program (a shell) stands for the process that it came
 * from. A process that was
 *   forked                                                           is a worker
 *   exec'd, and has received sockets                                 is a worker
 *   exec'd, and accepts on a listener of others where its parent
 *           does not                                                 is a worker
 *   exec'd, and accepts on such a listener beside its parent, or
 *           has members of its own                                   is a successor (nginx USR2)
 *   exec'd, and accepts only on what it has bound itself             is another server, which its parent (a deploy
 *                                                                    hook, a login) has only started
 *   exec'd, and has shown nothing yet                                is not known */
int group_table_master(const struct group_table *m, int at);

/* Does a drain of `root` include `at`? `at` is the same process, its worker, or a worker of such a worker. */
bool group_table_in_scope(const struct group_table *m, int at, int root);

/* The outermost process that drains and includes `at`, maybe `at` itself; MEMBER_NONE: there is no drain. */
int group_table_coordinator(const struct group_table *m, int at);

/* Can `root` reach `at` by its pid? Not if another of its ancestors than `root` lives in a PID namespace below. */
bool group_table_reachable(const struct group_table *m, int at, int root);

/* What is known, in the drain of this coordinator (its serial), of the processes that hold a listener? */
enum group_holders {
    HOLDERS_UNKNOWN,
    HOLDERS_MEMBERS,  /* only processes of the coordinator's drain */
    HOLDERS_EXTERNAL, /* a process that is no part of the drain, too */
};
enum group_holders group_table_holders(const struct group_table *m, uint64_t inode, uint32_t coordinator);
/* The first answer counts. */
void group_table_set_holders(struct group_table *m, uint64_t inode, uint32_t coordinator, bool members_only);
/* The process that was taken for an external one has shown that it is a member: only members hold the listener. */
void group_table_clear_external(struct group_table *m, uint64_t inode, uint32_t coordinator);

/* So many slots are worth a look. */
int group_table_top(const struct group_table *m);

/* A place for an aborted request of the member with this serial, or NULL: no room, it is only counted. */
struct group_aborted *group_table_add_aborted(struct group_table *m, uint32_t serial);

#endif
