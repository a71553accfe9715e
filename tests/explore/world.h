/* world.h: a small world for the drain: two processes, three clients, a clock; and every event that can happen in it.
 *
 * Real are what decides: core/ (drain, conn_drain, conn with http1, group_table), group/, drain/loop.c and holders.c.
 * Modelled, as small as it can be, are the kernel, the program and the clients; and of the library what stands between
 * the kernel and those that decide: the answers of scan.c, the listeners. */
#ifndef LASTCALL_WORLD_H
#define LASTCALL_WORLD_H

#include "core/group_table.h"

enum { PROCS = 2, CLIENTS = 3, WORDS_MAX = 160 };

enum place {
    CLOSED,   /* has not connected */
    SYN_SENT, /* its handshake is under way */
    QUEUED,   /* in the accept queue */
    ACCEPTED, /* accepted */
    GONE,
};

/* A client sends at most three pieces: half a head, the rest of it, and another whole request. */
enum { HALF = 1, FIRST = 2, SECOND = 3 };

enum unsent { UNSENT_NOTHING, UNSENT_FIN, UNSENT_BYTES };

struct client {
    uint8_t place; /* enum place */
    uint8_t owner;
    uint8_t sent, read; /* pieces */
    uint8_t answered;   /* requests */
    uint8_t unsent;     /* there is output that is not acknowledged: enum unsent */
    uint8_t hung_up;    /* it has closed its end */
    uint8_t late_data;  /* its data came after the close notice, or it connected too late: that may be lost */
    uint32_t conn;      /* the process's struct conn: see conn_of */
};

enum life { NOT_FORKED, ALIVE, DEAD };

/* What the owners of state know, in one process. */
struct process {
    struct drain drain;
    nsec_t signal_at, wake_at, served_at /* the last accept */;
    uint32_t said, signals, seen, coordinator_serial;
    int32_t coordinator;
    uint8_t life, begun, started, pending, delivering, phase;
    uint8_t woken;            /* its drain thread has been woken */
    uint8_t waits_commands;   /* which of the group's words its watcher waits for */
    uint8_t command;          /* a command is on its way to it */
    uint8_t deaths;           /* bit q: process q's pidfd says that it is dead */
    uint8_t watch[PROCS];     /* 1 watched, 2 commanded, 4 out of reach */
    uint8_t exits;            /* the program is in exit() */
    uint8_t left;             /* it has let go of the listener that others hold */
    uint8_t terms, urgent;    /* TERMs that it was sent; one that must end it at once */
    uint8_t accept_stopped;   /* it has stopped accepting: 1 for all, 2 for itself */
    uint8_t unclean;          /* its signal came by a deadline or a second signal, or its coordinator's did */
    uint8_t hidden_here;      /* it has hidden the listener */
    uint8_t swept, swept_for; /* see drain/loop.c */
    uint8_t shut;             /* it has closed the listener */
    uint8_t delivered;        /* so often its program was given its signal */
    uint8_t aborted;          /* the drain has ended the process */
};

struct slot { /* of the group's table: what is not the same in every world */
    nsec_t started_at, signal_at;
    uint32_t state, serial, parent, parent_at, flags, phase, confirm, coordinator, confirmed, second_signal, end;
    uint32_t may_close, closed, pad;
};

#define WORLD_BEGINS (10 * NSEC_PER_SEC)

struct world {
    nsec_t now;
    nsec_t hidden; /* since when; 0: the listener is open */
    nsec_t moved;  /* when a connection last left its queue since then */
    struct process proc[PROCS];
    struct slot slot[PROCS];
    struct group_listener listener[2];
    struct client client[CLIENTS];
};

/* How it is played. */
struct game {
    const char *name;
    struct options options;
    unsigned clients;  /* that may come */
    unsigned requests; /* each */
    bool worker;       /* a second process is there from the beginning */
    bool forks;        /* or it is made in the course */
    bool kills, exits; /* processes may be killed, may exit */
    bool handles;      /* the program has a handler, which ends it when its requests are answered */
    unsigned terms;    /* TERMs for each process at most */
    unsigned depth;    /* events */
};
extern const struct game *game;

/* What can happen; of whom is the second number. */
enum event {
    /* of a process's drain thread */
    THREAD_STEPS,
    /* of a process */
    IS_SENT_TERM,
    GETS_COMMAND,
    FORKS,
    SETTLES,
    EXITS,
    ENDS,
    IS_KILLED,
    ACCEPTS,
    /* of a client's connection */
    CONNECTS,
    IS_QUEUED,
    SENDS,
    IS_READ,
    IS_ANSWERED,
    READS_END,
    IS_CLOSED,
    IS_ACKED,
    HANGS_UP,
    /* of all */
    TIME_PASSES,
    EVENTS,
};
extern const char *const event_names[EVENTS];

void world_begin(struct world *w);

/* Can it happen? Then it does. False: it cannot. *wrong: what was found to be wrong in it, or NULL. */
bool world_event(struct world *w, enum event e, unsigned who, const char **wrong);

/* The event that a fair world lets happen next: each finishes what it has begun, and nothing new begins. False: there
 * is none, and every drain is over. */
bool world_fair(const struct world *w, enum event *e, unsigned *who);

/* Is every drain over? */
bool world_done(const struct world *w);

/* What process `who` learns of the kernel in a step, and does to it: the accept queues, its listener, its
 * connections. */
void world_queues(const struct world *w, unsigned who, struct census *census);
bool world_stop_listener(struct world *w, unsigned who);
bool world_close_listener(struct world *w, unsigned who);
void world_scan(struct world *w, unsigned who, struct census *census, bool first);

/* The number of different struct conns seen. */
unsigned world_conns(void);

#endif
