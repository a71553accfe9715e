/* shim.h: the choreographer. A fact comes in from a hook, core decides, sys acts.
 *
 * Everything here may be called by any thread of the program, and from its signal handlers: no lock is
 * waited for, nothing is allocated but by mmap, errno is never touched. */
#ifndef LASTCALL_SHIM_H
#define LASTCALL_SHIM_H

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
#include "track/listeners.h"
#include "track/slots.h"

#include <sys/types.h>

/* ---- the process serves ---- */
void shim_arm(void);
/* ---- listeners ---- */
void shim_bound(int fd); /* by this process */
void shim_listening(int fd);
void shim_given(int fd);  /* it may be a listener that another process has made */
void shim_lent(int fd);   /* bound by this process: another one may listen on it by now */
void shim_waits(int lfd); /* a Go program is about to accept there */
/* accept() on lfd gave fd. */
void shim_accepted(int lfd, int fd);
/* While draining, an accept comes to a door that is shut already (late). If it can block, and there is nobody left to
 * wait for (wakes), it shall fail with ECONNABORTED: the program may be here because select told it of the listener
 * that the placeholder has replaced, and would block for ever. One that accepts in a loop comes again, and after
 * ACCEPT_WAKES such answers may block. */
enum { ACCEPT_WAKES = 8 };
bool shim_accept_late(int lfd);
bool shim_accept_wakes(int lfd);
/* While draining, around an accept: what has left the queue and is not known yet is owed. False: it can block, and is not
 * counted. */
bool shim_accept_begins(int lfd);
void shim_accept_ends(int lfd);
/* accept() on lfd failed with err while draining. True: call it again. *err may be changed. */
bool shim_accept_failed(int lfd, int *err);
struct listener *shim_listener(int fd);

/* ---- connections ---- */
/* A descriptor that came by SCM_RIGHTS: track it if it is a connection. */
void shim_adopt(int fd);
/* The sweep has come across a descriptor that has no slot. True: it is a connection on our ports; tracked, opaque. */
bool shim_find(int fd);
void shim_alias(int fd, int copy); /* dup */
/* What a close of fd needs before (begin) and after (the caller's real close). */
void shim_forget(int fd);  /* fd is (about to be) closed by means that cannot linger */
void shim_closing(int fd); /* before the program's close of a tracked descriptor */
/* The program's epoll_ctl(ep, op, fd, event) has succeeded. */
void shim_in_epoll(int ep, int op, int fd, uint32_t events, uint64_t data);

/* fd was sent to another process: no longer ours alone. */
void shim_share(int fd);
/* The program has half-closed it. */
void shim_shut(uint32_t slot);
/* Have we half-closed this connection? */
bool shim_has_ended(uint32_t slot);
/* fd is a signalfd. */
void shim_signal_descriptor(int fd);
/* fd is the socket over which connections are handed to us. */
void shim_handoff_descriptor(int fd);
/* One call of the program that moves bytes. */
struct shim_call {
    struct conn *c;
    uint32_t generation;
    unsigned runs; /* shim.runs before it */
};

static INLINE struct conn *shim_call_begin(struct shim_call *call, uint32_t slot)
{
    struct conn *c = pool_of_slot(&connections, slot);
    call->c = c;
    call->generation = LOAD(c->generation);
    call->runs = eintr_runs();
    return c;
}

/* Is it the connection that the call began with? Its entry may have been given away meanwhile. */
static INLINE bool shim_call_holds(const struct shim_call *call)
{
    return LIKELY(LOAD(call->c->generation) == call->generation);
}

/* A call that is not the only one in its direction; or the first one since the fork that left it to us. */
void shim_call_beside(struct conn *c);

/* While draining: is the connection ended? Then what has crossed is swallowed. */
bool shim_read_refused(struct conn *c, int fd);

/* Begin reading. False: the connection is ended, the call's answer is 0 (end of file). */
static INLINE bool shim_read_begin(struct shim_call *call, int fd, uint32_t slot)
{
    struct conn *c = shim_call_begin(call, slot);
    if (deferred_draining() && shim_read_refused(c, fd))
        return false;
    if (UNLIKELY(__atomic_fetch_add(&c->calls_in, 1, __ATOMIC_RELAXED) != 0))
        shim_call_beside(c);
    return true;
}

/* The current thread moves bytes of c. */
static INLINE void shim_touch(struct conn *c)
{
    STORE(c->toucher, arch_thread_pointer());
}

ssize_t shim_read_end_any(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count);

/* The real call gave n; its bytes are in chunks (none: unseen). Returns what the program is told. Here the common
 * case; shim_read_end_any is for all. */
static INLINE ssize_t shim_read_end(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(n <= 0) || count != 1 || deferred_draining() || UNLIKELY(!conn_follow(&c->calls_in)))
        return shim_read_end_any(call, n, chunks, count);
    if (UNLIKELY(!shim_call_holds(call))) {
        conn_followed(c, &c->calls_in, 0);
        return n;
    }
    shim_touch(c);
    conn_received(c, chunks->data, (size_t)n);
    conn_followed(c, &c->calls_in, 1); /* over only now, with its bytes counted */
    return n;
}

/* Abandon: the call did not move bytes of the stream (MSG_PEEK, an error, cancellation). */
static INLINE void shim_read_none(struct shim_call *call)
{
    if (shim_call_holds(call))
        __atomic_sub_fetch(&call->c->calls_in, 1, __ATOMIC_RELAXED);
}

/* Begin writing. draining: deferred_draining(). False: the connection is ended, the program's bytes are swallowed. */
static INLINE bool shim_write_begin(struct shim_call *call, uint32_t slot, bool draining)
{
    struct conn *c = shim_call_begin(call, slot);
    if (draining && shim_has_ended(slot))
        return false;
    if (UNLIKELY(__atomic_fetch_add(&c->calls_out, 1, __ATOMIC_RELAXED) != 0))
        shim_call_beside(c);
    return true;
}

void shim_write_end_any(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count);
/* The real call gave n; its bytes are in chunks (none: unseen). As with reading. */
static INLINE void shim_write_end(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(n <= 0) || count > 1 || deferred_draining() || UNLIKELY(!conn_follow(&c->calls_out))) {
        shim_write_end_any(call, n, chunks, count);
        return;
    }
    if (UNLIKELY(!shim_call_holds(call))) {
        conn_followed(c, &c->calls_out, 0);
        return;
    }
    shim_touch(c);
    conn_sent(c, count ? chunks->data : NULL, (size_t)n, (uint64_t)n);
    conn_followed(c, &c->calls_out, 1);
    if (deferred_draining()) /* since a moment ago: the pump may have seen the connection as it was */
        wake_changed(c);
}

/* While draining: must this write say the farewell? Fills wire (at most max chunks) with what goes out
 * instead, and *f for shim_farewell_sent. False: send as it is. */
struct farewell {
    struct rewrite_plan plan;
    size_t before; /* bytes that pass ahead of the head */
    size_t total;  /* bytes of the program in wire */
    size_t wire_total;
};
bool shim_farewell(struct shim_call *call, const struct rewrite_chunk *chunks, size_t count, struct farewell *f,
                   struct rewrite_chunk *wire, size_t max, size_t *wire_count);
/* `sent` wire bytes went out. Returns the program's bytes done by that. */
size_t shim_farewell_sent(struct shim_call *call, const struct farewell *f, size_t sent,
                          const struct rewrite_chunk *chunks, size_t count);

/* ---- signals ---- */
/* A drain signal reached the program (handler, sigwait, signalfd). True: it is the release, the program
 * shall have it; false: it is withheld. info may be NULL. */
bool shim_signal(int sig, const void *siginfo);
bool shim_sigaction(int sig, const struct ksigaction *act, struct ksigaction *old);
void signals_hold(void);        /* from now on the view of the drain signals is virtual */
void signals_hear_leader(void); /* a worker: its leader may have no right to send it a drain signal */
void signals_give_back(void);   /* no longer: a release that owes the program nothing */
/* The next signal is the release: a call that it meets fails with EINTR, if the program's own handler would make it so
 * (uvicorn's parent waits for a futex), and is not restarted after ours. */
void signals_interrupt(void);
void signals_deliver(void); /* what is owed, to this thread, now */

/* ---- processes ---- */
/* Around a fork: what begin returns goes to the other two. A fork that was not seen: MEMBER_NONE. */
int shim_fork_begin(void);
void shim_forked_parent(int slot, int pid);
void shim_forked_child(int slot);
/* From a fork on, nothing that exists is ours alone: a shutdown() would act on the sibling's too. */
void shim_share_everything(void);
/* Our group drains: so do we from now on, though nobody has sent us a signal. */
void shim_follow(void);
/* This process is about to become another program (exec_begin; false: nothing to undo), and did not (exec_failed).
 * In a vfork child, whose memory is the parent's, neither changes a byte. */
bool shim_exec_begin(void);
void shim_exec_failed(void);
/* The program calls exit: returns when it may (see the exit guard in pump.c). */
void shim_exit(void);
/* Upcalls of process/self: a fork came without a hook; a pre-exec child serves. */
void shim_unseen_fork(void);
void shim_child_settled(void);

/* ---- for the pump ---- */
void shim_end(struct conn *c, nsec_t now); /* half-close */
void shim_watch(const struct conn *c);     /* tell the pump when c's output is acknowledged */
/* ---- pump.c, as the choreographer sees it ---- */
void pump_prepare(void); /* when the process begins to serve: later there may be no memory */
void thread_after_fork(void);
void report_after_fork(void);
bool pump_start(void);       /* false: there is neither thread nor timer; the signal is the program's */
unsigned pump_threads(void); /* so many there are of it */
bool pump_drive(void); /* one step, without waiting, for the timer that stands in for the thread; true: release now */
void lead_forget(void);

#endif
