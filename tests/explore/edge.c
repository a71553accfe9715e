/* edge.c: see edge.h. The coordinator and what belongs to it are compiled into this file, with system calls of our
 * own. */
#include "kernel.h"

#include "edge.h"

#include <stdio.h>
#include <stdlib.h>

/* The coordinator's signal is delivered in the middle of a participant's look at whose drain its own is a part of. */
static enum torn { WHOLE, BEFORE, AFTER } torn;
static int torn_coordinator(struct group_table *m, int at);
#define group_table_coordinator torn_coordinator

#include "group/coordinator.c" /* NOLINT(bugprone-suspicious-include) */
#include "group/member.c"      /* NOLINT(bugprone-suspicious-include) */
#include "group/membership.c"  /* NOLINT(bugprone-suspicious-include) */
#include "group/peers.c"       /* NOLINT(bugprone-suspicious-include) */
#include "drain/holders.c"     /* NOLINT(bugprone-suspicious-include) */
#include "drain/loop.c"        /* NOLINT(bugprone-suspicious-include) */

#undef group_table_coordinator

enum { FIRST_PID = 100, FIRST_FD = 10 };

struct self self_state;
struct options config;
struct deferred deferred;
struct stats stats;
struct wake wake;
struct listeners listeners;
struct conn_pool connections;
struct drain_state drain_state;
struct exit_guard exit_guard;
struct group group;
static struct group_table table;
struct conn_log conn_log;
static struct world *here;
static unsigned me;
static nsec_t skew; /* waited in the middle of a step */

/* ---- what they ask of others ---------------------------------------------------------------------------------- */

nsec_t clock_now(void)
{
    return here->now + skew;
}

nsec_t group_boottime(void)
{
    return here->now;
}

int ownfd_move_high(int fd)
{
    return fd;
}

void ownfd_close(int fd)
{
    if (fd >= 0)
        sys1(SYS_close, fd);
}

struct member *group_coordinator(void)
{
    int at = group_self() ? group_table_coordinator(&table, group.at) : MEMBER_NONE;
    return at == MEMBER_NONE ? NULL : &table.member[at];
}

void group_fill_command(void *siginfo, int sig)
{
    (void)siginfo;
    (void)sig;
}

/* Who waits for this word, and hears this bit, is woken. */
static void wake_waiters(const uint32_t *word, uint32_t bit)
{
    for (unsigned q = 0; q < PROCS; q++) {
        struct process *p = &here->proc[q];
        const uint32_t *waits = p->waits_commands ? &table.commands : &table.events;
        if (p->life == ALIVE && p->begun && !p->delivering && waits == word && (bit >> q & 1))
            p->woken = 1;
    }
}

void group_wake_coordinators(void)
{
    wake_waiters(&table.events, UINT32_MAX);
}

void group_wake_participants(void)
{
    wake_waiters(&table.commands, UINT32_MAX);
}

bool group_is_mapped_by(int pid)
{
    (void)pid;
    return true;
}

/* Who else holds the listener? The other process, if it lives. */
bool proc_other_sockets(enum proc_membership (*membership)(uint64_t pid),
                        void (*f)(uint64_t inode, uint64_t pid, void *arg), void *arg, struct proc_unseen *unseen)
{
    unsigned other = 1 - me;
    (void)membership;
    memset(unseen, 0, sizeof *unseen);
    if (here->proc[other].life == ALIVE && !here->proc[other].left)
        f(listeners.entry[0].inode, FIRST_PID + other, arg);
    return true;
}

uint64_t sock_inode(int fd)
{
    return (uint64_t)fd;
}

void connections_unpin(struct conn *c)
{
    (void)c;
}

void fds_share_all(void)
{
}

/* ---- and of the world's: the kernel's queues and connections ---- */

bool listeners_stop(void)
{
    return world_stop_listener(here, me);
}

bool listeners_stop_internal(void)
{
    return false;
}

bool listeners_detach(void)
{
    return false; /* world_stop_listener has */
}

bool listeners_close(const struct drain *drain, bool last, nsec_t now)
{
    (void)drain, (void)last, (void)now;
    return world_close_listener(here, me);
}

void listeners_census(struct census *census, const struct drain *drain, nsec_t now)
{
    (void)drain, (void)now;
    world_queues(here, me, census);
}

void scan_connections(struct census *census, nsec_t now, bool first)
{
    (void)now;
    world_scan(here, me, census, first);
}

void sweep_descriptors(void)
{
}

void *map_zeroed(size_t size)
{
    return calloc(1, size);
}

void map_free(void *memory, size_t size)
{
    (void)size;
    free(memory);
}

void scan_end_reading(void)
{
}

void scan_abort(nsec_t now)
{
    (void)now;
}

/* ---- nobody is of node's cluster, nothing is reported, no signal is blocked ---- */

bool node_cluster_leave(bool last, nsec_t now)
{
    (void)last, (void)now;
    return false;
}

void node_cluster_census(struct census *census, nsec_t now)
{
    (void)census, (void)now;
}

void drain_report_open(void)
{
}

void drain_report_signal(bool shuts_down)
{
    (void)shuts_down;
}

void drain_report_begun(uint64_t in_flight)
{
    (void)in_flight;
}

void drain_report_accept_stopped(nsec_t now)
{
    (void)now;
}

void drain_report_trace(void)
{
}

void drain_report_count_aborted(void)
{
}

unsigned drain_report_each_aborted(void (*f)(const struct report_aborted *aborted, void *arg), void *arg)
{
    (void)f, (void)arg;
    return 0;
}

void drain_report_end(nsec_t now, enum report_end end)
{
    (void)now, (void)end;
}

void group_add_aborted(const struct report_aborted *aborted)
{
    (void)aborted;
}

void conn_log_end(void)
{
}

void conn_log_died(uint32_t serial)
{
    (void)serial;
}

void log_warning(const char *what)
{
    (void)what;
}

void dispositions_give_back(void)
{
}

void dispositions_interrupt(int sig, int pending)
{
    (void)sig, (void)pending;
}

enum program_answer dispositions_answer(int sig)
{
    (void)sig;
    return game->handles ? PROGRAM_SHUTS_DOWN : PROGRAM_DIES;
}

unsigned exit_guard_threads(void)
{
    return exit_guard.thread[0].tid != 0;
}

void exit_guard_let_go(void)
{
}

bool proc_blocks(int tid, int sig)
{
    (void)tid, (void)sig;
    return false;
}

bool proc_status_has(int pid, const char *set, int sig)
{
    (void)pid, (void)set, (void)sig;
    return false;
}

bool proc_main_sleeps(void)
{
    return true;
}

nsec_t proc_main_spent(void)
{
    return 0;
}

/* Every process of this world is in the table. */
int proc_parent(int pid)
{
    (void)pid;
    return 0;
}

bool proc_started(int pid, nsec_t *at)
{
    *at = here->slot[pid - FIRST_PID].started_at;
    return true;
}

static bool is_alive(long pid)
{
    return pid >= FIRST_PID && pid < FIRST_PID + PROCS && here->proc[pid - FIRST_PID].life == ALIVE;
}

/* To ourselves: the delivery. Else it asks only whether there is such a process. */
static long kill_process(long pid, long sig)
{
    here->proc[me].delivered += sig != 0 && pid == FIRST_PID + me;
    return is_alive(pid) ? 0 : -ESRCH;
}

static long send_to(long pid)
{
    if (!is_alive(pid))
        return -ESRCH;
    here->proc[pid - FIRST_PID].command = 1;
    return 0;
}

long model_call(long nr, long a, long b, long c, long d, long e, long f)
{
    (void)c, (void)d, (void)e;
    switch (nr) {
    case SYS_close:
    case SYS_epoll_ctl: return 0;
    case SYS_nanosleep: skew += (nsec_t)((const struct timespec *)a)->tv_nsec; return 0;
    case SYS_gettid: return FIRST_PID + me;
    case SYS_getppid: return me == 1 && is_alive(FIRST_PID) ? FIRST_PID : 1;
    case SYS_waitid: return me == 0 && b == FIRST_PID + 1 ? 0 : -ECHILD;
    case SYS_kill: return kill_process(a, b);
    case SYS_exit_group: here->proc[me].aborted = 1; return 0;
    case SYS_pidfd_open: return is_alive(a) ? FIRST_FD + a - FIRST_PID : -ESRCH;
    case SYS_pidfd_send_signal: return send_to(a - FIRST_FD + FIRST_PID);
    case SYS_rt_sigqueueinfo: return send_to(a);
    case SYS_futex:
        if (b == FUTEX_WAKE_BITSET)
            wake_waiters((const uint32_t *)a, (uint32_t)f);
        else
            skew += SETTLE;
        return b == FUTEX_WAKE_BITSET ? 0 : -ETIMEDOUT;
    default: fprintf(stderr, "explore: system call %ld is not modelled\n", nr); abort();
    }
}

/* ---- being one of the processes --------------------------------------------------------------------------------- */

struct group_table *edge_table(void)
{
    return &table;
}

static void load_slot(struct member *to, const struct slot *from, unsigned at)
{
    to->state = from->state;
    to->serial = from->serial;
    to->parent = from->parent;
    to->parent_at = from->parent_at;
    to->flags = from->flags;
    to->phase = from->phase;
    to->confirm = from->confirm;
    to->coordinator = from->coordinator;
    to->confirmed = from->confirmed;
    to->second_signal = from->second_signal;
    to->end = from->end;
    to->may_close = from->may_close;
    to->closed = from->closed;
    to->started_at = from->started_at;
    to->signal_at = from->signal_at;
    to->pid = to->own_pid = from->state == MEMBER_FREE ? 0 : (int32_t)(FIRST_PID + at);
    to->signal = SIGTERM;
}

static void save_slot(struct slot *to, const struct member *from)
{
    to->state = from->state; /* a free one, too, keeps what it was until it is given away */
    to->serial = from->serial;
    to->parent = from->parent;
    to->parent_at = from->parent_at;
    to->flags = from->flags;
    to->phase = from->phase;
    to->confirm = from->confirm;
    to->coordinator = from->coordinator;
    to->confirmed = from->confirmed;
    to->second_signal = from->second_signal;
    to->end = from->end;
    to->may_close = from->may_close;
    to->closed = from->closed;
    to->started_at = from->started_at;
    to->signal_at = from->signal_at;
}

void edge_load(struct world *w, unsigned who)
{
    const struct process *p = &w->proc[who];
    here = w;
    me = who;
    skew = 0;
    for (unsigned i = 0; i < PROCS; i++) {
        load_slot(&table.member[i], &w->slot[i], i);
        pidref[i].serial = p->watch[i] & 1 ? w->slot[i].serial : 0;
        pidref[i].fd = p->watch[i] & 1 ? (int)(FIRST_FD + i) : 0;
        pidref[i].commanded = p->watch[i] & 2;
        pidref[i].out_of_reach = p->watch[i] & 4;
    }
    memcpy(table.listener, w->listener, sizeof w->listener);
    table.top = w->slot[1].serial ? 2 : 1;
    table.next_serial = w->slot[0].serial ? 1 : 0; /* and the slot that is given next: group_table_claim */
    group.table = &table;
    group.at = p->life == ALIVE ? (int)who : MEMBER_NONE;
    group.coordinator = p->coordinator;
    group.coordinator_serial = p->coordinator_serial;
    self_state.pid = FIRST_PID + (int)who;
    drain_state.drain = p->drain;
    deferred.phase = p->phase;
    deferred.signal_at = p->signal_at;
    deferred.pending = p->pending;
    deferred.delivering = p->delivering;
    deferred.signals = p->signals;
    deferred.last_at = w->now; /* time does not pass between a signal and the step that takes it */
    exit_guard.thread[0].tid = p->exits;
    drain_state.tid = game->handles ? FIRST_PID + me : 0;
    stats.last_accept_at = p->served_at;
    loop.begun = p->started;
    loop.signals_seen = p->seen;
    loop.swept = p->swept;
    loop.swept_for = p->swept_for;
    deferred.first_signal = deferred.pending_signal = SIGTERM;
    config = game->options;
    holders_begin();
    said_confirmed = p->said;
}

void edge_save(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    for (unsigned i = 0; i < PROCS; i++) {
        save_slot(&w->slot[i], &table.member[i]);
        bool same = pidref[i].serial != 0 && pidref[i].serial == w->slot[i].serial;
        p->watch[i] = (uint8_t)(same ? 1 | (pidref[i].commanded ? 2 : 0) | (pidref[i].out_of_reach ? 4 : 0) : 0);
    }
    memcpy(w->listener, table.listener, sizeof w->listener);
    p->coordinator = group.coordinator;
    p->coordinator_serial = group.coordinator_serial;
    p->drain = drain_state.drain;
    p->phase = deferred.phase;
    p->signal_at = deferred.signal_at;
    p->pending = deferred.pending;
    p->delivering = deferred.delivering;
    p->started = loop.begun;
    p->seen = loop.signals_seen;
    p->swept = loop.swept;
    p->swept_for = (uint8_t)loop.swept_for;
    p->said = said_confirmed;
}

bool edge_step(struct process *p)
{
    uint32_t value;
    if (!loop.begun)
        coordinator_begin();
    for (unsigned q = 0; q < PROCS; q++)
        if (p->deaths >> q & 1)
            loop_peer_event(PEERS_TOKEN(q));
    p->deaths = 0;
    bool goes_on = loop_step(&p->wake_at);
    p->waits_commands = coordinator_futex(&value) == &table.commands;
    return goes_on;
}

static int torn_coordinator(struct group_table *m, int at)
{
    if (torn == BEFORE)
        m->member[0].phase = DRAIN_DONE;
    int top = group_table_coordinator(m, at);
    if (torn == AFTER)
        m->member[0].phase = DRAIN_DONE;
    return top;
}

bool edge_survives_torn_look(struct world *w)
{
    const struct coordinator_part part = {DRAIN_DRAINED, true, 0, w->now};
    struct coordinator_events events = {false, {0, {0}}};
    struct census census;
    bool survives = true;
    for (torn = BEFORE; torn <= AFTER; torn++) {
        edge_load(w, 1);
        set_coordinator(0);
        table.member[0].phase = DRAIN_EMPTYING;
        table.member[1].phase = DRAIN_DRAINED;
        memset(&census, 0, sizeof census);
        coordinator_step(&part, &census, &events);
        survives = survives && group.coordinator == 0 && !deferred.pending && census.coordinator_phase == DRAIN_DONE;
    }
    torn = WHOLE;
    return survives;
}

/* ---- shim_signal.c and group/, in short -------------------------------------------------------------------------- */

void edge_begin(struct process *p, const struct member *coordinator, nsec_t now)
{
    struct member *self = group_self();
    p->woken = 1;
    if (p->begun)
        return;
    p->begun = 1;
    deferred.signal_at = coordinator ? coordinator->signal_at : now;
    deferred.phase = DRAIN_LAME_DUCK;
    if (self) {
        self->signal_at = deferred.signal_at;
        self->phase = DRAIN_LAME_DUCK;
    }
}

void edge_follow(struct process *p, nsec_t now)
{
    const struct member *coordinator = group_coordinator();
    if (!coordinator || coordinator == group_self())
        return;
    edge_begin(p, coordinator, now);
    group_wake_coordinators();
}
