/* closed_conns.h: connections that have left the program's hands while an answer was owed to them, maybe.
 *
 * A program that dies closes its sockets one by one, and a look in the middle of that finds some of them closed as if it
 * had done so in peace. What tells the two apart: a process is marked as ending before its first socket is closed. So
 * what has left the hands of a process that is found alive after the look was closed by it, or by the client. Whatever left
 * otherwise is kept here, until it is known what the kernel had counted for it in the end.
 *
 * Where that stays unknown (the kernel's word of it was lost) it counts as it was at the last look: rather one too many is
 * called cut than one too few. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H

#include "launcher/external/activity.h"

struct departed {
    struct guest guest;      /* as of the last look that saw it in the program's hands */
    struct diag_socket last; /* the kernel's last word of it */
    int holder;              /* a process that had it; 0: not known */
    bool known;              /* last is */
    bool fresh;              /* nobody has asked yet whether the holder lives */
    bool died;               /* it did not */
};

struct departures {
    struct departed *at;
    unsigned count, room;
};

/* seen: the kernel's last word, NULL: there was none yet. */
void departed_add(struct departures *d, const struct guest *g, int holder, const struct diag_socket *seen);

/* The kernel's last word has come. False: of none of these. */
bool departed_ended(struct departures *d, const struct diag_socket *s);

/* One of which nothing else was ever seen: it came and ended between two looks. */
void departed_unseen(struct departures *d, const struct diag_socket *s);

/* After a look: those are forgotten that lost nothing, if the program's first process lives. */
void departed_sift(struct departures *d, int root);

/* Is there one of which the last word is to come? */
bool departed_waits(const struct departures *d);

enum departed_why {
    DEPARTED_IN_PEACE,  /* the program's first process lives */
    DEPARTED_BY_EXIT,   /* it has ended of its own will */
    DEPARTED_BY_SIGNAL, /* it was killed */
};
/* Was this one cut? */
bool departed_was_cut(const struct departed *one, enum departed_why why);

void departed_free(struct departures *d);

#endif
