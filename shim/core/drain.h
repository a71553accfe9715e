/* drain.h: the life of a drain (DESIGN section 3) as one pure function. It sees a census, never a
 * connection; time is an argument. */
#ifndef LASTCALL_DRAIN_H
#define LASTCALL_DRAIN_H

#include "core/options.h"

enum drain_phase {
    DRAIN_SERVING,         /* expects: a signal */
    DRAIN_LAME_DUCK,       /* expects: the end of the lame duck delay, or quiet */
    DRAIN_STOPPING_ACCEPT, /* listeners stopped: expects accept queues and handshakes under way to be served */
    DRAIN_EMPTYING,        /* expects: the last outstanding connection to end */
    DRAIN_DRAINED,         /* expects: delivery by the process that coordinates this drain (a group's master) */
    DRAIN_GUARDING, /* the program has its signal, and shuts down by its own handler: expects its requests to end */
    DRAIN_DONE,     /* expects nothing: the program has its signal */
};

/* What the program does when it gets its signal. */
enum program_answer {
    PROGRAM_DIES,      /* it has no handler */
    PROGRAM_MAY_DIE,   /* it has one, which may end it at once */
    PROGRAM_SHUTS_DOWN /* it has one that lets requests end */
};

struct census {
    unsigned queued;    /* connections in accept queues */
    int half_open;      /* handshakes under way on our ports; -1 cannot be known */
    unsigned in_flight; /* connections with a request in flight (opaque and busy ones too) */
    unsigned unsent;    /* of these: no request, but an exit waits until their output is acknowledged */
    unsigned idle;      /* connections with an open idle window, or that have not read their end of file */
    unsigned ending;    /* connections with output that is not acknowledged, or a peer still sending */
    bool leaving;       /* the program is in exit(): only what is in flight can still be served */
    uint8_t answer;     /* enum program_answer */
    unsigned aborted; /* requests that will have no answer: dropped by the program, or by members whose drain is over */
    nsec_t last_accept; /* when a connection last arrived; 0 never */
    nsec_t queue_moved; /* when a connection last left the queue of a stopped listener, or will have been asked to; 0
                           never */
    nsec_t next_expiry; /* when the first idle window ends; 0 none */

    /* the group (DESIGN section 8) */
    unsigned members;      /* processes that are part of this drain and not done; guarding: with requests in flight */
    unsigned members_open; /* processes with requests in flight */
    bool participant;      /* another process coordinates this drain and says when its phases come */
    uint8_t coordinator_phase; /* the coordinator's phase; from DRAIN_GUARDING on this process may deliver */
    bool coordinator_again;    /* the coordinator has had a second signal */
    bool may_close;            /* accepting has stopped everywhere: this process may close its listeners, */
    bool closes_last;          /* for all others have closed theirs */
    /* Until then a member that drains alone goes on accepting: the signal may be on its way to all members, which would
     * leave no process for the accept queue; 0: not alone. */
    nsec_t alone_until;
};

struct drain {
    uint8_t phase;
    bool again;   /* a second signal: deliver now */
    bool expired; /* ended by the deadline */
    nsec_t signal_at, lame_duck_from, stopping_from, accept_stopped_at, delivered_at;
};

struct drain_actions {
    bool stop_accepting; /* stop accepting now */
    bool deliver;        /* give the program its signal now */
    bool finish;         /* the drain is over: write the report */
    bool abort;          /* and end what is still open, then the process: after `deliver` */
    nsec_t wake_at;      /* call again at this time at the latest; 0 = only when something changes */
};

/* Something in this census ends by itself at `at`: the next step is due then at the latest. */
static inline void drain_expires(struct census *census, nsec_t at)
{
    if (census->next_expiry == 0 || at < census->next_expiry)
        census->next_expiry = at;
}

/* Is nothing outstanding in this process, whatever its group says? */
static inline bool drain_own_part_is_done(const struct census *census)
{
    return census->queued + census->in_flight + census->idle + census->ending == 0;
}

/* Two of the same signal within this time are one (systemd, Heroku and forwarding parents send two). */
#define DRAIN_REPEAT (1 * NSEC_PER_SEC)

/* A drain signal came at `now`: the first begins the drain, a later one ends it. */
void drain_signal(struct drain *d, nsec_t now);

/* Something may have changed, or time has passed. The census is of this moment. */
struct drain_actions drain_step(struct drain *d, const struct census *census, const struct options *o, nsec_t now);

/* Have the listeners been told to stop accepting? (Not where the program got its signal first: it closes them
 * itself.) */
static inline bool drain_stops_accepting(const struct drain *d)
{
    return d->stopping_from != 0;
}

/* May idle connections be closed? (Not while lame duck: their next request is still welcome.) */
bool drain_may_close_idle(const struct drain *d);

#endif
