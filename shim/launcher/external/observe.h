/* observe.h: the connections of a program that is drained from outside, look by look, and what was learnt of each. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_OBSERVE_H
#define LASTCALL_LAUNCHER_EXTERNAL_OBSERVE_H

#include "core/report.h"
#include "launcher/external/listeners.h"
#include "launcher/external/closed_conns.h"
#include "launcher/host/process_sockets.h"
#include "launcher/external/cork_close.h"
#include "launcher/external/activity.h"

struct visitor { /* a connection to one of our ports */
    struct guest guest;
    bool foreign; /* another program's, which shares the port */
    struct farewell farewell;
    bool corked;             /* since it was said */
    int holder;              /* a process that has it; 0: not known */
    struct diag_socket last; /* the kernel's last word of it; without a cookie: there was none yet */
};

struct visitors { /* by cookie */
    struct visitor *at;
    unsigned count, room;
};

struct watch {
    int root; /* the program's first process */
    struct process_sockets family;
    struct doors doors;
    struct visitors here, before; /* of this look, of the last */
    struct departures departed;   /* to whom something was owed, maybe */
    bool whole;                   /* this look: there was memory for all */
    bool looked;                  /* once at least */
    int cannot_take;              /* an error number: descriptors cannot be taken over here */
    nsec_t looked_at, look_at;    /* the last look; the next */
    nsec_t last_accept;
    unsigned farewells; /* being said */
    struct report_counts counts;
};

#define LOOK_LEAST (5 * NSEC_PER_MSEC)
#define LOOK_MOST  (50 * NSEC_PER_MSEC)

/* False: it could not be taken. Then all is as it was at the last. */
bool watch_look(struct watch *w, nsec_t now);

/* One has ended, says the kernel. */
void watch_ended(struct watch *w, const struct diag_socket *s);

/* Reads anew who holds what. */
bool watch_family(struct watch *w);

/* Give up the close that a cork was to carry (cork_close.h), if one is under way. */
void observe_drop_cork(struct watch *w, struct visitor *v);

void watch_free(struct watch *w);

#endif
