/* lead.c: see lead.h. */
#include "lead.h"

#include "pump.h"

#include "group.h"
#include "record.h"
#include "sys/high.h"
#include "sys/syscall.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

/* A worker that gets the signal alone goes on as before for so long: it may be on its way to all of them. */
#define LONE_GRACE  (100 * NSEC_PER_MSEC)
/* At a deadline all processes end by their own clocks: so long the leader waits for what they have to say. */
#define SETTLE      (50 * NSEC_PER_MSEC)
/* A worker that has just been sent our listener has so many milliseconds to show it. */
#define PATIENCE_MS 30

/* What we do to hear of another process's death. */
struct watch {
    uint32_t serial; /* of whom; 0: nobody */
    int fd;          /* its pidfd; -1: there could be none */
    bool ordered;
    bool out_of_reach; /* it cannot be told, or not be told apart from a stranger */
};

static struct watch watch[MEMBERS_MAX];
static bool looked;            /* into /proc, for this drain's listeners */
static uint32_t said_answered; /* what the others were last told */

/* The epoll set's words for them: below the one of the event descriptor, above all that stand for connections. */
static uint64_t token_of(int at)
{
    return UINT64_MAX - 1 - (uint64_t)at;
}

static struct member *member(int at)
{
    return &group.table->member[at];
}

static bool alive(const struct member *who)
{
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    return state == MEMBER_BORN || state == MEMBER_SERVES;
}

static uint32_t phase_of(const struct member *who)
{
    return __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
}

/* ---- watching one process ------------------------------------------------------------------------------------- */

static void drop_watch(struct watch *w)
{
    int fd = w->serial != 0 ? w->fd : -1;
    __atomic_store_n(&w->serial, 0, __ATOMIC_SEQ_CST); /* before its number is somebody else's */
    memset(w, 0, sizeof *w);
    if (fd >= 0)
        sys1(SYS_close, fd);
}

void lead_forget(void)
{
    memset(watch, 0, sizeof watch);
    looked = false;
}

int lead_next_own(unsigned from)
{
    int next = FD_MAX;
    if (!group_self())
        return next;
    for (int i = 0; i < members_top(group.table); i++)
        if (watch[i].serial != 0 && watch[i].fd >= (int)from && watch[i].fd < next)
            next = watch[i].fd;
    return next;
}

/* It is gone. If it has not said so itself, what it had in flight is cut. */
static void died(int at, bool of_our_drain)
{
    struct member *who = member(at);
    uint32_t serial = watch[at].serial, phase = phase_of(who);
    drop_watch(&watch[at]);
    if (who->serial != serial || __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_LEFT)
        return;
    bool in_the_middle = phase > DRAIN_SERVING && phase < DRAIN_RELEASED;
    if (in_the_middle) {
        who->end = MEMBER_KILLED;
        who->counts.cut += who->open;
        record_died(serial);
    }
    members_leave(group.table, at, serial, of_our_drain && group.leader == MEMBER_NONE && phase > DRAIN_SERVING);
}

bool lead_event(uint64_t token)
{
    uint64_t at = UINT64_MAX - 1 - token;
    if (!group.table || at >= MEMBERS_MAX)
        return false;
    if (watch[at].serial != 0)
        died((int)at, true);
    return true;
}

/* The process with this number, is it still the one that we mean? Our parent or a child of ours cannot be another; else
 * its age tells, for a number that is used again belongs to a younger one. And it has the group's memory: whoever else has
 * it (a CGI of another user) can write any number there, and we may have the right to signal everybody. */
static bool is_it(const struct member *who, int pid)
{
    siginfo_t info;
    nsec_t started;
    if (pid == (int)sys0(SYS_getppid))
        return true;
    if (sys5(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, 0) == 0)
        return true;
    return proc_started(pid, &started) && started + 20 * NSEC_PER_MSEC >= who->born_at &&
           started <= who->born_at + 2 * NSEC_PER_SEC && group_is_mapped_by(pid);
}

static int pid_of(const struct member *who)
{
    int pid = __atomic_load_n(&who->pid, __ATOMIC_ACQUIRE);
    return pid ? pid : who->own_pid;
}

/* pid: its number here. False: it is dead. */
static bool watched(int at, int pid)
{
    struct member *who = member(at);
    struct watch *w = &watch[at];
    if (w->serial == who->serial)
        return w->fd >= 0 || w->out_of_reach || sys2(SYS_kill, pid, 0) != -ESRCH;
    drop_watch(w);
    w->fd = high_move((int)sys2(SYS_pidfd_open, pid, 0));
    /* Last: a fork in the meantime closes in the child what is ours (lead_next_own), and 0 is not. */
    __atomic_store_n(&w->serial, who->serial, __ATOMIC_SEQ_CST);
    if (w->fd == -ESRCH) {
        /* It may have died by the signal that ended a drain of its own, long ago. */
        died(at, who->signal_at + LONE_GRACE >= shim.signal_at);
        return false;
    }
    w->out_of_reach = !is_it(who, pid);
    struct epoll_event want = {EPOLLIN, {.u64 = token_of(at)}};
    if (w->fd >= 0 && !w->out_of_reach)
        sys4(SYS_epoll_ctl, shim.epoll, EPOLL_CTL_ADD, w->fd, &want);
    return true;
}

/* ---- orders ---------------------------------------------------------------------------------------------------- */

static void fill_order(siginfo_t *info, int sig)
{
    memset(info, 0, sizeof *info);
    info->si_signo = sig;
    info->si_code = SI_QUEUE;
    info->si_pid = shim.pid;
    info->si_value.sival_ptr = group_order();
}

static long send_order(int at, int sig)
{
    siginfo_t info;
    long ret = -ENOSYS;
    fill_order(&info, sig);
    if (watch[at].fd >= 0)
        ret = sys4(SYS_pidfd_send_signal, watch[at].fd, sig, &info, 0);
    /* Older kernels have it not, and older sandboxes refuse what they do not know. */
    return ret == 0 || ret == -ESRCH ? ret : sys3(SYS_rt_sigqueueinfo, pid_of(member(at)), sig, &info);
}

static void order(int at)
{
    struct watch *w = &watch[at];
    if (w->ordered || w->out_of_reach)
        return;
    long ret = pid_of(member(at)) == (int)sys0(SYS_getppid) ? -ESRCH : send_order(at, shim.first_signal);
    if (ret == -EPERM)
        ret = send_order(at, SIGCONT); /* signals_hear_leader */
    w->ordered = true;
    w->out_of_reach = ret != 0;
}

static void call_thread(int dir, const char *name, uint64_t tid, void *unused)
{
    siginfo_t info;
    (void)dir, (void)name, (void)unused;
    if ((long)tid == sys0(SYS_gettid) || proc_blocks((int)tid, shim.first_signal))
        return;
    fill_order(&info, shim.first_signal);
    __atomic_add_fetch(&shim.called, 1, __ATOMIC_SEQ_CST); /* before it can answer */
    if (sys4(SYS_rt_tgsigqueueinfo, shim.pid, tid, shim.first_signal, &info) != 0)
        __atomic_sub_fetch(&shim.called, 1, __ATOMIC_SEQ_CST);
}

void lead_call_out(void)
{
    if (group.table)
        proc_each(shim.pid, "/task", call_thread, NULL);
}

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
    if (!shim.owed) {
        shim.owed_signal = shim.first_signal;
        if (group_self())
            group_self()->owed = shim.owed_signal;
        __atomic_store_n(&shim.owed, 1, __ATOMIC_RELEASE);
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
        return shim.drain.phase >= DRAIN_DOOR;
    return now && alive(now) && phase_of(now) >= DRAIN_DOOR;
}

static void follow(void)
{
    const struct member *now = leader();
    if (now && phase_of(now) == DRAIN_RELEASED)
        return;
    int top = members_leader(group.table, group.at);
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
    self->answered = ours && shim.drain.phase >= DRAIN_EMPTYING ? round : 0;
    if (alive(l) && leader_has_a_number())
        watched(group.leader, l->own_pid);
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
        if (age >= shim.options.idle)
            return false;
        expires(census, now + shim.options.idle - age);
        return true;
    }
    if (state != MEMBER_SERVES || (who->flags & MEMBER_DEAF) || !watched(at, pid_of(who)))
        return false;
    order(at);
    if (watch[at].out_of_reach || phase_of(who) == DRAIN_RELEASED)
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
    if (ours && census->members > 0 && unready == 0 && self->round == 0 && shim.drain.phase >= DRAIN_EMPTYING) {
        __atomic_store_n(&self->round, 1, __ATOMIC_SEQ_CST);
        group_command();
    }
    if (lead_is_member())
        census->lone_until = shim.signal_at + LONE_GRACE;
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
    bool changed = self->phase != shim.drain.phase || self->answered != said_answered;
    said_answered = self->answered;
    self->counts = shim.counts;
    self->open = census->in_flight;
    self->owed_at = __atomic_load_n(&shim.owed_at, __ATOMIC_ACQUIRE);
    __atomic_store_n(&self->phase, shim.drain.phase, __ATOMIC_SEQ_CST);
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
            members_in_scope(m, i, group.at) && !watch[i].out_of_reach)
            return true;
    }
    return false;
}

static void settle(void)
{
    nsec_t end = shim_now() + SETTLE;
    for (;;) {
        uint32_t seen = __atomic_load_n(&group.table->reports, __ATOMIC_ACQUIRE);
        nsec_t now = shim_now();
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
    self->counts = shim.counts;
    self->open = 0;
    self->owed_at = __atomic_load_n(&shim.owed_at, __ATOMIC_ACQUIRE);
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
        return true;
    return (flags & MEMBER_EXECED) && (flags & (MEMBER_ACCEPTS | MEMBER_RECEIVED | MEMBER_FORKS)) == 0;
}

static void nap_1ms(void)
{
    const struct timespec moment = {0, 1000 * 1000};
    sys2(SYS_nanosleep, &moment, 0);
}

enum kinship lead_means(uint64_t pid)
{
    bool nameless, yes = false;
    if (!group_self())
        return STRANGER;
    for (int i = 0; i < 50 && !(yes = means((int)pid, &nameless)) && nameless; i++)
        nap_1ms();
    return yes ? KIN : may_be_meant((int)pid) ? MAYBE_KIN : STRANGER;
}

static bool any_undecided(void)
{
    for (unsigned i = 0; i < shim.listeners; i++)
        if (shim.listener[i].live && shim.listener[i].foreign && shim.listener[i].undecided)
            return true;
    return false;
}

/* Nobody is refused meanwhile: the doors are open. */
static void look_who_holds(void)
{
    survey_shared(true, NULL);
    for (int i = 0; i < PATIENCE_MS && any_undecided(); i++) {
        nap_1ms();
        survey_shared(true, NULL);
    }
}

void lead_decide(struct listener *l)
{
    const struct member *self = group_self();
    uint32_t serial = !self ? 0 : leader() ? group.leader_serial : self->serial;
    if (leader()) {
        enum member_verdict verdict = members_verdict(group.table, l->inode, serial);
        l->foreign = verdict != VERDICT_WHOLE;
        if (verdict != VERDICT_NONE)
            return;
    }
    if (!looked)
        look_who_holds();
    looked = true;
    if (self)
        members_decide(group.table, l->inode, serial, !l->foreign);
}

static const char *how_it_ended(const struct member *who)
{
    if (who->end == MEMBER_KILLED)
        return "killed";
    uint32_t phase = phase_of(who);
    if (phase == DRAIN_DRAINED)
        return "drained";
    if (phase == DRAIN_RELEASED || who->state == MEMBER_LEFT || who == group_self())
        return report_end_name((enum report_end)who->end);
    return phase == DRAIN_SERVING ? "serving" : "unfinished";
}

static bool is_reported(int at)
{
    uint32_t state = member(at)->state;
    return at != group.at && (state == MEMBER_SERVES || state == MEMBER_LEFT) &&
           members_in_scope(group.table, at, group.at);
}

unsigned lead_processes(void (*f)(const struct report_process *p, void *arg), void *arg)
{
    unsigned count = 1;
    const struct member *self = group_self();
    struct report_process p = {shim.pid, self ? how_it_ended(self) : "drained", shim.counts};
    f(&p, arg);
    for (int i = 0; self && i < members_top(group.table); i++) {
        const struct member *who = member(i);
        if (!is_reported(i))
            continue;
        p = (struct report_process){pid_of(who), how_it_ended(who), who->counts};
        f(&p, arg);
        count++;
    }
    return count;
}

void lead_cuts(void (*f)(const struct report_cut *cut, void *arg), void *arg)
{
    if (!group_self())
        return;
    for (int i = 0; i < MEMBERS_CUTS; i++) {
        struct member_cut note = group.table->cut[i]; /* who has written it may go on writing, and may not end it */
        struct report_cut cut = note.facts;
        bool of_ours = false;
        for (int at = 0; at < members_top(group.table) && !of_ours; at++)
            of_ours = note.serial != 0 && member(at)->serial == note.serial && is_reported(at);
        if (!of_ours)
            continue;
        note.peer[sizeof note.peer - 1] = note.method[sizeof note.method - 1] = '\0';
        cut.peer = note.peer;
        cut.method = note.method;
        cut.method_len = 0;
        while (note.method[cut.method_len])
            cut.method_len++;
        f(&cut, arg);
    }
}

void lead_connections(void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    record_each(recording.serial, shim.pid, f, arg);
    record_drop(recording.serial);
    for (int i = 0; group_self() && i < members_top(group.table); i++) {
        const struct member *who = member(i);
        if (!is_reported(i))
            continue;
        record_each(who->serial, pid_of(who), f, arg);
        record_drop(who->serial);
    }
}

uint64_t lead_left_out(void)
{
    uint64_t count = recording.left_out;
    for (int i = 0; group_self() && i < members_top(group.table); i++)
        if (is_reported(i))
            count += member(i)->missed;
    return count;
}

nsec_t lead_owed_at(void)
{
    nsec_t last = __atomic_load_n(&shim.owed_at, __ATOMIC_ACQUIRE);
    for (int i = 0; group_self() && i < members_top(group.table); i++)
        if (is_reported(i) && member(i)->owed_at > last)
            last = member(i)->owed_at;
    return last;
}
