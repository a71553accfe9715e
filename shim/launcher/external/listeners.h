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
    bool ours;   /* the listener belongs to the program, and LASTCALL_LISTEN names the listener */
    bool shared; /* a process that is not drained holds the listener too, or may */
    bool stopped;
};

struct listeners {
    struct listener *at;
    unsigned count, room;
    const char *accept_stop; /* "hide" (bound to no device), "filter" (SYNs dropped), "shared"; NULL: not stopped */
    bool unknown;            /* the program's descriptors may not be read, and LASTCALL_LISTEN is not set */
    int error;               /* errno of the system call that left a listener (ours) open; 0: no call failed */
};

/* Reads all listeners, and for that the program's sockets. False: sock_diag or /proc is not available. */
bool listeners_find(struct listeners *d, struct process_sockets *t, const struct options *o);

/* How many listeners drain (ours); and did one of these accept the connection? */
unsigned listeners_count_ours(const struct listeners *d);
bool listeners_has(const struct listeners *d, const struct diag_socket *connection);

/* Calls f once for each process that holds a listener (ours) and has no ancestor that does. */
void listeners_each_server(const struct listeners *d, const struct process_sockets *t, void (*f)(int pid, void *arg),
                           void *arg);

/* Make the listeners (ours) stop accepting. */
void listeners_stop_accepting(struct listeners *d, const struct process_sockets *t);

void listeners_free(struct listeners *d);

#endif
