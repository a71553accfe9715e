/* model.h: what `lastcall status` knows of the groups of this machine, and how it comes to believe it.
 *
 * Pure. What comes in are copies of other processes' memory: they may have been made in the middle of a change, by a
 * process of another build, or by a hostile one. Every number is checked here, every string is bounded and made
 * printable; what is in the structs below may be shown anywhere. */
#ifndef LASTCALL_LAUNCHER_STATUS_MODEL_H
#define LASTCALL_LAUNCHER_STATUS_MODEL_H

#include "core/group_table.h"
#include "core/status_abi.h"
#include "launcher/status/printable.h"

/* What a connection is about, in the order of what matters. */
enum status_kind {
    KIND_IN_FLIGHT,
    KIND_IDLE,        /* no request outstanding */
    KIND_OPAQUE,      /* it cannot be read */
    KIND_CLOSING,     /* idle, and told to end: the program is about to read end of file */
    KIND_HALF_CLOSED, /* half-closed: its output is to be acknowledged, its peer to end */
    KIND_LINGERING,   /* the program has closed it */
    KIND_INHERITED,   /* of the parent's, and not touched since the fork */
    KINDS,
    KIND_NONE = KINDS
};
extern const char *const status_kind_name[KINDS];

/* How much of a process could be seen. */
enum status_sight {
    SIGHT_WHOLE,
    SIGHT_DENIED,  /* not its memory: the kernel forbids that */
    SIGHT_BUILD,   /* its memory is laid out by another build of lastcall */
    SIGHT_UNKNOWN, /* it has not said where its connections are, or they are not there */
    SIGHT_ENDED,   /* it has ended meanwhile */
};
extern const char *const status_sight_reason[]; /* whole sentences; "" for SIGHT_WHOLE */

enum { STATUS_PEER = 64, STATUS_LISTENERS = 8, STATUS_REQUESTS_MAX = 10000 };

struct status_request { /* one in flight */
    int pid, fd;
    char method[HTTP1_METHOD_MAX + 1]; /* "" if not known yet */
    uint64_t request_bytes, response_bytes;
    bool from_before; /* in flight at the signal */
    /* from the kernel, if it knows the socket */
    uint64_t inode;
    bool aged;
    nsec_t age; /* since the last byte came */
    char peer[STATUS_PEER];
};

struct status_process {
    int pid;     /* as the caller sees it */
    int at;      /* its slot */
    bool master; /* the outermost one */
    char name[STATUS_NAME];
    enum status_sight sight;
    uint32_t state;       /* enum member_state */
    uint32_t phase;       /* enum drain_phase */
    bool killed;          /* in the middle of a drain */
    int signal, deferred; /* that began its drain; that is deferred from it; 0: none */
    bool timed;           /* its drain has begun, and `since` is known */
    nsec_t since;         /* so long ago */
    bool limited;         /* there is a deadline */
    nsec_t timeout, left;
    unsigned conn[KINDS]; /* of SIGHT_WHOLE only; else in_flight is what the drain has published */
    struct report_counts counts;
};

struct status_group {
    uint64_t dev, ino;              /* of its memory: which group it is */
    const char *problem;            /* why it cannot be read; NULL: it is below */
    int problem_pid;                /* a process that holds it */
    struct status_process *process; /* the master first */
    unsigned processes;
    struct status_request *request;
    unsigned requests;
    bool requests_cut; /* there are more */
    char listener[STATUS_LISTENERS][STATUS_PEER];
    unsigned listeners;
    unsigned conn[KINDS];                /* of all */
    const struct status_process *drains; /* whose drain is the group's, or that drains alone; NULL: nobody */
};

struct status {
    struct status_group *group;
    unsigned groups;
    unsigned hidden; /* processes that the caller may not look into */
    uint64_t wall_ms;
};

/* Are these `size` bytes, the start of `whole`, the table of a group, all of it? NULL, or why not. */
const char *status_table_problem(const void *bytes, size_t size, uint64_t whole);

/* Is the slot worth a row? */
bool status_is_shown(const struct member *who);

/* What the table says of a member, checked. */
void status_take_member(struct status_process *p, const struct group_table *m, int at, nsec_t now);

enum status_kind status_kind_of(const struct conn *c);
/* Count it; true: it is in flight, and *r is filled in. *c is any bytes, and made valid. */
bool status_take_conn(struct status_process *p, struct status_request *r, struct conn *c);

/* Sums, order, whose drain it is: once all processes are in. */
void status_finish(struct status_group *g, const struct group_table *m);

/* Is anybody of it left? */
bool status_lives(const struct status_group *g);

/* The oldest first; those of unknown age last. */
void status_sort_requests(struct status_group *g);

/* "serving", "lame_duck" ...: one word for a process. */
const char *status_state(const struct status_process *p);
const char *status_group_state(const struct status_group *g);

void status_drop(struct status_group *g);
void status_free(struct status *s);

#endif
