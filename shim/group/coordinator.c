/* coordinator.c: see coordinator.h. */
#include "group/coordinator.h"

#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/stats.h"
#include "sys/syscall.h"

#include <linux/futex.h>
#include <time.h>

/* At a deadline all processes end by their own clocks: so long the coordinator waits for its participants' reports. */
#define SETTLE (250 * NSEC_PER_MSEC)

static uint32_t said_confirmed; /* what the others were last told */

/* ---- who coordinates -------------------------------------------------------------------------------------------- */

/* NULL: it is our own. */
static const struct member *coordinator(void)
{
    if (!group_self() || group.coordinator == MEMBER_NONE ||
        member_at(group.coordinator)->serial != group.coordinator_serial)
        return NULL;
    return member_at(group.coordinator);
}

bool coordinator_is_other(void)
{
    return coordinator() != NULL;
}

uint32_t coordinator_serial(void)
{
    const struct member *self = group_self();
    return !self ? 0 : coordinator() ? group.coordinator_serial : self->serial;
}

/* The thread that waits shall look anew what it waits for. The words change, for it may be only about to wait. */
static void wake_watcher(void)
{
    uint32_t bit = coordinator_futex_bit();
    __atomic_add_fetch(&group.table->events, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&group.table->commands, 1, __ATOMIC_SEQ_CST);
    sys6(SYS_futex, &group.table->events, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, bit);
    sys6(SYS_futex, &group.table->commands, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, bit);
}

static void set_coordinator(int at)
{
    group.coordinator_serial = at == MEMBER_NONE ? 0 : member_at(at)->serial;
    __atomic_store_n(&group_self()->coordinator, group.coordinator_serial, __ATOMIC_SEQ_CST);
    __atomic_store_n(&group.coordinator, at, __ATOMIC_SEQ_CST);
}

/* Our coordinator has died before it delivered: then its signal was meant for this process too, since no process
 * will pass it on. */
static void take_over(void)
{
    set_coordinator(MEMBER_NONE);
    if (!deferred.pending) {
        deferred.pending_signal = deferred.first_signal;
        member_defer(deferred.pending_signal);
        __atomic_store_n(&deferred.pending, 1, __ATOMIC_RELEASE);
    }
    wake_watcher();
}

/* Is the drain of this process, as coordinator or participant, past its lame duck? Then it finishes by itself, even
 * if an ancestor begins one now: the listeners of this process may be detached already, left to the other processes;
 * if this process waited for all of those, the clients in the accept queues would not be served (nginx's worker that
 * holds the accept mutex). The ancestor waits for this process. */
static bool keep_own_drain(uint8_t phase, const struct member *now)
{
    if (group.coordinator == MEMBER_NONE)
        return phase >= DRAIN_STOPPING_ACCEPT;
    return now && member_is_alive(now) && member_phase(now) >= DRAIN_STOPPING_ACCEPT;
}

/* True: our coordinator is lost. */
static bool follow(uint8_t phase)
{
    int top = group_table_coordinator(group.table, group.at);
    /* Looked at after `top`: a coordinator that delivers its signal meanwhile coordinates no drain any more, but it
     * has not died. */
    const struct member *now = coordinator();
    if (now && member_phase(now) >= DRAIN_GUARDING)
        return false;
    if (top == MEMBER_NONE || top == group.at) {
        bool lost = group.coordinator != MEMBER_NONE;
        if (lost)
            take_over();
        return lost;
    }
    if ((top == group.coordinator && now) || keep_own_drain(phase, now))
        return false;
    set_coordinator(top);
    wake_watcher();
    return false;
}

void coordinator_begin(void)
{
    if (group_self())
        follow(DRAIN_SERVING);
}

uint32_t coordinator_asked(void)
{
    const struct member *c = coordinator();
    return c ? __atomic_load_n(&c->confirm, __ATOMIC_ACQUIRE) : 0;
}

bool coordinator_has_asked(void)
{
    const struct member *self = group_self();
    return self && __atomic_load_n(&self->confirm, __ATOMIC_ACQUIRE) != 0;
}

uint32_t coordinator_futex_bit(void)
{
    return (uint32_t)1 << (group.at & 31);
}

uint32_t *coordinator_futex(uint32_t *value)
{
    /* The values before the choice: a process that changes the coordinator changes the values after it. */
    uint32_t events = __atomic_load_n(&group.table->events, __ATOMIC_SEQ_CST);
    uint32_t commands = __atomic_load_n(&group.table->commands, __ATOMIC_SEQ_CST);
    bool coordinates = __atomic_load_n(&group.coordinator, __ATOMIC_SEQ_CST) == MEMBER_NONE;
    *value = coordinates ? events : commands;
    return coordinates ? &group.table->events : &group.table->commands;
}

bool coordinator_delivered(void)
{
    const struct group_table *m = group.table;
    if (!group_self())
        return false;
    int now = group.coordinator;
    if (now != MEMBER_NONE && m->member[now].serial == group.coordinator_serial)
        return m->member[now].phase >= DRAIN_GUARDING;
    for (int at = group_table_master(m, group.at), i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; i++) {
        if (member_phase(&m->member[at]) >= DRAIN_GUARDING)
            return true;
        at = group_table_master(m, at);
    }
    return false;
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

/* If we live in a PID namespace below our coordinator's, the coordinator has no number here (pid_namespaces(7)), and we
 * do not hear of its death. */
static bool coordinator_has_a_number(void)
{
    const struct member *self = group_self();
    return self->pid == self->own_pid && group_table_reachable(group.table, group.at, group.coordinator);
}

static void step_of_participant(const struct coordinator_part *part, struct census *census, struct peers_deaths *deaths)
{
    const struct member *c = coordinator();
    struct member *self = group_self();
    census->participant = true;
    census->coordinator_phase = (uint8_t)member_phase(c);
    census->coordinator_again = c->second_signal != 0;
    census->may_close = __atomic_load_n(&c->may_close, __ATOMIC_ACQUIRE) != 0;
    /* Confirmed is what was looked at after the question. */
    self->confirmed = part->drained && part->phase >= DRAIN_EMPTYING ? part->asked : 0;
    if (member_is_alive(c) && coordinator_has_a_number())
        peers_watch(group.coordinator, c->own_pid, deaths);
}

static void expires(struct census *census, nsec_t at)
{
    if (census->next_expiry == 0 || at < census->next_expiry)
        census->next_expiry = at;
}

/* Does our delivery wait for the process in slot `at`? */
static bool is_awaited(int at, struct census *census, nsec_t now, struct peers_deaths *deaths)
{
    struct member *who = member_at(at);
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    if (state == MEMBER_STARTING) { /* just forked: it may have a connection that its parent has left to it */
        nsec_t age = group_boottime() - who->started_at;
        if (age >= config.idle)
            return false;
        expires(census, now + config.idle - age);
        return true;
    }
    if (state != MEMBER_SERVES || (who->flags & MEMBER_IGNORES_SIGNALS) || !peers_watch(at, member_pid(who), deaths))
        return false;
    peers_command(at);
    if (peers_out_of_reach(at) || member_phase(who) == DRAIN_DONE)
        return false;
    if (member_phase(who) != DRAIN_DRAINED)
        return true;
    const struct member *self = group_self();
    bool ours = __atomic_load_n(&who->coordinator, __ATOMIC_ACQUIRE) == self->serial; /* else another one asks it */
    return ours && (who->confirmed != self->confirm || who->confirmed == 0);
}

/* How far the others are with a drain's listeners. */
struct others {
    bool accept; /* one of them has not stopped accepting */
    bool hold;   /* one of them has not closed its listeners, and may feel it when they are shut down */
};

/* awaited: the process drains with us. Any other one is of no interest, but for one that accepts. */
static void look_at_other(const struct member *who, bool awaited, struct others *others)
{
    if (__atomic_load_n(&who->closed, __ATOMIC_ACQUIRE))
        return;
    others->accept |= awaited && member_phase(who) < DRAIN_EMPTYING;
    others->hold |= awaited || (__atomic_load_n(&who->flags, __ATOMIC_ACQUIRE) & MEMBER_ACCEPTS);
}

/* Participants close their listeners before the coordinator does: its shutdown wakes whoever still waits at one. */
static void decide_close(const struct coordinator_part *part, const struct others *others, struct census *census)
{
    struct member *self = group_self();
    if (part->phase < DRAIN_EMPTYING || others->accept)
        return;
    if (__atomic_exchange_n(&self->may_close, 1, __ATOMIC_SEQ_CST) == 0)
        group_wake_participants();
    census->may_close = census->closes_last = !others->hold;
}

static void step_of_coordinator(const struct coordinator_part *part, struct census *census, struct peers_deaths *deaths)
{
    const struct group_table *m = group.table;
    struct member *self = group_self();
    struct others others = {false, false};
    unsigned unready = 0;
    for (int i = 0; i < group_table_top(m); i++) {
        if (i == group.at || !group_table_in_scope(m, i, group.at))
            continue;
        census->aborted += member_phase(member_at(i)) == DRAIN_DONE ? (unsigned)member_at(i)->counts.aborted : 0;
        if (!member_is_alive(member_at(i)) || !group_table_reachable(m, i, group.at))
            continue;
        bool awaited = is_awaited(i, census, part->now, deaths);
        look_at_other(member_at(i), awaited, &others);
        if (!awaited)
            continue;
        census->members++;
        census->members_open += member_at(i)->open > 0;
        unready += member_phase(member_at(i)) != DRAIN_DRAINED;
    }
    /* All participants are drained, and no connection can come any more: let all confirm that this is still so. */
    if (part->drained && census->members > 0 && unready == 0 && self->confirm == 0 && part->phase >= DRAIN_EMPTYING) {
        __atomic_store_n(&self->confirm, 1, __ATOMIC_SEQ_CST);
        group_wake_participants();
    }
    decide_close(part, &others, census);
    if (member_is_worker())
        census->alone_until = deferred.signal_at + GROUP_LONE_GRACE;
}

bool coordinator_add_in_flight(uint64_t *in_flight)
{
    bool all = true;
    if (!group_self() || coordinator())
        return true;
    for (int i = 0; i < group_table_top(group.table); i++) {
        const struct member *who = member_at(i);
        if (i == group.at || who->state != MEMBER_SERVES || (who->flags & MEMBER_IGNORES_SIGNALS) ||
            !group_table_in_scope(group.table, i, group.at) || peers_out_of_reach(i))
            continue;
        all = all && member_phase(who) > DRAIN_SERVING && who->counted;
        *in_flight += who->counts.in_flight;
    }
    return all;
}

/* All have their signals: what the coordinator's exit and report wait for is the requests of the others. */
static void step_of_guard(struct census *census, struct peers_deaths *deaths)
{
    const struct group_table *m = group.table;
    for (int i = 0; i < group_table_top(m); i++) {
        const struct member *who = member_at(i);
        uint32_t phase = member_phase(who);
        if (i == group.at || phase == DRAIN_SERVING || !group_table_in_scope(m, i, group.at))
            continue;
        if (who->state == MEMBER_SERVES && phase < DRAIN_DONE && peers_watch(i, member_pid(who), deaths) &&
            !peers_out_of_reach(i))
            census->members_open += who->open > 0;
        census->aborted += who->counts.aborted;
    }
    census->members = census->members_open;
}

void coordinator_step(const struct coordinator_part *part, struct census *census, struct coordinator_events *events)
{
    if (!group_self()) {
        census->may_close = census->closes_last = part->phase >= DRAIN_EMPTYING;
        return;
    }
    if (part->phase == DRAIN_GUARDING) {
        if (!coordinator())
            step_of_guard(census, &events->deaths);
        return;
    }
    events->coordinator_lost |= follow(part->phase);
    if (coordinator())
        step_of_participant(part, census, &events->deaths);
    else
        step_of_coordinator(part, census, &events->deaths);
}

void coordinator_publish(uint8_t phase, const struct census *census)
{
    struct member *self = group_self();
    if (!self)
        return;
    bool was_open = self->open > 0;
    bool changed = self->phase != phase || self->confirmed != said_confirmed ||
                   (phase == DRAIN_GUARDING && was_open != (census->in_flight > 0));
    said_confirmed = self->confirmed;
    self->counts = stats.counts;
    self->counted = 1;
    self->open = census->in_flight;
    self->last_done_at = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    __atomic_store_n(&self->phase, phase, __ATOMIC_SEQ_CST);
    if (!changed)
        return;
    if (coordinator())
        group_wake_coordinators();
    else
        group_wake_participants();
}

void coordinator_closed(void)
{
    struct member *self = group_self();
    if (self && __atomic_exchange_n(&self->closed, 1, __ATOMIC_SEQ_CST) == 0 && coordinator())
        group_wake_coordinators();
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Has any participant of our drain still to say how its part has ended? */
static bool is_unsettled(void)
{
    const struct group_table *m = group.table;
    for (int i = 0; i < group_table_top(m); i++) {
        uint32_t phase = member_phase(member_at(i));
        bool open = phase == DRAIN_GUARDING && member_at(i)->open > 0;
        if (i != group.at && member_at(i)->state == MEMBER_SERVES &&
            ((phase > DRAIN_SERVING && phase < DRAIN_DRAINED) || open) && group_table_in_scope(m, i, group.at) &&
            !peers_out_of_reach(i))
            return true;
    }
    return false;
}

static void settle(void)
{
    nsec_t end = clock_now() + SETTLE;
    for (;;) {
        uint32_t seen = __atomic_load_n(&group.table->events, __ATOMIC_ACQUIRE);
        nsec_t now = clock_now();
        if (now >= end || !is_unsettled())
            return;
        struct timespec left = {0, (long)(end - now)};
        sys4(SYS_futex, &group.table->events, FUTEX_WAIT, seen, &left);
    }
}

void coordinator_end(enum report_end end)
{
    struct member *self = group_self();
    if (!self)
        return;
    self->end = end;
    self->counts = stats.counts;
    self->open = 0;
    self->last_done_at = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    if (coordinator()) {
        __atomic_store_n(&self->phase, DRAIN_DONE, __ATOMIC_SEQ_CST);
        group_wake_coordinators();
        return;
    }
    if (end == REPORT_DRAINED)
        return;
    __atomic_store_n(&self->second_signal, end == REPORT_SECOND_SIGNAL, __ATOMIC_SEQ_CST);
    group_wake_participants();
    settle();
}

void coordinator_finish(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    if (!coordinator()) {
        __atomic_store_n(&self->phase, DRAIN_DONE, __ATOMIC_SEQ_CST);
        group_wake_participants();
    }
    wake_watcher();
}

void coordinator_end_members(void)
{
    if (!group_self() || coordinator())
        return;
    for (int i = 0; i < group_table_top(group.table); i++)
        if (i != group.at && member_is_alive(member_at(i)) && group_table_in_scope(group.table, i, group.at))
            peers_end(i);
}
