/* listeners.h: the listeners of a program that is drained from outside: found by sock_diag and /proc, taken over by
 * pidfd_getfd, hidden. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_LISTENERS_H
#define LASTCALL_LAUNCHER_EXTERNAL_LISTENERS_H

#include "core/options.h"
#include "launcher/host/process_sockets.h"
#include "launcher/host/sock_diag.h"

struct door {
    struct diag_socket is;
    bool mptcp;
    bool ours;   /* the program's, and LASTCALL_LISTEN names it */
    bool shared; /* somebody who is not drained holds it too, or may */
    bool hidden;
};

struct doors {
    struct door *at;
    unsigned count, room;
    const char *how; /* "hide" (bound to no device), "filter" (SYNs dropped), "shared"; NULL: they stay open */
    bool unknown;    /* the program may not be looked into, and nothing names its listeners */
    int error;       /* why one of ours stays open: of the system call that was refused; 0 none was */
};

/* All listeners, and the sockets of the program that were read for it. False: sock_diag or /proc is not to be had. */
bool doors_find(struct doors *d, struct process_sockets *t, const struct options *o);

/* Those that drain; and whether a connection came by one of them. */
unsigned doors_ours(const struct doors *d);
bool doors_has(const struct doors *d, const struct diag_socket *connection);

/* Calls f once for each process that holds one of ours and of which no ancestor does. */
void doors_servers(const struct doors *d, const struct process_sockets *t, void (*f)(int pid, void *arg), void *arg);

/* Refuse new connections on ours. */
void doors_hide(struct doors *d, const struct process_sockets *t);

void doors_free(struct doors *d);

#endif
