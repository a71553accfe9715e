/* pump.c: takes the census, asks drain_step what is to be done, does it, and waits for the next event. */
#include "pump.h"

#include "door.h"
#include "group.h"
#include "handoff.h"
#include "lead.h"
#include "track/conn_log.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

extern HIDDEN long thread_clone(unsigned long flags, void *stack_top, void (*run)(void *), void *arg);
extern HIDDEN void thread_call_on(void *stack_top, void (*run)(void *), void *arg);

enum { GUARD = ARCH_PAGE_MAX, PUMP_STACK = 256 * 1024, WATCH_STACK = 16 * 1024, EVENTS = 64 };

static struct {
    bool seen;             /* the drain has been told of the signal, or the order, that began it */
    unsigned signals_seen; /* drain signals that it has been told of */
    bool first;            /* the census of the signal's moment is still to be taken */
    bool swept;            /* the descriptors were looked through for unknown connections */
    bool begun, released;  /* driven by the timer: how far */
    nsec_t wake_at;
} pump;

HIDDEN struct drain_state drain_state;
HIDDEN struct exit_guard exit_guard;

static uint8_t pump_lock; /* a thread makes a step, in place of the drain's thread */
static char *stack;       /* the top of the pump's, or of the steps that the timer makes; NULL: none */

/* ---- one step ------------------------------------------------------------------------------------------ */

/* Programs set a flag in their handler, look at it, and then wait: a signal in between is noticed only when the wait
 * ends, perhaps never (nginx without a master has this race). The last response is just out, so its thread is likely to
 * be right there: a moment's patience, and the signal meets it in its wait. The moment is one of that thread's own: while it
 * gets no processor it can neither reach its wait nor heed a signal. */
static void let_it_sleep(void)
{
    const struct timespec nap = {0, 50 * 1000};
    const nsec_t moment = NSEC_PER_MSEC, bound = 100 * NSEC_PER_MSEC;
    const struct ksigaction *program = &dispositions.view.program[deferred.first_signal];
    if (program->handler == SIGVIEW_DEFAULT || program->handler == SIGVIEW_IGNORE || drain_state.tid <= 0)
        return;
    nsec_t begun = clock_now(), spent = proc_main_spent();
    while (!proc_main_sleeps() && proc_main_spent() - spent < moment && clock_now() - begun < bound)
        sys2(SYS_nanosleep, &nap, 0);
}

/* The report is the leader's; a process that is led only says how its own part has ended. So does a worker that would
 * have left anyway (one process per connection), and has lost nothing. */
static void say_end(enum report_end end, nsec_t now)
{
    announce_count_cuts();
    conn_log_end();
    lead_end(end);
    if (group.leader == MEMBER_NONE && !(end == REPORT_EXIT && stats.counts.cut == 0 && lead_is_member()))
        announce_end(now, end);
    else
        announce_trace();
}

/* A sandbox may forbid one way or the other. Where it forbids all of them there is no signal to be had, and nobody would
 * be served any more: it ends. */
static void send_signal(int sig)
{
    if (sys2(SYS_kill, self_pid(), sig) == 0 || sys3(SYS_tgkill, self_pid(), self_pid(), sig) == 0 ||
        sys2(SYS_tkill, self_pid(), sig) == 0)
        return;
    log_warning("the signal cannot be sent: the process ends");
    sys1(SYS_exit_group, 128 + sig);
}

static void give_signal(enum report_end end, nsec_t now)
{
    bool exiting = __atomic_load_n(&exit_guard.tid, __ATOMIC_ACQUIRE) != 0;
    say_end(exiting ? REPORT_EXIT : end, now);
    __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
    lead_free();
    if (exiting) {
        __atomic_store_n(&exit_guard.leave, 1, __ATOMIC_SEQ_CST);
        sys3(SYS_futex, &exit_guard.leave, FUTEX_WAKE_PRIVATE, 64);
    } else if (!deferred.pending) {
        signals_give_back();
    } else if (drain_state.tid != -1) {
        let_it_sleep();
        signals_interrupt();
        send_signal(deferred.first_signal);
    } /* else the handler that makes this step releases: a signal of ours would be dropped where a tick is pending */
}

static int timer = -1; /* stands in for the thread */

/* No tick must reach the program: neither a later one nor one that is pending (it is blocked here; newer kernels take it
 * back by themselves). */
static void stop_timer(void)
{
    const struct timespec none = {0, 0};
    uint64_t bit = (uint64_t)1 << (deferred.first_signal - 1);
    sys1(SYS_timer_delete, timer);
    sys4(SYS_rt_sigtimedwait, &bit, 0, &none, 8);
}

static enum report_end how_it_ended(void)
{
    if (drain_state.drain.again)
        return REPORT_SECOND_SIGNAL;
    return drain_state.drain.expired ? REPORT_DEADLINE : REPORT_DRAINED;
}

static bool nothing_owed(const struct census *census)
{
    return census->queued + census->in_flight + census->idle + census->ending == 0;
}

static void look_around(struct census *census, nsec_t now)
{
    memset(census, 0, sizeof *census);
    __atomic_store_n(&wake.blocker, NULL, __ATOMIC_SEQ_CST);
    census->last_accept = __atomic_load_n(&stats.last_accept_at, __ATOMIC_ACQUIRE);
    door_census(census, &drain_state.drain, now);
    handoff_census(census, now);
    survey(census, now, pump.first);
    pump.first = false;
}

static void take_census(struct census *census, nsec_t now)
{
    static uint32_t swept_for;
    uint32_t round = lead_round();
    look_around(census, now);
    if (deferred.phase >= DRAIN_DOOR && handoff_leave(nothing_owed(census), now))
        look_around(census, now);
    /* Nobody may come in behind our back while we decide: who waits at a door that is left to others is theirs. */
    if (deferred.phase >= DRAIN_DOOR && nothing_owed(census) && door_leave())
        look_around(census, now);
    if (deferred.phase >= DRAIN_DOOR && nothing_owed(census) && (!pump.swept || round != swept_for)) {
        pump.swept = true;
        swept_for = round;
        survey_sweep();
        if (door_close()) /* a listener that was not known (uvicorn's parent only binds it): who stands at it? */
            look_around(census, now);
        else
            survey(census, now, false); /* what an accept has made known since the last look */
    }
    if (census->queued > 0 || census->half_open > 0)
        pump.swept = false; /* an accept may be on its way to return one that no call of ours has announced */
    lead_census(census, nothing_owed(census), round, now);
}

static void take_signals(void)
{
    unsigned signals = __atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE), seen = pump.signals_seen;
    if (!pump.seen) {
        /* The moment that counts is the handler's, not this thread's: it may be long in coming. */
        drain_signal(&drain_state.drain, deferred.signal_at);
        stats.last_done_at = deferred.signal_at;
        pump.first = pump.seen = true;
        holders_look(false, NULL);
    }
    /* The first one began the drain, or, where an order did, only makes that the program is owed it. */
    if (signals > seen + (seen == 0))
        drain_signal(&drain_state.drain, LOAD(deferred.last_at));
    pump.signals_seen = signals;
}

/* Returns false when all is done. */
static bool pump_step(void)
{
    nsec_t now = clock_now();
    struct census census;
    take_signals();
    bool first = pump.first;
    take_census(&census, now);
    if (first)
        announce_signal(); /* by then it is known what was in flight */
    uint8_t before = drain_state.drain.phase;
    struct drain_actions act = drain_step(&drain_state.drain, &census, &config, now);
    if (act.hide)
        door_close();
    if (drain_state.drain.phase != before)
        __atomic_store_n(&deferred.phase, drain_state.drain.phase, __ATOMIC_SEQ_CST);
    if (!act.release)
        lead_publish(&census);
    if (drain_state.drain.phase >= DRAIN_EMPTYING && before < DRAIN_EMPTYING)
        announce_door(now);
    announce_trace();
    if (act.release)
        give_signal(how_it_ended(), clock_now());
    pump.wake_at = act.wake_at;
    if (drain_state.watching == 2 && group_self() && (pump.wake_at == 0 || pump.wake_at > now + GROUP_LOOK))
        pump.wake_at = now + GROUP_LOOK;
    return !act.release;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static int wait_ms(nsec_t wake_at, nsec_t now)
{
    if (wake_at == 0)
        return -1;
    if (wake_at <= now)
        return 0;
    nsec_t ms = (wake_at - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    return ms > 3600000 ? 3600000 : (int)ms;
}

/* Take what events there are within timeout ms. True: a census is worth taking. */
static bool take_events(int timeout)
{
    struct epoll_event events[EVENTS];
    long n = sys6(SYS_epoll_pwait, wake.epoll, events, EVENTS, timeout, 0, 8);
    if (n < 0 && n != -EINTR) {
        /* There is no epoll set (EMFILE): then there is nothing to wait on but time. */
        struct timespec nap = {0, 20 * 1000 * 1000};
        sys2(SYS_nanosleep, &nap, 0);
        return true;
    }
    nsec_t now = clock_now();
    bool changed = n == 0;
    for (long i = 0; i < n; i++) {
        uint64_t count;
        if (events[i].data.u64 == UINT64_MAX) {
            sys3(SYS_read, wake.event, &count, sizeof count);
            changed = true;
        } else if (events[i].data.u64 == HANDOFF_TOKEN || lead_event(events[i].data.u64)) {
            changed = true;
        } else if (survey_event(events[i].data.u64, now)) {
            changed = true;
        }
    }
    return changed;
}

static void begin(void)
{
    lead_begin();
    announce_open();
}

static void pump_main(void *unused)
{
    (void)unused;
    begin();
    while (pump_step())
        while (!take_events(wait_ms(pump.wake_at, clock_now())))
            ;
}

/* What happens in the group is told by a futex in its memory: other processes, of other users too, can do nothing else to
 * us. A thread of its own waits for it. */
static void watch_group(void *unused)
{
    (void)unused;
    for (;;) {
        uint32_t seen, *word = lead_word(&seen);
        if (__atomic_load_n(&deferred.delivering, __ATOMIC_SEQ_CST)) /* set before the words change for the last time */
            return;
        wake_now();
        sys6(SYS_futex, word, FUTEX_WAIT_BITSET, seen, 0, 0, lead_bit());
    }
}

unsigned pump_threads(void)
{
    return 1 + (drain_state.watching == 1);
}

static void start_watching(unsigned long flags)
{
    if (group_self())
        drain_state.watching = thread_clone(flags, stack - PUMP_STACK, watch_group, NULL) < 0 ? 2 : 1;
}

/* Without a thread (pids limit, seccomp), a timer runs our handler, and the handler makes the steps. */
static bool drive_by_timer(void)
{
    struct sigevent how;
    struct itimerspec every = {{0, 5 * 1000 * 1000}, {0, 1}};
    memset(&how, 0, sizeof how);
    how.sigev_notify = SIGEV_SIGNAL;
    how.sigev_signo = deferred.first_signal;
    how.sigev_value.sival_ptr = &drain_state;
    drain_state.tid = -1;
    if (stack && sys3(SYS_timer_create, CLOCK_MONOTONIC, &how, &timer) == 0)
        return sys4(SYS_timer_settime, timer, 0, &every, 0) == 0;
    __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
    return false;
}

static void drive(void *unused)
{
    (void)unused;
    if (!pump.begun) {
        pump.begun = true;
        begin();
    } else if (wake.epoll >= 0) {
        take_events(0);
    }
    if (!pump.released && !pump_step()) {
        stop_timer();
        pump.released = true;
    }
}

bool pump_drive(void)
{
    if (drain_state.tid != -1 || !conn_lock(&pump_lock))
        return false;
    bool before = pump.released;
    /* The program's signal stack may be 2 KiB: a step wants more. */
    thread_call_on(stack, drive, NULL);
    bool now = pump.released && !before;
    __atomic_store_n(&pump_lock, 0, __ATOMIC_RELEASE);
    return now;
}

void pump_prepare(void)
{
    const size_t size = GUARD + WATCH_STACK + PUMP_STACK;
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if ((unsigned long)at >= -4095ul) { /* an error number */
        log_warning("no memory for a drain: a signal ends the process as without lastcall");
        return;
    }
    sys3(SYS_mprotect, at, GUARD, PROT_NONE);
    stack = (char *)at + size;
}

bool pump_start(void)
{
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    long tid = -EAGAIN;
    memset(&pump, 0, sizeof pump);
    memset(&drain_state.drain, 0, sizeof drain_state.drain);
    if (stack)
        tid = thread_clone(flags, stack, pump_main, NULL);
    if (tid < 0)
        return drive_by_timer();
    __atomic_store_n(&drain_state.tid, (int)tid, __ATOMIC_RELEASE);
    start_watching(flags);
    return true;
}

void state_after_fork(void)
{
    memset(&drain_state, 0, sizeof drain_state);
}

void thread_after_fork(void)
{
    pump_lock = 0;
}

/* ---- the exit guard ------------------------------------------------------------------------------------ */

void exit_guard_after_fork(void)
{
    memset(&exit_guard, 0, sizeof exit_guard);
}

/* Wait until the drain lets this thread leave. */
static void wait_to_leave(void)
{
    if (!deferred_draining() || __atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE) || drain_state.tid <= 0)
        return;
    if (__atomic_exchange_n(&exit_guard.called, 1, __ATOMIC_ACQ_REL))
        return; /* exit from within exit: the first one has waited */
    exit_guard.thread_pointer = arch_thread_pointer();
    __atomic_store_n(&exit_guard.tid, (int)sys0(SYS_gettid), __ATOMIC_RELEASE);
    wake_now();
    while (__atomic_load_n(&exit_guard.leave, __ATOMIC_ACQUIRE) == 0)
        sys4(SYS_futex, &exit_guard.leave, FUTEX_WAIT_PRIVATE, 0, 0);
}

void shim_exit(void)
{
    if (!self_armed() || !self_is_our_process())
        return;
    wait_to_leave();
    group_leave();
}
