/* edge.c: see edge.h. lead.c and what belongs to it are compiled into this file, with system calls of our own. */
#include "kernel.h"

#include "edge.h"

#include <stdio.h>
#include <stdlib.h>

/* A release by the leader, in the middle of a follower's look at who leads. */
static enum torn { WHOLE, BEFORE, AFTER } torn;
static int torn_leader(struct members *m, int at);
#define members_leader torn_leader

#include "lead.c"        /* NOLINT(bugprone-suspicious-include) */
#include "lead_report.c" /* NOLINT(bugprone-suspicious-include) */
#include "watch.c"       /* NOLINT(bugprone-suspicious-include) */

#undef members_leader

enum { FIRST_PID = 100, FIRST_FD = 10 };

struct self self_state;
struct options config;
struct deferred deferred;
struct stats stats;
struct wake wake;
struct listeners listeners;
struct drain_state drain_state;
struct exit_guard exit_guard;
struct group group;
struct conn_log conn_log;
static struct members table;
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

void *group_order(void)
{
    return &table;
}

/* Who waits for this word, and hears this bit, is woken. */
static void wake_waiters(const uint32_t *word, uint32_t bit)
{
    for (unsigned q = 0; q < PROCS; q++) {
        struct process *p = &here->proc[q];
        const uint32_t *waits = p->waits_orders ? &table.orders : &table.reports;
        if (p->life == ALIVE && p->begun && !p->releasing && waits == word && (bit >> q & 1))
            p->poked = 1;
    }
}

void group_report(void)
{
    wake_waiters(&table.reports, UINT32_MAX);
}

void group_command(void)
{
    wake_waiters(&table.orders, UINT32_MAX);
}

bool group_is_mapped_by(int pid)
{
    (void)pid;
    return true;
}

void announce_open(void)
{
}

unsigned survey_cut(void (*f)(const struct report_cut *cut, void *arg), void *arg)
{
    (void)f;
    (void)arg;
    return 0;
}

/* Who else holds the listener? The other process, if it lives; a stranger unless our drain means it. */
void holders_look(bool with_listeners, const struct conn *pinned)
{
    unsigned other = 1 - me;
    (void)with_listeners;
    (void)pinned;
    listeners.entry[0].foreign =
        here->proc[other].life == ALIVE && !here->proc[other].left && lead_means(FIRST_PID + other) != KIN;
}

/* Every process of this world is in the table. */
int proc_parent(int pid)
{
    (void)pid;
    return 0;
}

void conn_log_died(uint32_t serial)
{
    (void)serial;
}

void conn_log_each(uint32_t serial, int pid, void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    (void)serial, (void)pid, (void)f, (void)arg;
}

void conn_log_drop(uint32_t serial)
{
    (void)serial;
}

bool proc_started(int pid, nsec_t *at)
{
    *at = here->slot[pid - FIRST_PID].born_at;
    return true;
}

bool proc_blocks(int tid, int sig)
{
    (void)tid;
    (void)sig;
    return false;
}

void proc_each(int pid, const char *directory, void (*f)(int dir, const char *name, uint64_t number, void *arg),
               void *arg)
{
    (void)pid, (void)directory, (void)f, (void)arg;
}

static bool is_alive(long pid)
{
    return pid >= FIRST_PID && pid < FIRST_PID + PROCS && here->proc[pid - FIRST_PID].life == ALIVE;
}

static long send_to(long pid)
{
    if (!is_alive(pid))
        return -ESRCH;
    here->proc[pid - FIRST_PID].order = 1;
    return 0;
}

long model_call(long nr, long a, long b, long c, long d, long e, long f)
{
    (void)c, (void)d, (void)e;
    switch (nr) {
    case SYS_close:
    case SYS_epoll_ctl:
    case SYS_nanosleep: return 0;
    case SYS_gettid: return FIRST_PID + me;
    case SYS_getppid: return me == 1 && is_alive(FIRST_PID) ? FIRST_PID : 1;
    case SYS_waitid: return me == 0 && b == FIRST_PID + 1 ? 0 : -ECHILD;
    case SYS_kill: return is_alive(a) ? 0 : -ESRCH;
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

struct members *edge_table(void)
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
    to->round = from->round;
    to->follows = from->follows;
    to->answered = from->answered;
    to->again = from->again;
    to->end = from->end;
    to->born_at = from->born_at;
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
    to->round = from->round;
    to->follows = from->follows;
    to->answered = from->answered;
    to->again = from->again;
    to->end = from->end;
    to->born_at = from->born_at;
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
        watch[i].serial = p->watch[i] & 1 ? w->slot[i].serial : 0;
        watch[i].fd = p->watch[i] & 1 ? (int)(FIRST_FD + i) : 0;
        watch[i].ordered = p->watch[i] & 2;
        watch[i].out_of_reach = p->watch[i] & 4;
    }
    memcpy(table.door, w->door, sizeof w->door);
    table.top = w->slot[1].serial ? 2 : 1;
    table.next_serial = w->slot[0].serial ? 1 : 0; /* and the slot that is given next: members_claim */
    group.table = &table;
    group.at = p->life == ALIVE ? (int)who : MEMBER_NONE;
    group.leader = p->leader;
    group.leader_serial = p->leader_serial;
    self_state.pid = FIRST_PID + (int)who;
    drain_state.drain = p->drain;
    deferred.phase = p->phase;
    deferred.signal_at = p->signal_at;
    deferred.pending = p->owed;
    deferred.first_signal = deferred.pending_signal = SIGTERM;
    config = game->options;
    looked = false;
    said_answered = p->said;
}

void edge_save(struct world *w, unsigned who)
{
    struct process *p = &w->proc[who];
    for (unsigned i = 0; i < PROCS; i++) {
        save_slot(&w->slot[i], &table.member[i]);
        bool same = watch[i].serial != 0 && watch[i].serial == w->slot[i].serial;
        p->watch[i] = (uint8_t)(same ? 1 | (watch[i].ordered ? 2 : 0) | (watch[i].out_of_reach ? 4 : 0) : 0);
    }
    memcpy(w->door, table.door, sizeof w->door);
    p->leader = group.leader;
    p->leader_serial = group.leader_serial;
    p->drain = drain_state.drain;
    p->phase = deferred.phase;
    p->signal_at = deferred.signal_at;
    p->owed = deferred.pending;
    p->said = said_answered;
}

static int torn_leader(struct members *m, int at)
{
    if (torn == BEFORE)
        m->member[0].phase = DRAIN_RELEASED;
    int top = members_leader(m, at);
    if (torn == AFTER)
        m->member[0].phase = DRAIN_RELEASED;
    return top;
}

bool edge_survives_torn_look(struct world *w)
{
    struct census census;
    bool survives = true;
    for (torn = BEFORE; torn <= AFTER; torn++) {
        edge_load(w, 1);
        set_leader(0);
        table.member[0].phase = DRAIN_EMPTYING;
        table.member[1].phase = DRAIN_DRAINED;
        memset(&census, 0, sizeof census);
        lead_census(&census, true, 0, w->now);
        survives = survives && group.leader == 0 && !deferred.pending && census.leader_phase == DRAIN_RELEASED;
    }
    torn = WHOLE;
    return survives;
}

/* ---- signals.c and group.c, in short ------------------------------------------------------------------------------ */

struct member *edge_leader(void)
{
    int at = group_self() ? members_leader(&table, group.at) : MEMBER_NONE;
    return at == MEMBER_NONE ? NULL : &table.member[at];
}

void edge_begin(struct process *p, const struct member *leader, nsec_t now)
{
    struct member *self = group_self();
    p->poked = 1;
    if (p->begun)
        return;
    p->begun = 1;
    deferred.signal_at = leader ? leader->signal_at : now;
    deferred.phase = DRAIN_DUCK;
    if (self) {
        self->signal_at = deferred.signal_at;
        self->phase = DRAIN_DUCK;
    }
}

void edge_follow(struct process *p, nsec_t now)
{
    const struct member *leader = edge_leader();
    if (!leader || leader == group_self())
        return;
    edge_begin(p, leader, now);
    group_report();
}

bool edge_is_free(void)
{
    if (!group_self())
        return false;
    if (group.leader != MEMBER_NONE && table.member[group.leader].serial == group.leader_serial)
        return table.member[group.leader].phase == DRAIN_RELEASED;
    int master = members_master(&table, group.at);
    return master != MEMBER_NONE && table.member[master].phase == DRAIN_RELEASED;
}

void edge_leave(void)
{
    const struct member *self = group_self();
    if (!self)
        return;
    bool drains = edge_leader() != NULL;
    members_leave(&table, group.at, self->serial, drains);
    if (drains)
        group_report();
}

void edge_grow(void)
{
    table.member[me].state = MEMBER_SERVES;
    if (edge_leader())
        group_report();
}
