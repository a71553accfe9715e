/* signals.c: drain signals are withheld from the program, and given back at release (DESIGN section 7). */
#include "shim.h"

#include "group.h"
#include "track/conn_log.h"
#include "sys/syscall.h"

#include <linux/futex.h>
#include <signal.h>
#include <time.h>

HIDDEN struct dispositions dispositions;

void disposition_after_fork(void)
{
    dispositions.lock = 0;
}

#define SA_RESTORER_ 0x04000000ul

extern HIDDEN void signal_return(void);

static const uint64_t all_signals = ~(uint64_t)0; /* no thread's mask: KILL and STOP are never in one */

/* Returns what unblock() wants. */
static uint64_t block_all(void)
{
    uint64_t old = 0;
    return sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &old, 8) == 0 ? old : all_signals;
}

/* A thread that stayed so would never hear of a signal again: a failure, which only a sandbox could make, is not the end. */
static void unblock(uint64_t old)
{
    if (old != all_signals && sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8) != 0)
        sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
}

static bool put_action(int sig, const struct ksigaction *act)
{
    return sys4(SYS_rt_sigaction, sig, act, 0, 8) == 0;
}

/* libc puts in the restorer that the kernel wants; one that the program has not given is ours. False: a sandbox that has
 * come since does not let us. */
static bool put_programs(int sig, struct ksigaction own)
{
    if ((own.flags & SA_RESTORER_) == 0) {
        own.flags |= SA_RESTORER_;
        own.restorer = (uintptr_t)signal_return;
    }
    return put_action(sig, &own) || put_action(sig, &own);
}

/* Our handler cannot be taken away: the signal would only come back to it, for ever. The last resort is to call the
 * program's from here, unless it counts on being called once only (node raises the signal again). */
static void give_by_hand(int sig, siginfo_t *info, void *context)
{
    const struct ksigaction *own = &dispositions.view.program[sig];
    if (context && own->handler > SIGVIEW_IGNORE && (own->flags & SA_RESETHAND) == 0) {
        log_warning("the signal cannot be given back: the program's handler is called from ours");
        ((void (*)(int, siginfo_t *, void *))own->handler)(sig, info, context);
    } else if (own->handler != SIGVIEW_IGNORE) {
        log_warning("the signal cannot be given back: the process ends");
        sys1(SYS_exit_group, 128 + sig);
    }
}

/* A child between its birth and exec has nothing to drain, and a signal that is withheld is forgotten by exec. It gets
 * it now, as without us. The memory may be the parent's (vfork): only the kernel's table is touched. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
    if (!put_programs(sig, dispositions.view.program[sig])) {
        give_by_hand(sig, info, context);
        return;
    }
    sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), sys0(SYS_gettid), sig, info);
}

static int signal_owed(void)
{
    return config.forward ? config.forward : deferred.pending_signal;
}

static void on_signal(int sig, siginfo_t *info, void *context);

/* Returns what it has from now on. Where ours is no longer in the kernel, the program has set its own by means that are not
 * seen (Go's runtime, by a system call of its own): that one stands. Where ours cannot be replaced, the signal stays held. */
static struct ksigaction give_back(int sig)
{
    struct ksigaction own = sigview_release(&dispositions.view, sig), now;
    if (own.handler != SIGVIEW_IGNORE && sys4(SYS_rt_sigaction, sig, 0, &now, 8) == 0 &&
        now.handler != (uintptr_t)on_signal)
        return now;
    if (!put_programs(sig, own))
        sigview_hold(&dispositions.view, sig, &own);
    return own;
}

/* Give the program its disposition and the signal it is owed, in the thread that the kernel has picked: it
 * is delivered, by the kernel and with all of its flags, as our handler returns. False: it was given by hand. */
static bool release_here(int sig, void *context)
{
    int forward = signal_owed();
    bool init_default = false;
    for (int s = 1; s < SIGVIEW_MAX; s++)
        if (sigview_holds(&dispositions.view, s)) {
            struct ksigaction own = give_back(s);
            if (s == forward && own.handler == SIGVIEW_DEFAULT)
                init_default = sys0(SYS_getpid) == 1;
        }
    if (init_default) /* the kernel ignores a default signal to PID 1 (pid_namespaces(7)) */
        sys1(SYS_exit_group, 128 + forward);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (deferred.has_info)
        memcpy(&info, deferred.info, sizeof deferred.info);
    info.si_signo = forward;
    if (sigview_holds(&dispositions.view, forward)) {
        give_by_hand(forward, &info, context);
        return false;
    }
    long pid = sys0(SYS_getpid), tid = sys0(SYS_gettid);
    if (forward != sig || sys4(SYS_rt_tgsigqueueinfo, pid, tid, forward, &info) != 0)
        if (sys3(SYS_rt_sigqueueinfo, pid, forward, &info) != 0)
            sys2(SYS_kill, pid, forward);
    return true;
}

/* Nothing was withheld: it passes as it came. False: likewise. */
static bool pass_here(int sig, siginfo_t *info, void *context)
{
    signals_give_back();
    if (sigview_holds(&dispositions.view, sig)) {
        give_by_hand(sig, info, context);
        return false;
    }
    sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), sys0(SYS_gettid), sig, info);
    return true;
}

void signals_deliver(void)
{
    if (deferred.pending && !__atomic_exchange_n(&deferred.delivering, 1, __ATOMIC_ACQ_REL))
        release_here(signal_owed(), NULL);
}

/* The moment of the signal is that of the leader's, if there is one. */
static void note_moment(const struct member *leader)
{
    struct member *self = group_self();
    nsec_t now = clock_now();
    /* Not later than now, whatever stands there: the deadline follows from it. */
    deferred.signal_at = leader && leader->signal_at < now ? leader->signal_at : now;
    deferred.signal_wall_ms = clock_wall_ms();
    if (!self)
        return;
    self->signal = deferred.first_signal;
    self->signal_at = deferred.signal_at;
    __atomic_store_n(&self->phase, DRAIN_DUCK, __ATOMIC_SEQ_CST);
}

static void open_conn_log(void)
{
    struct member *self = group_self();
    conn_log_open(self ? group.history : NULL, self ? self->serial : UINT32_MAX, self ? &self->missed : NULL,
                  group_has_serial);
}

/* The drain begins. False: with neither thread nor timer there can be none. */
static bool begin_drain(int sig, const struct member *leader)
{
    if (__atomic_exchange_n(&deferred.begun, 1, __ATOMIC_ACQ_REL)) {
        wake_now();
        return true;
    }
    uint64_t mask = block_all();
    deferred.first_signal = sig;
    note_moment(leader);
    /* A connection that is closed now is kept for lingering: the thread may be long in coming. */
    wake_open();
    open_conn_log();
    /* From here on every hook says farewells. */
    __atomic_store_n(&deferred.phase, DRAIN_DUCK, __ATOMIC_SEQ_CST);
    bool waits = pump_start();
    unblock(mask);
    return waits;
}

static int lowest_held(void)
{
    int sig = 1;
    while (sig < SIGVIEW_MAX - 1 && !sigview_holds(&dispositions.view, sig))
        sig++;
    return sig;
}

void shim_follow(void)
{
    const struct member *leader = group_leader();
    if (!leader || leader == group_self())
        return;
    begin_drain(shim_holds(leader->signal) ? leader->signal : lowest_held(), leader);
    group_report(); /* it may not know of us yet */
}

/* The program was sent the signal, and is owed it. */
static void note_owed(int sig, const void *siginfo)
{
    if (__atomic_exchange_n(&deferred.pending, 1, __ATOMIC_ACQ_REL))
        return;
    deferred.pending_signal = sig;
    if (group_self())
        group_self()->owed = sig;
    if (siginfo) {
        memcpy(deferred.info, siginfo, sizeof deferred.info);
        deferred.has_info = true;
    }
}

/* A master that repeats its signal (gunicorn: every second) is not somebody who has lost patience. */
static bool is_from_group(const siginfo_t *info)
{
    return info && (info->si_code == SI_USER || info->si_code == SI_TKILL) && group_knows(info->si_pid);
}

/* An order only wakes: what is to be done is found in the group's table. It may also be a process's own, to take its
 * threads out of a call. */
static bool is_order(const siginfo_t *info)
{
    return info && info->si_code == SI_QUEUE && group_is_order(info->si_value.sival_ptr);
}

/* A tick of the timer that stands in for the pump's thread. */
static bool is_tick(const siginfo_t *info)
{
    return info && info->si_code == SI_TIMER && info->si_value.sival_ptr == &drain_state;
}

bool shim_signal(int sig, const void *siginfo)
{
    if (is_tick(siginfo))
        return pump_drive();
    if (__atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE))
        return true;
    if (is_order(siginfo)) {
        if (((const siginfo_t *)siginfo)->si_pid == self_pid()) {
            __atomic_add_fetch(&stats.interrupts_answered, 1, __ATOMIC_SEQ_CST);
            wake_changed(NULL);
        }
        shim_follow();
        return false;
    }
    if (!deferred.pending &&
        group_is_free()) { /* our leader's release, which we have not noticed yet; this is its doing */
        __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
        return true;
    }
    bool repeated = deferred.pending && is_from_group(siginfo);
    note_owed(sig, siginfo);
    if (repeated)
        return false;
    STORE(deferred.last_at, clock_now());
    __atomic_fetch_add(&deferred.signals, 1, __ATOMIC_ACQ_REL);
    /* False even if it was the release just now: the pump's own signal is on its way. */
    return !begin_drain(sig, NULL);
}

static bool blocks(const void *context, int sig)
{
    uint64_t mask;
    memcpy(&mask, &((const ucontext_t *)context)->uc_sigmask, sizeof mask);
    return mask >> (sig - 1) & 1;
}

static void on_signal(int sig, siginfo_t *info, void *context);

/* Does the program wait for something in this call, and would it be told of its own handler's run (not by a handler that
 * restarts its calls)? */
static bool is_interrupted_wait(long nr, long second, const struct ksigaction *program)
{
    bool restarts = (program->flags & SA_RESTART) != 0;
    switch (nr) {
    case SYS_futex: second &= FUTEX_CMD_MASK; return !restarts && (second == FUTEX_WAIT || second == FUTEX_WAIT_BITSET);
    case SYS_accept:
    case SYS_accept4:
    case SYS_wait4:
    case SYS_waitid: return !restarts;
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
    case SYS_poll:
    case SYS_select:
    case SYS_pause:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_ppoll:
    case SYS_pselect6: return true;
    default: return false;
    }
}

/* The program's handler will run as ours returns. The thread may stand before a call that waits: for our handler, the kernel
 * has set it back to there (SA_RESTART), and after the program's it would wait for what has come already. It fails, as it
 * would have if the program's handler alone had met it. (An invalid `how` only makes the kernel read.) */
static void interrupt_wait_ahead(void *context, const struct ksigaction *program)
{
    long second;
    if (sys4(SYS_rt_sigprocmask, -1, arch_code_ahead(context), 0, 8) == -EFAULT)
        return;
    long nr = arch_call_ahead(context, &second);
    if (is_interrupted_wait(nr, second, program))
        arch_interrupt_call_ahead(context);
}

/* As our handler returns, will the kernel run the program's handler of another signal? All are blocked in ours. */
static bool others_follow(void *context)
{
    uint64_t pending = 0;
    bool follow = false;
    if (sys2(SYS_rt_sigpending, &pending, 8) != 0)
        return false;
    for (int sig = 1; pending >> (sig - 1) != 0; sig++) {
        struct ksigaction now;
        if ((pending >> (sig - 1) & 1) == 0 || blocks(context, sig) || sys4(SYS_rt_sigaction, sig, 0, &now, 8) != 0)
            continue;
        if (now.handler > SIGVIEW_IGNORE && now.handler != (uintptr_t)on_signal) {
            follow = true;
            interrupt_wait_ahead(context, &now);
        }
        if (sig == SIGVIEW_MAX)
            break;
    }
    return follow;
}

/* An EINTR that only our handler has caused is none of the program's; one that its own handler shares is: it may wait
 * for nothing else (pause, sigsuspend). */
static void hide_run(void *context)
{
    bool interrupted = arch_interrupted_call(context);
    if (!others_follow(context) && interrupted)
        eintr_note_run((int)sys0(SYS_gettid));
}

/* The program's own handler of sig runs as ours returns, or has run. */
static void show_run(int sig, void *context)
{
    struct ksigaction now;
    if (sys4(SYS_rt_sigaction, sig, 0, &now, 8) != 0 || now.handler <= SIGVIEW_IGNORE)
        return;
    eintr_note_run(-(int)sys0(SYS_gettid));
    interrupt_wait_ahead(context, &now);
}

/* Is it a child that may be on its way to an exec, with nothing to drain? */
static bool passes_by(const siginfo_t *info)
{
    return self_is_pre_exec() && !group_has_grown() && !connections_inherits() && !is_order(info);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    bool passes = !self_is_our_process() || passes_by(info), follows = true;
    if (!passes && !shim_signal(sig, info)) {
        hide_run(context);
        return;
    }
    int released = !passes && deferred.pending ? signal_owed() : sig;
    if (passes)
        pass_on(sig, info, context);
    else
        follows = deferred.pending ? release_here(sig, context) : pass_here(sig, info, context);
    /* In a sigsuspend or ppoll the mask that returns blocks what we have just queued: it comes when the hook waits
     * again, and that EINTR is the program's. */
    if (follows && blocks(context, released))
        hide_run(context);
    else
        show_run(released, context);
}

/* One change of disposition at a time. The holder is never interrupted; it makes one system call. */
static uint64_t lock_view(void)
{
    uint64_t mask = block_all();
    while (!conn_lock(&dispositions.lock))
        sys0(SYS_sched_yield);
    return mask;
}

static void unlock_view(uint64_t mask)
{
    __atomic_store_n(&dispositions.lock, 0, __ATOMIC_RELEASE);
    unblock(mask);
}

void signals_give_back(void)
{
    uint64_t mask = lock_view();
    for (int sig = 1; sig < SIGVIEW_MAX; sig++)
        if (sigview_holds(&dispositions.view, sig))
            give_back(sig);
    unlock_view(mask);
}

/* SIGCONT alone may be sent to a process of another user, if it is of the same session (kill(2)): so a leader that may not
 * signal its workers (root without CAP_KILL, as hardened containers have it) can still give its order. */
static void on_continue(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    if (self_is_our_process() && is_order(info))
        shim_follow();
    hide_run(context);
}

void signals_hear_leader(void)
{
    struct ksigaction now, ours = {
                               .handler = (uintptr_t)on_continue,
                               .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER_,
                               .restorer = (uintptr_t)signal_return,
                               .mask = ~(uint64_t)0,
                           };
    if (sys4(SYS_rt_sigaction, SIGCONT, 0, &now, 8) == 0 && now.handler == SIGVIEW_DEFAULT)
        put_action(SIGCONT, &ours);
}

static bool put_ours(int sig, unsigned long restart)
{
    struct ksigaction ours = {
        .handler = (uintptr_t)on_signal,
        .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER_ | restart,
        .restorer = (uintptr_t)signal_return,
        .mask = ~(uint64_t)0,
    };
    return put_action(sig, &ours);
}

/* Where the program ignores all of them, no order can reach it. */
static void note_deafness(void)
{
    bool deaf = dispositions.view.held != 0;
    for (int sig = 1; sig < SIGVIEW_MAX; sig++)
        if (sigview_holds(&dispositions.view, sig) && dispositions.view.program[sig].handler != SIGVIEW_IGNORE)
            deaf = false;
    if (deaf)
        group_marks(MEMBER_DEAF);
    else if (group.marks & MEMBER_DEAF)
        group_unmarks(MEMBER_DEAF);
}

void signals_interrupt(void)
{
    uint64_t mask = lock_view();
    const struct ksigaction *program = &dispositions.view.program[signal_owed()];
    if (shim_holds(deferred.first_signal) && program->handler > SIGVIEW_IGNORE && (program->flags & SA_RESTART) == 0)
        put_ours(deferred.first_signal, 0);
    unlock_view(mask);
}

/* False: the kernel (a sandbox) does not let us. Then the signal stays the program's alone. */
static bool hold(int sig)
{
    struct ksigaction now;
    if (sys4(SYS_rt_sigaction, sig, 0, &now, 8) != 0)
        return false;
    if (now.handler == (uintptr_t)on_signal)
        return true; /* a fork's child: inherited, and so is its view */
    sigview_hold(&dispositions.view, sig, &now);
    if (now.handler == SIGVIEW_IGNORE || put_ours(sig, SA_RESTART))
        return true;
    sigview_release(&dispositions.view, sig);
    return false;
}

void signals_hold(void)
{
    for (int sig = 1; sig < SIGVIEW_MAX; sig++)
        if ((config.signals >> sig & 1) != 0 && !hold(sig))
            log_warning("a signal cannot be withheld: it ends the process as without lastcall");
    note_deafness();
}

/* A child of vfork (python's subprocess resets all handlers in it) has the view of its parent in its memory, and a table
 * of its own in the kernel: only that is changed. */
static void sigaction_of_vfork_child(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    struct ksigaction kernel, own;
    if (act)
        own = *act;
    if (act && (own.flags & SA_RESTORER_) == 0) {
        own.flags |= SA_RESTORER_;
        own.restorer = (uintptr_t)signal_return;
    }
    sys4(SYS_rt_sigaction, sig, act ? &own : NULL, &kernel, 8);
    if (old)
        *old = kernel.handler == (uintptr_t)on_signal ? dispositions.view.program[sig] : kernel;
}

bool shim_sigaction(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    if (shim_holds(sig) && !self_is_our_process()) {
        sigaction_of_vfork_child(sig, act, old);
        return true;
    }
    uint64_t mask = lock_view();
    bool held = shim_holds(sig);
    if (held) {
        if (old)
            *old = dispositions.view.program[sig];
        if (act && sigview_set(&dispositions.view, sig, act))
            put_ours(sig, SA_RESTART);
        else if (act)
            put_action(sig, act);
        if (act)
            note_deafness();
    }
    unlock_view(mask);
    return held;
}
