/* observe.h: the connections of a program that is drained externally, scan by scan, and what was learnt of each. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_OBSERVE_H
#define LASTCALL_LAUNCHER_EXTERNAL_OBSERVE_H

#include "core/report_format.h"
#include "launcher/external/activity.h"
#include "launcher/external/closed_conns.h"
#include "launcher/external/cork_close.h"
#include "launcher/external/listeners.h"
#include "launcher/host/process_sockets.h"

struct observed_conn { /* a connection to one of the program's ports */
    struct activity activity;
    bool external; /* the connection belongs to another program, which shares the port */
    struct cork_close cork;
    bool corked;             /* the read shutdown was made under the cork */
    int holder;              /* a process that holds the connection; 0: not known */
    struct diag_socket last; /* the kernel's final counts; without a cookie: there were none yet */
};

struct observed_conns { /* by cookie */
    struct observed_conn *at;
    unsigned count, room;
};

struct observer {
    int root; /* the program's first process */
    struct process_sockets sockets;
    struct listeners listeners;
    struct observed_conns here, before; /* of this scan, of the last */
    struct closed_conns closed;         /* closed while a response may have been outstanding */
    bool whole;                         /* this scan: there was memory for all */
    bool looked;                        /* once at least */
    int cannot_take;                    /* an error number: descriptors cannot be taken over here */
    nsec_t looked_at, look_at;          /* the last scan; the next */
    nsec_t last_accept;
    unsigned corks; /* connections that the launcher has corked */
    struct report_counts counts;
};

#define OBSERVE_LEAST (5 * NSEC_PER_MSEC)
#define OBSERVE_MOST  (50 * NSEC_PER_MSEC)

/* Scan all connections. False: the kernel's list cannot be read, and everything is as after the last scan. */
bool observe_connections(struct observer *o, nsec_t now);

/* The kernel says that a connection has ended. */
void observe_ended(struct observer *o, const struct diag_socket *s);

/* Read anew which process holds which socket. */
bool observe_sockets(struct observer *o);

/* Remove the launcher's cork, if the connection has one. */
void observe_drop_cork(struct observer *o, struct observed_conn *conn);

void observe_free(struct observer *o);

#endif
