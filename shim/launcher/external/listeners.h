/* listeners.h: the listeners of a program that is drained externally: found by sock_diag and /proc, taken over by
 * pidfd_getfd, made to stop accepting. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_LISTENERS_H
#define LASTCALL_LAUNCHER_EXTERNAL_LISTENERS_H

#include "core/options.h"
#include "launcher/host/process_sockets.h"
#include "launcher/host/sock_diag.h"

struct listener {
    struct diag_socket diag;
    bool mptcp;
    bool ours;   /* the program's, and LASTCALL_LISTEN names it */
    bool shared; /* a process that is not drained holds it too, or may */
    bool stopped;
};

struct listeners {
    struct listener *at;
    unsigned count, room;
    const char *accept_stop; /* "hide" (bound to no device), "filter" (SYNs dropped), "shared"; NULL: they stay open */
    bool unknown;            /* the program may not be looked into, and nothing names its listeners */
    int error;               /* why one of ours stays open: of the system call that was refused; 0 none was */
};

/* All listeners, and the program's sockets, which were read for it. False: sock_diag or /proc is not to be had. */
bool listeners_find(struct listeners *d, struct process_sockets *t, const struct options *o);

/* How many drain; and whether a connection came by one of those. */
unsigned listeners_count_ours(const struct listeners *d);
bool listeners_has(const struct listeners *d, const struct diag_socket *connection);

/* Calls f once for each process that holds one of ours and of which no ancestor does. */
void listeners_each_server(const struct listeners *d, const struct process_sockets *t, void (*f)(int pid, void *arg),
                           void *arg);

/* Refuse new connections on ours. */
void listeners_stop_accepting(struct listeners *d, const struct process_sockets *t);

void listeners_free(struct listeners *d);

#endif
