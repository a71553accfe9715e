/* closed_conns.h: connections that the program has closed while a response may have been outstanding.
 *
 * A process that dies closes its sockets one by one, so a scan in the middle of that finds sockets closed as if by
 * close(2). The kernel marks the process as exiting before it closes the first socket (do_exit: exit_signals, then
 * exit_files). Therefore a connection whose process is still running after the scan was closed by that process or by
 * the client. Every other closed connection is kept here until the kernel's final counts of the connection arrive.
 *
 * If the final counts never arrive (the kernel's message was lost), the connection counts as it was at the last
 * scan: reporting one aborted connection too many is better than one too few. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSED_CONNS_H

#include "launcher/external/activity.h"

struct closed_conn {
    struct activity activity; /* as of the last scan in which the program held it */
    struct diag_socket last;  /* the kernel's final counts */
    int holder;               /* a process that held the connection; 0: not known */
    bool known;               /* `last` is filled in */
    bool fresh;               /* whether the holder is still running is not checked yet */
    bool died;                /* the holder was exiting when checked */
};

struct closed_conns {
    struct closed_conn *at;
    unsigned count, room;
};

/* seen: the kernel's final counts; NULL: the final counts have not arrived yet. */
void closed_conns_add(struct closed_conns *d, const struct activity *a, int holder, const struct diag_socket *seen);

/* The kernel's final counts of a connection have arrived. False: the connection is none of these. */
bool closed_conns_set_final(struct closed_conns *d, const struct diag_socket *s);

/* A connection that began and ended between two scans, so that only its final counts are known. */
void closed_conns_add_unseen(struct closed_conns *d, const struct diag_socket *s);

/* After a scan: remove the connections that lost nothing, if the program's first process is still running. */
void closed_conns_forget_settled(struct closed_conns *d, int root);

/* Does a connection here still wait for its final counts? */
bool closed_conns_awaits_final(const struct closed_conns *d);

/* What has become of the program's first process. */
enum program_end { PROGRAM_LIVES, PROGRAM_EXITED, PROGRAM_KILLED };
bool closed_conns_was_aborted(const struct closed_conn *one, enum program_end why);

void closed_conns_free(struct closed_conns *d);

#endif
