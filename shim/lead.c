/* lead.c: see lead.h. */
#include "lead.h"

#include "pump.h"

#include "group.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "watch.h"

#include <linux/futex.h>
#include <time.h>

/* At a deadline all processes end by their own clocks: so long the leader waits for what they have to say. */
#define SETTLE   (50 * NSEC_PER_MSEC)
/* A worker that holds our listener and has not shown yet that it serves, because it still starts, has so long to show it, or a
 * quarter of the time that there is. Meanwhile the others serve on. */
#define PATIENCE NSEC_PER_SEC
/* Whoever has run for so long and shown nothing holds it for another reason: a helper, a CGI program. */
#define STARTING (30 * NSEC_PER_SEC)

static bool looked;            /* into /proc, for this drain's listeners */
static uint32_t said_answered; /* what the others were last told */

/* ---- whom we follow --------------------------------------------------------------------------------------------- */

static const struct member *leader(void)
{
    if (!group_self() || group.leader == MEMBER_NONE || member(group.leader)->serial != group.leader_serial)
        return NULL;
    return member(group.leader);
}

/* The thread that waits shall look anew what it waits for: also if it is only about to wait, so the words change. */
static void wake_watcher(void)
{
    uint32_t bit = lead_bit();
    __atomic_add_fetch(&group.table->reports, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&group.table->orders, 1, __ATOMIC_SEQ_CST);
    sys6(SYS_futex, &group.table->reports, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, bit);
    sys6(SYS_futex, &group.table->orders, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, bit);
}

static void set_leader(int at)
{
    group.leader_serial = at == MEMBER_NONE ? 0 : member(at)->serial;
    __atomic_store_n(&group_self()->follows, group.leader_serial, __ATOMIC_SEQ_CST);
    __atomic_store_n(&group.leader, at, __ATOMIC_SEQ_CST);
}

/* Our leader has died without a word: then the signal was meant for us too, for nobody will pass it on. */
static void take_over(void)
{
    set_leader(MEMBER_NONE);
    if (!deferred.pending) {
        deferred.pending_signal = deferred.first_signal;
        if (group_self())
            group_self()->owed = deferred.pending_signal;
        __atomic_store_n(&deferred.pending, 1, __ATOMIC_RELEASE);
    }
    announce_open();
    wake_watcher();
}

/* Is the drain that we lead or follow past its lame duck? Then it ends by itself, though an outer one begins now: its
 * doors may be left to the others, and nobody would serve those who stand in them (nginx's worker that holds the accept
 * mutex) while it waited for all. The outer leader waits for it. */
static bool goes_its_way(const struct member *now)
{
    if (group.leader == MEMBER_NONE)
        return drain_state.drain.phase >= DRAIN_DOOR;
    return now && alive(now) && phase_of(now) >= DRAIN_DOOR;
}

static void follow(void)
{
    int top = members_leader(group.table, group.at);
    /* Looked at last: one that is released meanwhile leads nobody any more, but it has not died. */
    const struct member *now = leader();
    if (now && phase_of(now) == DRAIN_RELEASED)
        return;
    if (top == MEMBER_NONE || top == group.at) {
        if (group.leader != MEMBER_NONE)
            take_over();
        return;
    }
    if ((top == group.leader && now) || goes_its_way(now))
        return;
    set_leader(top);
    wake_watcher();
}

void lead_forget(void)
{
    watch_forget();
    looked = false;
}

void lead_begin(void)
{
    looked = false;
    if (group_self())
        follow();
}

uint32_t lead_round(void)
{
    const struct member *l = leader();
    return l ? __atomic_load_n(&l->round, __ATOMIC_ACQUIRE) : 0;
}

uint32_t lead_bit(void)
{
    return (uint32_t)1 << (group.at & 31);
}

uint32_t *lead_word(uint32_t *value)
{
    /* The values before the choice: whoever changes the leader changes them afterwards. */
    uint32_t reports = __atomic_load_n(&group.table->reports, __ATOMIC_SEQ_CST);
    uint32_t orders = __atomic_load_n(&group.table->orders, __ATOMIC_SEQ_CST);
    bool leads = __atomic_load_n(&group.leader, __ATOMIC_SEQ_CST) == MEMBER_NONE;
    *value = leads ? reports : orders;
    return leads ? &group.table->reports : &group.table->orders;
}

bool lead_has_workers(void)
{
    for (int i = 0; group_self() && i < members_top(group.table); i++) {
        uint32_t state = __atomic_load_n(&member(i)->state, __ATOMIC_ACQUIRE);
        if (i != group.at && (alive(member(i)) || state == MEMBER_AWAY) && members_reachable(group.table, i, group.at))
            return true;
    }
    return false;
}

bool lead_is_member(void)
{
    return group_self() && members_master(group.table, group.at) != MEMBER_NONE;
}

/* ---- the census -------------------------------------------------------------------------------------------------- */

/* One that lives in a PID namespace below its leader's has no number for it (pid_namespaces(7)), and does not hear of its
 * death. */
static bool leader_has_a_number(void)
{
    const struct member *self = group_self();
    return self->pid == self->own_pid && members_reachable(group.table, group.at, group.leader);
}

static void led_census(struct census *census, bool ours, uint32_t round)
{
    const struct member *l = leader();
    struct member *self = group_self();
    census->led = true;
    census->leader_phase = (uint8_t)phase_of(l);
    census->leader_again = l->again != 0;
    /* "Nothing new" is true of what was looked at after the question. */
    self->answered = ours && drain_state.drain.phase >= DRAIN_EMPTYING ? round : 0;
    if (alive(l) && leader_has_a_number())
        watch_alive(group.leader, l->own_pid);
}

static void expires(struct census *census, nsec_t at)
{
    if (census->next_expiry == 0 || at < census->next_expiry)
        census->next_expiry = at;
}

/* Does release wait for this one? */
static bool is_awaited(int at, struct census *census, nsec_t now)
{
    struct member *who = member(at);
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    if (state == MEMBER_BORN) { /* just forked: it may have a connection that its parent has left to it */
        nsec_t age = group_boottime() - who->born_at;
        if (age >= config.idle)
            return false;
        expires(census, now + config.idle - age);
        return true;
    }
    if (state != MEMBER_SERVES || (who->flags & MEMBER_DEAF) || !watch_alive(at, pid_of(who)))
        return false;
    watch_order(at);
    if (watch_out_of_reach(at) || phase_of(who) == DRAIN_RELEASED)
        return false;
    if (phase_of(who) != DRAIN_DRAINED)
        return true;
    const struct member *self = group_self();
    bool asked = __atomic_load_n(&who->follows, __ATOMIC_ACQUIRE) == self->serial; /* else by an outer leader */
    return asked && (who->answered != self->round || who->answered == 0);
}

static void leaders_census(struct census *census, bool ours, nsec_t now)
{
    const struct members *m = group.table;
    struct member *self = group_self();
    unsigned unready = 0;
    for (int i = 0; i < members_top(m); i++) {
        if (i == group.at || !alive(member(i)) || !members_in_scope(m, i, group.at) ||
            !members_reachable(m, i, group.at) || !is_awaited(i, census, now))
            continue;
        census->members++;
        unready += phase_of(member(i)) != DRAIN_DRAINED;
    }
    /* All are drained, and nobody can come any more: ask whether that is still so everywhere. */
    if (ours && census->members > 0 && unready == 0 && self->round == 0 && drain_state.drain.phase >= DRAIN_EMPTYING) {
        __atomic_store_n(&self->round, 1, __ATOMIC_SEQ_CST);
        group_command();
    }
    if (lead_is_member())
        census->lone_until = deferred.signal_at + LONE_GRACE;
}

void lead_census(struct census *census, bool ours, uint32_t round, nsec_t now)
{
    if (!group_self())
        return;
    follow();
    if (leader())
        led_census(census, ours, round);
    else
        leaders_census(census, ours, now);
}

void lead_publish(const struct census *census)
{
    struct member *self = group_self();
    if (!self)
        return;
    bool changed = self->phase != drain_state.drain.phase || self->answered != said_answered;
    said_answered = self->answered;
    self->counts = stats.counts;
    self->open = census->in_flight;
    self->owed_at = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    __atomic_store_n(&self->phase, drain_state.drain.phase, __ATOMIC_SEQ_CST);
    if (!changed)
        return;
    if (leader())
        group_report();
    else
        group_command();
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static void copy(char *to, size_t size, const char *from, size_t n)
{
    n = n < size - 1 ? n : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

static void note_cut(const struct report_cut *cut, void *serial)
{
    struct member_cut *note = members_cut(group.table, *(uint32_t *)serial);
    size_t peer = 0;
    if (!note)
        return;
    while (cut->peer[peer])
        peer++;
    copy(note->peer, sizeof note->peer, cut->peer, peer);
    copy(note->method, sizeof note->method, cut->method, cut->method_len);
    note->facts = *cut;
}

/* Does anybody of our drain have still to say how his part has ended? */
static bool unsettled(void)
{
    const struct members *m = group.table;
    for (int i = 0; i < members_top(m); i++) {
        uint32_t phase = phase_of(member(i));
        if (i != group.at && member(i)->state == MEMBER_SERVES && phase > DRAIN_SERVING && phase < DRAIN_DRAINED &&
            members_in_scope(m, i, group.at) && !watch_out_of_reach(i))
            return true;
    }
    return false;
}

static void settle(void)
{
    nsec_t end = clock_now() + SETTLE;
    for (;;) {
        uint32_t seen = __atomic_load_n(&group.table->reports, __ATOMIC_ACQUIRE);
        nsec_t now = clock_now();
        if (now >= end || !unsettled())
            return;
        struct timespec left = {0, (long)(end - now)};
        sys4(SYS_futex, &group.table->reports, FUTEX_WAIT, seen, &left);
    }
}

void lead_end(enum report_end end)
{
    struct member *self = group_self();
    if (!self)
        return;
    self->end = end;
    self->counts = stats.counts;
    self->open = 0;
    self->owed_at = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    if (leader()) {
        uint32_t serial = self->serial;
        survey_cut(note_cut, &serial);
        __atomic_store_n(&self->phase, DRAIN_RELEASED, __ATOMIC_SEQ_CST);
        group_report();
        return;
    }
    if (end == REPORT_DRAINED)
        return;
    __atomic_store_n(&self->again, end == REPORT_SECOND_SIGNAL, __ATOMIC_SEQ_CST);
    group_command();
    settle();
}

void lead_free(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    if (!leader()) {
        __atomic_store_n(&self->phase, DRAIN_RELEASED, __ATOMIC_SEQ_CST);
        group_command();
    }
    wake_watcher();
}

/* ---- questions ------------------------------------------------------------------------------------------------------ */

/* *nameless: a fork is just under way, and the pid of the child not known yet. One that has left may still be about to
 * end (its slot keeps the number); one that has gone to another program is a stranger. */
static bool means(int pid, bool *nameless)
{
    const struct members *m = group.table;
    int root = group.leader == MEMBER_NONE ? group.at : group.leader;
    *nameless = false;
    for (int i = 0; i < members_top(m); i++) {
        const struct member *who = &m->member[i];
        uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
        if (state == MEMBER_AWAY || !members_in_scope(m, i, root))
            continue;
        if ((i == root ? who->own_pid : pid_of(who)) == pid) /* as it sees itself: that is where we look from */
            return true;
        *nameless = *nameless || (pid_of(who) == 0 && state != MEMBER_FREE);
    }
    return false;
}

static bool may_still_start(int pid)
{
    nsec_t begun;
    return !proc_started(pid, &begun) || group_boottime() < begun + STARTING;
}

/* One of our descendants that was exec'd and has shown nothing of itself. If it holds our listener it may have just
 * received it, and its hook not have come to say so (node's cluster replaces a worker); or it is an heir. */
static bool may_be_meant(int pid)
{
    const struct members *m = group.table;
    int root = group.leader == MEMBER_NONE ? group.at : group.leader, at = members_find(m, pid);
    if (at == MEMBER_NONE || at == root || !members_reachable(m, at, root))
        return false;
    const struct member *who = member(at);
    uint32_t flags = __atomic_load_n(&who->flags, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_AWAY)
        return may_still_start(pid);
    return (flags & MEMBER_EXECED) && (flags & (MEMBER_ACCEPTS | MEMBER_RECEIVED | MEMBER_FORKS)) == 0;
}

/* One of our descendants of whom nothing is known: vfork and exec leave no slot, and the program still starts. */
static bool is_new_here(int pid)
{
    enum { GENERATIONS = 8 };
    const struct members *m = group.table;
    int root = group.leader == MEMBER_NONE ? self_pid() : member(group.leader)->own_pid; /* as in means */
    if (members_find(m, pid) != MEMBER_NONE || !may_still_start(pid))
        return false;
    for (int i = 0; i < GENERATIONS && pid > 1; i++)
        if ((pid = proc_parent(pid)) == root)
            return true;
    return false;
}

static void nap(nsec_t time)
{
    const struct timespec moment = {0, (long)time};
    sys2(SYS_nanosleep, &moment, 0);
}

enum kinship lead_means(uint64_t pid)
{
    bool nameless, yes = false;
    if (!group_self())
        return STRANGER;
    for (int i = 0; i < 50 && !(yes = means((int)pid, &nameless)) && nameless; i++)
        nap(NSEC_PER_MSEC);
    if (yes)
        return KIN;
    return may_be_meant((int)pid) || is_new_here((int)pid) ? MAYBE_KIN : STRANGER;
}

bool lead_knows(uint64_t pid)
{
    bool nameless;
    return group_self() && means((int)pid, &nameless);
}

static bool any_undecided(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].foreign && listeners.entry[i].undecided)
            return true;
    return false;
}

/* Nobody is refused meanwhile: the doors are open. Only the pump says who is foreign, by what it has seen: a fork in the middle
 * of this makes no stranger. A signal more, or an exit, ends the patience. */
static void look_who_holds(void)
{
    enum { OFTEN = 30, THEN_MS = 20 };
    nsec_t most = config.timeout && config.timeout / 4 < PATIENCE ? config.timeout / 4 : PATIENCE;
    nsec_t until = clock_now() + most;
    unsigned signals = __atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < listeners.used; i++)
        listeners.entry[i].foreign = listeners.entry[i].shared;
    holders_look(true, NULL);
    for (int i = 0; any_undecided() && clock_now() < until; i++) {
        if (__atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE) != signals ||
            __atomic_load_n(&exit_guard.tid, __ATOMIC_ACQUIRE) != 0)
            return;
        nap(i < OFTEN ? NSEC_PER_MSEC : THEN_MS * NSEC_PER_MSEC);
        holders_look(true, NULL);
    }
}

/* It may be the one that others waited for in vain, and took for a stranger. */
static bool may_know_better(const struct member *self)
{
    return (__atomic_load_n(&self->flags, __ATOMIC_ACQUIRE) & MEMBER_EXECED) != 0;
}

void lead_decide(struct listener *l)
{
    const struct member *self = group_self();
    uint32_t serial = !self ? 0 : leader() ? group.leader_serial : self->serial;
    enum member_verdict verdict = leader() ? members_verdict(group.table, l->inode, serial) : VERDICT_NONE;
    if (verdict == VERDICT_WHOLE || (verdict == VERDICT_FOREIGN && !may_know_better(self))) {
        l->foreign = verdict == VERDICT_FOREIGN;
        return;
    }
    if (!looked)
        look_who_holds();
    looked = true;
    if (verdict == VERDICT_FOREIGN && !l->foreign)
        members_acquit(group.table, l->inode, serial);
    else if (self)
        members_decide(group.table, l->inode, serial, !l->foreign);
}
