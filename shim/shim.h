/* shim.h: the choreographer. A fact comes in from a hook, core decides, sys acts.
 *
 * Everything here may be called by any thread of the program, and from its signal handlers: no lock is
 * waited for, nothing is allocated but by mmap, errno is never touched. */
#ifndef LASTCALL_SHIM_H
#define LASTCALL_SHIM_H

#include "core/drain.h"
#include "core/fdtable.h"
#include "core/report.h"
#include "core/sigview.h"
#include "sys/net.h"
#include "sys/syscall.h"

#include <sys/types.h>

enum { LISTENERS_MAX = 128, LISTENER_EPOLLS = 4, RUNS = 64 };

enum door_kind {
    DOOR_OPEN,
    DOOR_HIDDEN,
    DOOR_FILTERED,
    DOOR_SHUT_UNIX,
    DOOR_TO_EMPTY, /* the program accepts what there is; then the placeholder comes */
    DOOR_TO_LEAVE, /* likewise, but what comes meanwhile is for others who hold it: only this process goes */
    DOOR_PLACEHOLDER
};

struct listener {
    int fd;
    bool live, ignored, unix_;
    bool given;                   /* not bound by this process or one that has forked it */
    bool lent;                    /* bound here, but it is others who listen (the primary of node's cluster) */
    bool shared;                  /* another process may hold it: we did not make it, or have forked */
    bool foreign;                 /* ... and it may be one that does not drain with us */
    bool held, held_by_strangers; /* seen so at the signal */
    bool undecided;               /* ... one of these may be about to show that it drains with us */
    bool reuseport;
    uint8_t door;     /* enum door_kind */
    uint8_t swapping; /* lock of the swap for a placeholder */
    uint8_t woken;    /* accepts that were told ECONNABORTED because of it */
    uint8_t epolls;   /* sets that hold it; more than LISTENER_EPOLLS: not all are noted */
    struct {
        int fd;
        uint32_t events;
        uint64_t data;
    } epoll[LISTENER_EPOLLS];
    uint16_t port;
    uint16_t aliases;
    uint64_t inode;
    struct sock_address name; /* remembered for getsockname once the placeholder is in */
};

/* The state of the process. One instance; words that several threads touch are atomic by builtin. */
struct shim {
    bool off;          /* LASTCALL_DISABLE, or nothing to work with */
    bool armed;        /* this process serves */
    bool go;           /* it is a Go program, and its system calls are ours to see */
    bool injected;     /* it is a static program: what it starts is not under us */
    bool newborn;      /* a fork's child that has not served yet: it may be about to exec */
    uint8_t phase;     /* enum drain_phase, as the hooks may see it */
    uint8_t releasing; /* the next drain signal is the release */
    int pid;
    uint64_t ticks; /* arch_ticks() at one moment, and the time then: two such pairs tell what a tick is worth */
    nsec_t ticks_at;
    struct options options;
    char strings[2][OPTIONS_PATH_MAX]; /* log_file, report: copies */
    char complaints[2048];             /* what the configuration lacks, said when the process serves */
    struct sigview sigview;
    uint8_t sig_lock, given_lock;
    struct conn_pool pool;
    struct listener listener[LISTENERS_MAX];
    unsigned listeners;        /* entries used so far */
    uint64_t fd2_dev, fd2_ino; /* the standard error seen at start */
    uint64_t *fork_page;       /* MADV_WIPEONFORK: 0 in a child */
    uint32_t forks_begun, forks_done;

    /* the signal */
    uint8_t begun;    /* a drain has: by a signal, or because the group drains */
    int first_signal; /* by which one */
    uint8_t owed;     /* the program was sent a signal, and shall have it at release */
    int owed_signal;
    uint8_t first_info[128]; /* its siginfo */
    bool have_info;
    unsigned signals; /* drain signals so far: the pump reads how many are new */
    nsec_t last_at;   /* when the last of them came: set before it is counted */
    nsec_t signal_at;
    uint64_t signal_wall_ms;
    unsigned runs;     /* of our handler, where it has interrupted a call */
    int run_tid[RUNS]; /* in which threads, the last of them; negative: the program's own handler has run as well */

    /* the drain */
    struct drain drain;
    int epoll, event;      /* the pump's; -1 before */
    int log_fd, report_fd; /* -1: none */
    int pump_tid;          /* 0: no pump; -1: there could not be one */
    uint8_t pump_lock;
    struct conn *witness; /* a connection that release waits for: its changes wake the pump */
    nsec_t last_accept;
    unsigned accepting;           /* calls of accept that do not block, begun while draining */
    unsigned called, called_back; /* threads that were called out of accept, and that have come */
    nsec_t owed_at;               /* when the last thing owed was done */
    struct report_counts counts;
    int fd_top;      /* highest descriptor that ever had a slot */
    int fd_high;     /* descriptors of ours begin here */
    int looked_at;   /* by the sweep: its slot says so */
    int exiting_tid; /* a thread is in exit() and waits for its leave */
    uintptr_t exiting_tp;
    uint32_t exit_leave; /* futex: 1 = go */
    uint8_t exit_called;
};

extern HIDDEN struct shim shim;

/* The slot of each descriptor: FD_MAX of them, mapped when the first is set. A process that never serves
 * has none: the loader would need a system call more for so large a .bss. */
extern HIDDEN uint32_t *fd_slot;
extern HIDDEN unsigned fd_slots; /* 0 or FD_MAX; set after fd_slot */

static inline uint32_t slot_of(int fd)
{
    if (UNLIKELY((unsigned)fd >= __atomic_load_n(&fd_slots, __ATOMIC_ACQUIRE)))
        return 0;
    return __atomic_load_n(&fd_slot[fd], __ATOMIC_RELAXED);
}

static inline bool shim_draining(void)
{
    return UNLIKELY(__atomic_load_n(&shim.phase, __ATOMIC_ACQUIRE) != DRAIN_SERVING);
}

/* ---- the process serves ---- */
void shim_arm(void);
bool shim_is_our_process(void); /* false in a vfork child; a fork child is made a process of its own */
/* A newborn child serves, or waits for something: it is here to stay. If its group drains, so does it. */
void shim_grow_up(void);
static INLINE void shim_stays(void)
{
    if (UNLIKELY(shim.newborn))
        shim_grow_up();
}
/* Does this newborn hold connections that its parent may have left to it? */
bool shim_inherits(void);

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
void shim_forget(int fd);           /* fd is (about to be) closed by means that cannot linger */
void shim_closing(int fd);          /* before the program's close of a tracked descriptor */
uint32_t shim_settled_slot(int fd); /* once the sweep does not look at it any more */
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
/* The first descriptor of our own from `from` on; FD_MAX if there is none. */
int shim_next_own(unsigned from);

/* A lock: taken or not, never waited for. */
static inline bool conn_lock(uint8_t *lock)
{
    return __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) == 0;
}

/* The lock of one direction (calls: calls_in, calls_out), likewise: to follow its bytes. */
static INLINE bool conn_follow(uint32_t *calls)
{
    return (__atomic_fetch_or(calls, CONN_LOCKED, __ATOMIC_ACQUIRE) & CONN_LOCKED) == 0;
}

void conn_free_if_alone(struct conn *c);

/* Gives the lock back. `done`: calls that are thereby over, 0 or 1. */
static INLINE void conn_followed(struct conn *c, uint32_t *calls, uint32_t done)
{
    __atomic_sub_fetch(calls, CONN_LOCKED + done, __ATOMIC_SEQ_CST);
    if (UNLIKELY(__atomic_load_n(&c->dead, __ATOMIC_SEQ_CST)))
        conn_free_if_alone(c);
}

/* One call of the program that moves bytes. */
struct shim_call {
    struct conn *c;
    uint32_t generation;
    unsigned runs; /* shim.runs before it */
};

static INLINE struct conn *shim_call_begin(struct shim_call *call, uint32_t slot)
{
    struct conn *c = pool_of_slot(&shim.pool, slot);
    call->c = c;
    call->generation = LOAD(c->generation);
    call->runs = __atomic_load_n(&shim.runs, __ATOMIC_RELAXED);
    return c;
}

/* Is it the connection that the call began with? Its entry may have been given away meanwhile. */
static INLINE bool shim_call_holds(const struct shim_call *call)
{
    return LIKELY(LOAD(call->c->generation) == call->generation);
}

/* Tell the pump that c has changed; NULL: something else has. */
void shim_wake(const struct conn *c);

/* A call that is not the only one in its direction; or the first one since the fork that left it to us. */
void shim_call_beside(struct conn *c);

/* While draining: is the connection ended? Then what has crossed is swallowed. */
bool shim_read_refused(struct conn *c, int fd);

/* Begin reading. False: the connection is ended, the call's answer is 0 (end of file). */
static INLINE bool shim_read_begin(struct shim_call *call, int fd, uint32_t slot)
{
    struct conn *c = shim_call_begin(call, slot);
    if (shim_draining() && shim_read_refused(c, fd))
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
    if (UNLIKELY(n <= 0) || count != 1 || shim_draining() || UNLIKELY(!conn_follow(&c->calls_in)))
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

/* Begin writing. draining: shim_draining(). False: the connection is ended, the program's bytes are swallowed. */
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
    if (UNLIKELY(n <= 0) || count > 1 || shim_draining() || UNLIKELY(!conn_follow(&c->calls_out))) {
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
    if (shim_draining()) /* since a moment ago: the pump may have seen the connection as it was */
        shim_wake(c);
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
/* Nanoseconds since arch_ticks() was `began`. */
nsec_t shim_since(uint64_t began);
/* Has our handler alone run in this thread since `runs`, so that an EINTR is not the program's business? */
bool shim_interrupted(unsigned runs);
bool shim_sigaction(int sig, const struct ksigaction *act, struct ksigaction *old);
void signals_hold(void);        /* from now on the view of the drain signals is virtual */
void signals_hear_leader(void); /* a worker: its leader may have no right to send it a drain signal */
void signals_give_back(void);   /* no longer: a release that owes the program nothing */
/* The next signal is the release: a call that it meets fails with EINTR, if the program's own handler would make it so
 * (uvicorn's parent waits for a futex), and is not restarted after ours. */
void signals_interrupt(void);
void signals_deliver(void); /* what is owed, to this thread, now */
static inline bool shim_holds(int sig)
{
    return sigview_holds(&shim.sigview, sig);
}

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

/* ---- for the pump ---- */
void shim_end(struct conn *c, nsec_t now); /* half-close */
void shim_free(struct conn *c);
void shim_watch(const struct conn *c); /* tell the pump when c's output is acknowledged */
/* The descriptor of c does not change hands, nor is it closed, while pinned. Only the pump and a close pin, each
 * for a few system calls; the pump never waits for a pin (conn_lock(&c->pin) instead). */
void conn_pin(struct conn *c);
void conn_unpin(struct conn *c);
nsec_t shim_now(void);

/* ---- pump.c, as the choreographer sees it ---- */
void pump_prepare(void); /* when the process begins to serve: later there may be no memory */
void pump_open(void);    /* its descriptors, before anybody can see that a drain has begun */
bool pump_start(void);   /* false: there is neither thread nor timer; the signal is the program's */
void pump_poke(void);
unsigned pump_threads(void); /* so many there are of it */
bool pump_drive(void); /* one step, without waiting, for the timer that stands in for the thread; true: release now */
void log_complaints(void);
void log_warning(const char *what);
/* The pump's descriptors for the processes of its group: the first from `from` on, FD_MAX if there is none; and they are
 * another process's. */
int lead_next_own(unsigned from);
void lead_forget(void);

#endif
