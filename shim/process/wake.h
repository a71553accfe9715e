/* wake.h: the events that the drain's thread waits for, and how other threads wake it. Any thread, any signal
 * handler. */
#ifndef LASTCALL_PROCESS_WAKE_H
#define LASTCALL_PROCESS_WAKE_H

#include "base.h"

struct conn;

struct wake {
    int epoll, event;           /* -1 before a drain */
    const struct conn *blocker; /* a connection that delivery waits for: its changes wake the thread */
};
extern HIDDEN struct wake wake;

/* Make the descriptors, before any thread can see that a drain has begun. */
void wake_open(void);

/* Wake the drain's thread. */
void wake_now(void);

/* Connection c has changed; NULL: something else has. */
void wake_changed(const struct conn *c);

/* The descriptors are closed by ownfd_after_fork. */
void wake_after_fork(void);

#endif
