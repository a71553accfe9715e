/* fds.h: a descriptor of the program becomes, is copied, and ceases to be, a connection or a listener. Any thread, any
 * signal handler; the descriptor's number is not another's meanwhile. */
#ifndef LASTCALL_TRACK_FDS_H
#define LASTCALL_TRACK_FDS_H

#include "core/conn.h"
#include "track/listeners.h"

/* Make an entry for connection fd. listener: the index of the listener that accepted it; LISTENERS_MAX: not known.
 * NULL: no memory, the connection passes through unseen. */
struct conn *fds_track(int fd, uint16_t listener, bool unix_);

/* Make an entry for fd, if it is a listener; ours: bound by this process. NULL: fd is no listener, or cannot be
 * watched. */
struct listener *fds_add_listener(int fd, bool ours);

/* The sweep has found a descriptor without a slot. True: it is a connection on our ports, tracked from now on, but
 * opaque, since its bytes until now are not known. (A listener gets its entry too.) */
bool fds_find(int fd);
/* The sweep has found a socket that this process has bound: a worker may listen on it, or no process any more. */
void fds_find_delegated(int fd);

/* dup(fd) gave copy. */
void fds_alias(int fd, int copy);
/* fd is (about to be) closed by means that cannot linger. */
void fds_forget(int fd);
/* fd was sent to another process, which may hold it from now on. */
void fds_share(int fd);
/* From a fork on, all listeners and connections are shared: a shutdown() would act on the other process's
 * descriptors too. */
void fds_share_all(void);

/* The program's epoll_ctl(ep, op, fd, ...) of connection c has succeeded. */
void fds_note_epoll(struct conn *c, int ep, int op);

#endif
