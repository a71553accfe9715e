/* closed_conns.h: connections that the program no longer holds, while a response was owed to them, maybe.
 *
 * A program that dies closes its sockets one by one, and a scan in the middle of that finds some of them closed as if the
 * program had closed them in peace. What tells the two apart: a process is marked as ending before its first socket is
 * closed. So a socket that was closed by a process which is found alive after the scan was closed by that process, or by the
 * client. Every other closed connection is kept here, until the kernel's final counts of it are known.
 *
 * Where those stay unknown (the kernel's message was lost) the connection counts as it was at the last scan: rather one
 * connection too many is called aborted than one too few. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H

#include "launcher/external/activity.h"

struct closed_conn {
    struct activity activity; /* as of the last scan in which the program held it */
    struct diag_socket last;  /* the kernel's final counts */
    int holder;               /* a process that had it; 0: not known */
    bool known;               /* last is */
    bool fresh;               /* it was not asked yet whether the holder lives */
    bool died;                /* the holder did not live */
};

struct closed_conns {
    struct closed_conn *at;
    unsigned count, room;
};

/* seen: the kernel's final counts, NULL: there were none yet. */
void closed_conns_add(struct closed_conns *d, const struct activity *a, int holder, const struct diag_socket *seen);

/* The kernel's final counts have come. False: of none of these. */
bool closed_conns_set_final(struct closed_conns *d, const struct diag_socket *s);

/* A connection of which nothing else was ever seen: it came and ended between two scans. */
void closed_conns_add_unseen(struct closed_conns *d, const struct diag_socket *s);

/* After a scan: forget those that lost nothing, if the program's first process lives. */
void closed_conns_forget_settled(struct closed_conns *d, int root);

/* Is there a connection whose final counts are to come? */
bool closed_conns_awaits_final(const struct closed_conns *d);

/* What has become of the program's first process. */
enum program_end { PROGRAM_LIVES, PROGRAM_EXITED, PROGRAM_KILLED };
bool closed_conns_was_aborted(const struct closed_conn *one, enum program_end why);

void closed_conns_free(struct closed_conns *d);

#endif
