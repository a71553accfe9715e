/* members.h: the processes of a group, as a table in memory that they share (DESIGN section 8).
 *
 * Pure: the memory and the time are the caller's. Lock-free; any process, any thread, any signal handler. What another
 * process has written is never trusted to be in range. */
#ifndef LASTCALL_MEMBERS_H
#define LASTCALL_MEMBERS_H

#include "core/drain.h"
#include "core/history.h"
#include "core/report.h"

enum { MEMBERS_VERSION = 2, MEMBERS_MAX = 512, MEMBERS_DOORS = 64, MEMBERS_CUTS = 64, MEMBER_NONE = -1 };

enum member_state {
    MEMBER_FREE,
    MEMBER_BORN,   /* forked, and has neither waited nor served yet: it may be about to exec */
    MEMBER_SERVES, /* one that drains with its group */
    MEMBER_AWAY,   /* gone to another program, which has not joined */
    MEMBER_LEFT,   /* ended in the middle of a drain; its counts are still wanted */
};

/* What a process has shown of itself. */
enum {
    MEMBER_EXECED = 1,   /* joined after an exec */
    MEMBER_ACCEPTS = 2,  /* has accepted, or waits on a listener */
    MEMBER_RECEIVED = 4, /* has received sockets by SCM_RIGHTS */
    MEMBER_FORKS = 8,    /* has made members of its own */
    MEMBER_DEAF = 16,    /* ignores all drain signals: no order reaches it */
};

struct member {
    uint32_t state;  /* enum member_state */
    uint32_t serial; /* unique in the group, never 0 while in use */
    uint32_t parent; /* serial of the process that made it; 0: nobody here */
    uint32_t parent_at;
    int32_t pid;     /* as its parent sees it; 0: not known yet */
    int32_t own_pid; /* as it sees itself; another number: it is in a PID namespace below */
    uint32_t flags;
    uint32_t phase;    /* enum drain_phase */
    uint32_t round;    /* as leader: how often it has asked "all drained, nothing new?" */
    uint32_t follows;  /* serial of the process that leads its drain; 0: nobody */
    uint32_t answered; /* the question of that one that it has said yes to */
    uint32_t again;    /* as leader: released by a second signal */
    uint32_t end;      /* enum report_end, or MEMBER_KILLED */
    int32_t signal;    /* that began its drain */
    uint32_t open;     /* requests in flight now */
    uint32_t missed;   /* connections of its drain that the history (history.h) has no room for */
    uint32_t handed;   /* cluster_sum() of the listeners that it is handed connections of; 0: none */
    nsec_t born_at;    /* CLOCK_BOOTTIME, as in /proc/PID/stat; at most as exact as that */
    nsec_t signal_at, owed_at;
    uint64_t wall_ms;
    struct report_counts counts;
    /* for those who look from outside (`lastcall status`) */
    int32_t owed;   /* a signal that is withheld from it; 0: none */
    nsec_t timeout; /* its deadline, from signal_at; 0: none */
    uint64_t view;  /* where its struct view lies, in its own memory; 0: not known */
};

enum { MEMBER_KILLED = 100 };

/* One request that was cut, for the leader's report. */
struct member_cut {
    uint32_t serial; /* whose; 0: free */
    char peer[64], method[24];
    struct report_cut facts; /* its pointers mean nothing here */
};

struct member_door {
    uint64_t inode;
    uint32_t leader, whole; /* whole: only processes of the leader's drain hold it */
};

struct members {
    char magic[8];
    uint32_t version, size;
    uint64_t cookie;
    uint32_t next_serial;
    uint32_t top;     /* slots from here on were never used */
    uint32_t reports; /* futex: something has changed that a leader waits for */
    uint32_t orders;  /* futex: a leader has changed something */
    uint32_t cuts;    /* so many were reported, here or for want of room not */
    struct member member[MEMBERS_MAX];
    struct member_door door[MEMBERS_DOORS];
    struct member_cut cut[MEMBERS_CUTS];
};

/* The table, and, where its founder was told to keep one, the history of the group's drains. No page of that costs
 * anything before something is written there. */
struct members_memory {
    struct members members;
    struct history history;
};

/* A new table in zeroed memory; is this memory one of ours, made with this cookie? */
void members_init(struct members *m, uint64_t cookie);
bool members_are_valid(const struct members *m, uint64_t cookie);

/* How the environment names it to the programs that are started: _LASTCALL_GROUP=<descriptor>:<cookie>. */
#define MEMBERS_VARIABLE "_LASTCALL_GROUP"
void members_name(struct text *t, int fd, uint64_t cookie);

/* Take a slot for a process that is being made by the one in slot `parent` (MEMBER_NONE: nobody). MEMBER_NONE: full. */
int members_claim(struct members *m, int parent, enum member_state state, nsec_t now);

/* The process with this serial has ended. Its children belong to its parent from now on. keep: its counts are still
 * wanted. False: somebody else has said so before. */
bool members_leave(struct members *m, int at, uint32_t serial, bool keep);

/* The living member with this pid, as its parent sees it, or MEMBER_NONE. */
int members_find(const struct members *m, int pid);

/* The slot of the living parent of the process in slot `at`, or MEMBER_NONE. */
int members_parent(const struct members *m, int at);

/* The same, if it works for its parent: it was forked by it, or, exec'd, has received its connections from it or serves
 * in its place. One that was exec'd and has members of its own, or serves beside its parent, is an heir (nginx USR2),
 * and drains by itself. */
int members_master(const struct members *m, int at);

/* Does a drain of `root` mean `at` too? It is the same process, or works for it, or for one that does. */
bool members_in_scope(const struct members *m, int at, int root);

/* The outermost process whose drain means `at`, itself included; MEMBER_NONE: there is no drain. */
int members_leader(const struct members *m, int at);

/* Can `root` reach this one by its pid? Not if another of its ancestors than `root` lives in a PID namespace below. */
bool members_reachable(const struct members *m, int at, int root);

/* Has the group of this leader said whether it holds a listener alone? */
enum member_verdict { VERDICT_NONE, VERDICT_WHOLE, VERDICT_FOREIGN };
enum member_verdict members_verdict(const struct members *m, uint64_t inode, uint32_t leader);
void members_decide(struct members *m, uint64_t inode, uint32_t leader, bool whole); /* the first word counts */
/* Who was taken for a stranger has shown that it is none: it is whole after all. */
void members_acquit(struct members *m, uint64_t inode, uint32_t leader);

/* So many slots are worth a look. */
int members_top(const struct members *m);

/* A place for a request that was cut, or NULL: no room, it is only counted. */
struct member_cut *members_cut(struct members *m, uint32_t serial);

#endif
