/* shim.h: the choreographer. A fact comes in from a hook, core decides, sys acts.
 *
 * Everything here may be called by any thread of the program, and from its signal handlers: no lock is
 * waited for, nothing is allocated but by mmap, errno is never touched. */
#ifndef LASTCALL_SHIM_H
#define LASTCALL_SHIM_H

#include "drain/drain.h"
#include "drain/exit_guard.h"
#include "drain/state.h"
#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/eintr.h"
#include "process/log.h"
#include "process/ownfd.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/wake.h"
#include "signal/disposition.h"
#include "sys/syscall.h"
#include "track/connections.h"
#include "track/fds.h"
#include "track/io.h"
#include "track/listeners.h"
#include "track/slots.h"

#include <sys/types.h>

/* ---- the process serves ---- */
void shim_arm(void);
/* ---- listeners ---- */
void shim_bound(int fd); /* by this process */
void shim_listening(int fd);
void shim_inherited(int fd); /* fd may be a listener that another process has made */
void shim_waits(int lfd);    /* the program is about to accept there */
/* accept() on lfd gave fd. */
void shim_accepted(int lfd, int fd);

/* A stream socket that came by SCM_RIGHTS under a new number. */
void shim_received(int fd);
/* The program's epoll_ctl(ep, op, fd, event) has succeeded. */
void shim_in_epoll(int ep, int op, int fd, uint32_t events, uint64_t data);

/* ---- signals ---- */
/* A drain signal reached the program (handler, sigwait, signalfd). True: it is the delivery, the program
 * shall have it; false: it is deferred. info may be NULL. */
bool shim_signal(int sig, const void *siginfo);
bool shim_sigaction(int sig, const struct ksigaction *act, struct ksigaction *old);
/* From now on the program's view of the drain signals is virtual. */
void shim_hold_signals(void);

/* ---- processes ---- */
/* Around a fork: what begin returns goes to the other two. A fork that was not seen: MEMBER_NONE. */
int shim_fork_begin(void);
void shim_forked_parent(int slot, int pid);
void shim_forked_child(int slot);
/* The group drains: so does this process from now on, though it has got no signal. */
void shim_follow(void);
/* This process is about to become another program (exec_begin; false: nothing to undo), and did not (exec_failed).
 * In a vfork child, which runs in the parent's memory, neither function writes to it. */
bool shim_exec_begin(void);
/* A deferred signal shall reach the new program (loads: that one loads the library, too). See deliver_over_exec. */
int shim_exec_signal(bool loads, uint64_t *mask);
void shim_exec_failed(int sig, uint64_t mask);
/* The program installs a seccomp filter (NULL: strict mode). begin: true if it would end the process for calls of
 * lastcall's, which then gives the signals back; end: has the kernel taken it? Then lastcall is off from now on. */
struct sock_fprog;
bool shim_sandbox_begin(const struct sock_fprog *filter);
void shim_sandbox_end(bool installed);
/* Before the program changes to another user, or another root directory: it may not open lastcall's files then. */
void shim_leaves_root(void);
/* The program calls exit: returns when it may (see drain/exit_guard.h). */
void shim_exit(void);
/* Upcalls of process/self: a fork came without a hook; a pre-exec child serves. */
void shim_unseen_fork(void);
void shim_child_settled(void);

#endif
