/* model.h: the groups of this machine as `lastcall status` shows them, and the checks of every value. Pure.
 *
 * The input is copies of other processes' memory: a copy may have been made in the middle of a change, from a
 * process of another build, or from a hostile one. Every number is checked here, every string is bounded and made
 * printable, so that the structs below may be shown anywhere. */
#ifndef LASTCALL_LAUNCHER_STATUS_MODEL_H
#define LASTCALL_LAUNCHER_STATUS_MODEL_H

#include "core/status_abi.h"
#include "launcher/status/notes.h"
#include "launcher/status/printable.h"

/* The state of a connection, the most important first. */
enum status_kind {
    KIND_IN_FLIGHT,
    KIND_IDLE,        /* no request outstanding */
    KIND_OPAQUE,      /* opaque: its protocol is not read */
    KIND_CLOSING,     /* idle, after the read shutdown: the program is about to read end of file */
    KIND_HALF_CLOSED, /* half-closed: its output is still to be acknowledged, or its peer still to close */
    KIND_LINGERING,   /* the program has closed it */
    KIND_INHERITED,   /* inherited: accepted by the parent process, and not used since the fork */
    KINDS,
    KIND_NONE = KINDS
};
extern const char *const status_kind_name[KINDS];

/* How much of a process can be read. */
enum status_sight {
    SIGHT_WHOLE,
    SIGHT_DENIED,  /* the kernel denies access to the process's memory */
    SIGHT_BUILD,   /* the process's library is another build of lastcall */
    SIGHT_UNKNOWN, /* the process has not published its connections' address, or they are not at that address */
    SIGHT_ENDED,   /* the process has ended meanwhile */
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
    int signal, deferred; /* signal that began the drain; signal that is deferred; 0: none */
    bool timed;           /* its drain has begun, and `since` is known */
    nsec_t since;         /* so long ago */
    bool limited;         /* there is a deadline */
    nsec_t timeout, left;
    unsigned conn[KINDS]; /* of SIGHT_WHOLE only; else in_flight is what the drain has published */
    struct report_counts counts;
    uint8_t handler; /* enum notes_handler */
};

struct status_group {
    uint64_t dev, ino;              /* identity of the group's memory */
    const char *problem;            /* why the memory cannot be read; NULL: it was read */
    int problem_pid;                /* a process that holds the memory */
    struct status_process *process; /* the master first */
    unsigned processes;
    struct status_request *request;
    unsigned requests;
    bool requests_left_out; /* there are more */
    char listener[STATUS_LISTENERS][STATUS_PEER];
    unsigned listeners;
    struct notes_left_alone left_alone;
    unsigned conn[KINDS];                /* of all */
    const struct status_process *drains; /* the member that drains as coordinator, or alone; NULL: none */
};

struct status {
    struct status_group *group;
    unsigned groups;
    unsigned hidden; /* processes that the caller may not examine */
    uint64_t wall_ms;
};

/* Are these `size` bytes, the start of `whole`, the table of a group, all of it? NULL, or why not. */
const char *status_table_problem(const void *bytes, size_t size, uint64_t whole);

/* Is the slot worth a row? */
bool status_is_shown(const struct member *who);

/* Takes a member's row of the table into *p, checked. */
void status_take_member(struct status_process *p, const struct group_table *m, int at, nsec_t now);

enum status_kind status_kind_of(const struct conn *c);
/* Count a connection; true: the connection is in flight, and *r is filled in. *c: any bytes; made valid. */
bool status_take_conn(struct status_process *p, struct status_request *r, struct conn *c);

/* Computes the sums, the order and `drains`, once all processes are in. */
void status_finish(struct status_group *g, const struct group_table *m);
/* Does a process of the group still run? */
bool status_lives(const struct status_group *g);
/* Sorts the oldest request first; requests of unknown age last. */
void status_sort_requests(struct status_group *g);

/* "serving", "lame_duck" ...: one word for a process. */
const char *status_state(const struct status_process *p);
const char *status_group_state(const struct status_group *g);

void status_drop(struct status_group *g);
void status_free(struct status *s);

#endif
