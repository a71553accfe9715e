/* drain.h: one drain, from its signal to the delivery of that signal. What the rest of the library asks of it. */
#ifndef LASTCALL_DRAIN_DRAIN_H
#define LASTCALL_DRAIN_DRAIN_H

#include "base.h"

/* The process begins to serve: reserve what a drain needs, since memory may be short when the drain begins. */
void drain_prepare(void);

/* A drain begins, after wake_open: start its thread. False: there is neither thread nor timer, the signal passes to
 * the program at once. In the signal handler. */
bool drain_start(void);

/* Where a timer stands in for the thread: one step, without waiting. True: the signal is to be delivered now. In the
 * signal handler. */
bool drain_drive(void);

/* Log which listeners are left alone, each once in a group. The log is open. */
void drain_report_left_alone(void);

/* Open the report's file now, and hold it: see outfile_hold. < 0: no descriptor. */
int drain_report_hold(void);
bool drain_report_holds(int fd);
/* The program has put another file under this number of ours. */
void drain_report_replaced(int fd);

/* ---- the program accepts while we drain: any thread, any signal handler ---- */

/* The listener lfd does not accept any more. If the call can block, and there is no client left to wait for
 * (drain_accept_wakes), it shall fail with ECONNABORTED: a thread may call accept because select reported the listener
 * that the placeholder has replaced, and would block on the placeholder for ever. A thread that accepts in a loop comes
 * again, and after ACCEPT_WAKES such answers may block. */
enum { ACCEPT_WAKES = 8 };
bool drain_accept_is_late(int lfd);
bool drain_accept_wakes(int lfd);

/* Around an accept: a connection that has left the queue and is not tracked yet is outstanding. False: the call can
 * block, and is not counted. */
bool drain_accept_begins(int lfd);
void drain_accept_ends(int lfd);

/* accept() on lfd failed with err. True: call it again. *err may be changed. */
bool drain_accept_failed(int lfd, int *err);

/* A connection was accepted from l, which is not left alone, and is tracked. */
struct listener;
void drain_accepted(struct listener *l);

/* The program ends itself, and no drain has begun (it has been stopped by another signal, or exits for a reason of its
 * own): requests in flight are said in one log line. Any thread, any signal handler. */
void undrained_end(void);

/* Is what lies at this path, by which this process has bound an AF_UNIX listener, another socket by now? dir: as
 * unlinkat has it. */
bool drain_is_successors_path(int dir, const char *path);

/* ---- a fork's child: the drain is its parent's ---- */
void thread_after_fork(void);
void drain_report_after_fork(void);

#endif
