/* shim_signal.c: a drain signal comes. It is deferred until the drain that it begins is over (DESIGN section 7). */
#include "shim.h"

#include "group/coordinator.h"
#include "signal/deliver.h"
#include "signal/eintr.h"
#include "sys/sigmask.h"
#include "track/conn_log.h"
#include "track/connections.h"
#include "track/left_alone.h"

#include <signal.h>

/* ---- the drain begins -------------------------------------------------------------------------------------------- */

/* The moment of the signal is that of the coordinator's, if there is one; but not later than now, whatever stands
 * there: the deadline follows from it. */
static void note_signal(int sig, const struct member *coordinator)
{
    nsec_t now = clock_now();
    deferred.first_signal = sig;
    deferred.signal_at = coordinator && coordinator->signal_at < now ? coordinator->signal_at : now;
    deferred.signal_wall_ms = clock_wall_ms();
    member_begin_drain(sig, deferred.signal_at);
}

static void open_conn_log(void)
{
    struct member *self = group_self();
    conn_log_open(self ? group.history : NULL, self ? self->serial : UINT32_MAX, self ? &self->missed : NULL,
                  group_has_serial);
}

/* False: with neither thread nor timer there can be no drain. */
static bool begin_drain(int sig, const struct member *coordinator)
{
    if (__atomic_exchange_n(&deferred.begun, 1, __ATOMIC_ACQ_REL)) {
        wake_now();
        return true;
    }
    uint64_t mask = sigmask_block_all();
    note_signal(sig, coordinator);
    /* A connection that is closed from now on is kept for lingering: the drain thread may be long in coming. */
    wake_open();
    open_conn_log();
    /* From here on every hook sends close notices. */
    __atomic_store_n(&deferred.phase, DRAIN_LAME_DUCK, __ATOMIC_SEQ_CST);
    bool waits = drain_start();
    sigmask_restore(mask);
    return waits;
}

static int lowest_held(void)
{
    int sig = 1;
    while (sig < SIGNAL_VIEW_MAX - 1 && !signal_is_held(sig))
        sig++;
    return sig;
}

/* came: by this signal the command has come, so this process does not block it, as it may the coordinator's (apache's
 * workers block WINCH): if the coordinator dies, it is what this process has delivered. 0: none has come. */
static void follow(int came)
{
    const struct member *coordinator = group_coordinator();
    if (!coordinator || coordinator == group_self())
        return;
    if (!signal_is_held(came))
        came = signal_is_held(coordinator->signal) ? coordinator->signal : lowest_held();
    begin_drain(came, coordinator);
    group_wake_coordinators(); /* the coordinator may not know of this process yet */
}

void shim_follow(void)
{
    follow(0);
}

/* ---- what has come ----------------------------------------------------------------------------------------------- */

/* A master that repeats its signal (gunicorn: every second) is no user who wants the drain to end now. */
static bool is_from_group(const siginfo_t *info)
{
    return info && (info->si_code == SI_USER || info->si_code == SI_TKILL) && group_contains(info->si_pid);
}

/* A command only wakes: what is to be done is found in the group's table. */
static bool is_command(const siginfo_t *info)
{
    return info && info->si_code == SI_QUEUE && group_is_command(info->si_value.sival_ptr);
}

/* A tick of the timer that stands in for the drain thread. */
static bool is_tick(const siginfo_t *info)
{
    return info && info->si_code == SI_TIMER && info->si_value.sival_ptr == &drain_state;
}

/* A command of our own has taken this thread out of its call (threads_interrupt). */
static void take_command(const siginfo_t *info)
{
    if (info->si_pid == self_pid()) {
        __atomic_add_fetch(&stats.interrupts_answered, 1, __ATOMIC_SEQ_CST);
        wake_changed(NULL);
    }
    follow(info->si_signo);
}

static void note_pending(int sig, const siginfo_t *info)
{
    if (__atomic_exchange_n(&deferred.pending, 1, __ATOMIC_ACQ_REL))
        return;
    deferred.pending_signal = sig;
    member_defer(sig);
    if (!info)
        return;
    memcpy(deferred.info, info, sizeof deferred.info);
    deferred.has_info = true;
}

/* Nothing in this process is HTTP: the signal passes, as will a coordinator's command, which therefore must not
 * come. */
static NOINLINE void pass_by(void)
{
    member_set_flags(MEMBER_IGNORES_SIGNALS);
    log_open_file();
    drain_report_left_alone();
}

/* The program was sent the signal: it shall have it when the drain is over. False: there can be no drain, or nothing to
 * be drained. */
static bool defer(int sig, const siginfo_t *info)
{
    if (!LOAD(deferred.begun) && left_alone_process()) {
        pass_by();
        return false;
    }
    nsec_t now = clock_now();
    bool first = !deferred.pending, from_group = !first && is_from_group(info);
    bool counts = !from_group && (signal_repeat_ends(&deferred.repeat, sig, now) || first);
    note_pending(sig, info);
    if (!counts)
        return true;
    STORE(deferred.last_at, now);
    __atomic_fetch_add(&deferred.signals, 1, __ATOMIC_ACQ_REL);
    return begin_drain(sig, NULL);
}

bool shim_signal(int sig, const void *siginfo)
{
    if (is_tick(siginfo))
        return drain_drive();
    if (__atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE))
        return true;
    if (is_command(siginfo)) {
        take_command(siginfo);
        return false;
    }
    if (!deferred.pending &&
        coordinator_delivered()) { /* which the drain thread has not noticed yet; this is its doing */
        __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
        return true;
    }
    /* False even if the signal was delivered just now: the drain thread's own is on its way. */
    return !defer(sig, siginfo);
}

/* ---- our handlers ------------------------------------------------------------------------------------------------ */

enum fate { PASS, DEFER, DELIVER, END };

/* Is this a child that may be on its way to an exec, with nothing to drain? */
static bool may_exec(const siginfo_t *info)
{
    return self_is_pre_exec() && !member_is_settled() && !connections_inherits() && !is_command(info);
}

/* Has the program sent the signal to itself, by whatever call, to die of it (the usual way out of a handler: default
 * disposition, then raise)? The call must not return (raise(3), kill(2)). No other process can claim our pid with
 * SI_USER or SI_TKILL (rt_sigqueueinfo(2)), and one that claims it with SI_QUEUE may signal us anyway. */
static bool is_own_end(int sig, const siginfo_t *info)
{
    return info->si_pid == self_pid() &&
           (info->si_code == SI_USER || info->si_code == SI_TKILL || info->si_code == SI_QUEUE) && !is_command(info) &&
           (!__atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE) || deferred_phase() == DRAIN_GUARDING) &&
           dispositions.view.program[sig].handler == SIGNAL_VIEW_DEFAULT;
}

/* A raise for which the program's handler was put in, when the end of another thread's raise had put ours back. */
static bool is_raised_meanwhile(int sig, const siginfo_t *info)
{
    return info->si_code == SI_TKILL && info->si_pid == self_pid() && signal_is_held(sig) &&
           dispositions_are_lent() && dispositions.view.program[sig].handler > SIGNAL_VIEW_IGNORE;
}

static enum fate signal_fate(int sig, const siginfo_t *info)
{
    if (!self_is_our_process() || may_exec(info) || is_raised_meanwhile(sig, info))
        return PASS;
    if (is_own_end(sig, info))
        return END;
    return shim_signal(sig, info) ? DELIVER : DEFER;
}

static bool has_to_drain(void)
{
    /* A fork's child that has not served yet has the calling thread only. */
    bool serves = !self_is_pre_exec() && (listeners.used > 0 || pool_size(&connections) > 0);
    return serves && !left_alone_process();
}

/* As the kernel would: which does nothing where the default is to ignore the signal (signal(7)), and to PID 1
 * (pid_namespaces(7)). It begins a drain as another process's signal would. The call that sent the signal must not
 * return: to the drain it is an exit of the program's, which waits for the requests that other threads serve. */
static void end_by_default(int sig, siginfo_t *info, void *context)
{
    if (self_pid() == 1 || sig == SIGWINCH || sig == SIGCHLD || sig == SIGURG || sig == SIGCONT)
        return;
    if (has_to_drain())
        begin_drain(sig, NULL);
    exit_guard_wait();
    member_leave();
    deliver_as_it_came(sig, info, context);
    sigmask_let_in(sig); /* a sigsuspend or ppoll would return with the signal blocked, and the program go on */
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    int delivered = sig;
    bool follows = true;
    switch (signal_fate(sig, info)) {
    case PASS: /* a raise; or a child before its exec: it has its signal now, since exec would forget a deferred one */
        deliver_before_exec(sig, info, context);
        break;
    case END: end_by_default(sig, info, context); return;
    case DEFER: /* the program shall not notice that our handler has run */ eintr_hide(context); return;
    case DELIVER: /* the drain is over: the deferred signal; or there can be none: this one */
        delivered = deferred.pending ? deliver_which() : sig;
        follows = deferred.pending ? deliver_here(sig, context) : deliver_as_it_came(sig, info, context);
        break;
    }
    /* In a sigsuspend or ppoll the mask that returns blocks what has just been queued: the signal comes when the hook
     * waits again, and that EINTR is the program's. */
    if (follows && eintr_is_blocked(context, delivered))
        eintr_hide(context);
    else
        eintr_show(delivered, context);
}

/* SIGCONT: see dispositions_accept_commands. */
static void on_command(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    if (self_is_our_process() && is_command(info))
        follow(0);
    eintr_hide(context);
}

/* ---- dispositions ------------------------------------------------------------------------------------------------ */

/* No command can reach a process that ignores all drain signals. Two threads may change dispositions at once: the last
 * to write the flag has seen what it says. */
static void note_ignored(void)
{
    bool ignored;
    do {
        ignored = dispositions_are_ignored();
        if (ignored)
            member_set_flags(MEMBER_IGNORES_SIGNALS);
        else if (member_has_flags(MEMBER_IGNORES_SIGNALS))
            member_clear_flags(MEMBER_IGNORES_SIGNALS);
    } while (dispositions_are_ignored() != ignored);
}

void shim_hold_signals(void)
{
    dispositions_init(on_signal, on_command);
    dispositions_take();
    note_ignored();
}

bool shim_sigaction(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    bool held = dispositions_change(sig, act, old);
    if (held && act && self_is_our_process())
        note_ignored();
    return held;
}
