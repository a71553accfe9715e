/* loop.c: see loop.h. */
#include "drain/loop.h"

#include "compat/node_cluster.h"
#include "drain/exit_guard.h"
#include "drain/holders.h"
#include "drain/listeners.h"
#include "drain/report.h"
#include "drain/scan.h"
#include "drain/state.h"
#include "group/coordinator.h"
#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/log.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/wake.h"
#include "signal/deliver.h"
#include "signal/disposition.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "track/conn_log.h"

#include <time.h>

static struct {
    bool begun;            /* the drain has been told of the signal, or of the command, that began it */
    unsigned signals_seen; /* drain signals that it has been told of */
    bool first;            /* the scan of the signal's moment is still to be made */
    bool swept;            /* the descriptors were searched for connections that are not tracked ... */
    uint32_t swept_for;    /* ... for this question of the group */
} loop;

void loop_begin(void)
{
    memset(&loop, 0, sizeof loop);
    memset(&drain_state.drain, 0, sizeof drain_state.drain);
}

/* ---- signals ------------------------------------------------------------------------------------------------------ */

static void take_signals(void)
{
    unsigned signals = __atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE), seen = loop.signals_seen;
    if (!loop.begun) {
        /* The moment that counts is the handler's, not this thread's: it may be long in coming. */
        drain_signal(&drain_state.drain, deferred.signal_at);
        stats.last_done_at = deferred.signal_at;
        loop.first = loop.begun = true;
        holders_look(false, NULL);
    }
    /* The first signal began the drain; or, where a command did, only makes that a signal is pending. */
    if (signals > seen + (seen == 0))
        drain_signal(&drain_state.drain, LOAD(deferred.last_at));
    loop.signals_seen = signals;
}

/* ---- the census ----------------------------------------------------------------------------------------------------- */

static void scan(struct census *census, nsec_t now)
{
    memset(census, 0, sizeof *census);
    __atomic_store_n(&wake.blocker, NULL, __ATOMIC_SEQ_CST);
    census->last_accept = __atomic_load_n(&stats.last_accept_at, __ATOMIC_ACQUIRE);
    listeners_census(census, &drain_state.drain, now);
    node_cluster_census(census, now);
    scan_connections(census, now, loop.first);
    loop.first = false;
}

/* Search the descriptors for connections that no hook has seen, and count them. */
static void sweep(struct census *census, uint32_t asked, nsec_t now)
{
    loop.swept = true;
    loop.swept_for = asked;
    sweep_descriptors();
    if (listeners_stop()) /* a listener that was not known (uvicorn's parent only binds it): is its queue empty? */
        scan(census, now);
    else
        scan_connections(census, now, false); /* what an accept has made known since the last look */
}

static void take_group_events(const struct coordinator_events *events)
{
    for (unsigned i = 0; i < events->deaths.count; i++)
        conn_log_died(events->deaths.serial[i]);
    if (events->coordinator_lost)
        drain_report_open(); /* this process writes the report now */
}

bool loop_peer_event(uint64_t token)
{
    struct coordinator_events events;
    events.coordinator_lost = false;
    events.deaths.count = 0;
    bool died = peers_event(token, &events.deaths);
    take_group_events(&events);
    return died;
}

static void scan_group(struct census *census, uint32_t asked, nsec_t now)
{
    const struct coordinator_part part = {drain_state.drain.phase, drain_own_part_is_done(census), asked, now};
    struct coordinator_events events;
    events.coordinator_lost = false;
    events.deaths.count = 0;
    coordinator_step(&part, census, &events);
    take_group_events(&events);
}

/* Once the listeners are stopped and nothing seems to be outstanding, three more sources can still bring a
 * connection. They are closed one by one, in this sequence, and after each the census is taken again. */
static void take_census(struct census *census, nsec_t now)
{
    uint32_t asked = coordinator_asked(); /* before the census: its answer is about what is seen after the question */
    bool stopped = deferred.phase >= DRAIN_STOPPING_ACCEPT;
    scan(census, now);
    /* 1. The primary of node's cluster, which hands them over. */
    if (stopped && node_cluster_leave(drain_own_part_is_done(census), now))
        scan(census, now);
    /* 2. Shared listeners: a client in a queue that is left to other processes is theirs to serve. */
    if (stopped && drain_own_part_is_done(census) && listeners_detach())
        scan(census, now);
    /* 3. Calls that no hook sees: swept for once, and again for each question of the group. */
    if (stopped && drain_own_part_is_done(census) && (!loop.swept || asked != loop.swept_for))
        sweep(census, asked, now);
    if (census->queued > 0 || census->half_open > 0)
        loop.swept = false; /* an accept may be about to return a connection that no hook has seen */
    scan_group(census, asked, now);
}

/* ---- delivery --------------------------------------------------------------------------------------------------------- */

/* Many programs test a flag that their handler sets, and then block: a signal between the two is noticed only when the
 * wait ends, perhaps never (nginx without a master). The last response is just out, so the main thread is likely to be right
 * there: it gets a millisecond of its own processor time to reach its wait (while it gets no processor it can neither reach it
 * nor heed a signal), but no more than 100 ms in all. */
static void wait_until_main_blocks(void)
{
    const struct timespec nap = {0, 50 * 1000};
    const nsec_t moment = NSEC_PER_MSEC, bound = 100 * NSEC_PER_MSEC;
    const struct ksigaction *program = &dispositions.view.program[deferred.first_signal];
    if (program->handler == SIGNAL_VIEW_DEFAULT || program->handler == SIGNAL_VIEW_IGNORE || drain_state.tid <= 0)
        return;
    nsec_t begun = clock_now(), spent = proc_main_spent();
    while (!proc_main_sleeps() && proc_main_spent() - spent < moment && clock_now() - begun < bound)
        sys2(SYS_nanosleep, &nap, 0);
}

/* A sandbox may forbid one way or the other. Where it forbids all of them no signal can be delivered, and no client
 * would be served any more: the process ends. */
static void send_signal(int sig)
{
    if (sys2(SYS_kill, self_pid(), sig) == 0 || sys3(SYS_tgkill, self_pid(), self_pid(), sig) == 0 ||
        sys2(SYS_tkill, self_pid(), sig) == 0)
        return;
    log_warning("the signal cannot be sent: the process ends");
    sys1(SYS_exit_group, 128 + sig);
}

static enum report_end how_it_ended(void)
{
    if (exit_guard_waits())
        return REPORT_EXIT;
    if (drain_state.drain.again)
        return REPORT_SECOND_SIGNAL;
    return drain_state.drain.expired ? REPORT_DEADLINE : REPORT_DRAINED;
}

static void add_aborted(const struct report_aborted *aborted, void *unused)
{
    (void)unused;
    group_add_aborted(aborted);
}

/* The coordinator reports for all; a participant only says how its own part has ended. So does a worker that would have left
 * anyway (one process per connection), and has lost nothing. */
static void report(enum report_end end, nsec_t now)
{
    drain_report_count_aborted();
    conn_log_end();
    if (coordinator_is_other())
        drain_report_each_aborted(add_aborted, NULL);
    coordinator_end(end);
    if (group.coordinator == MEMBER_NONE && !(end == REPORT_EXIT && stats.counts.aborted == 0 && member_is_worker()))
        drain_report_end(now, end);
    else
        drain_report_trace();
}

static void deliver(void)
{
    enum report_end end = how_it_ended();
    report(end, clock_now());
    __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
    coordinator_finish();
    if (end == REPORT_EXIT) {
        exit_guard_let_go();
    } else if (!deferred.pending) {
        dispositions_give_back();
    } else if (drain_state.tid != -1) {
        wait_until_main_blocks();
        dispositions_interrupt(deferred.first_signal, deliver_which());
        send_signal(deferred.first_signal);
    } /* else this step's handler delivers: a signal from here is dropped where a tick is pending */
}

/* ---- the step ----------------------------------------------------------------------------------------------------------- */

/* The ports are free early: a successor can have them while this process still serves. */
static void close_listeners(const struct census *census, uint8_t phase, nsec_t now)
{
    if (census->may_close && phase >= DRAIN_EMPTYING && listeners_close(&drain_state.drain, census->closes_last, now))
        coordinator_closed();
}

bool loop_step(nsec_t *wake_at)
{
    nsec_t now = clock_now();
    struct census census;
    take_signals();
    bool first = loop.first;
    take_census(&census, now);
    if (first)
        drain_report_signal(); /* by then it is known what was in flight */
    uint8_t before = drain_state.drain.phase;
    struct drain_actions act = drain_step(&drain_state.drain, &census, &config, now);
    uint8_t after = drain_state.drain.phase;
    if (act.stop_accepting)
        listeners_stop();
    if (after != before)
        __atomic_store_n(&deferred.phase, after, __ATOMIC_SEQ_CST);
    if (!act.deliver) {
        coordinator_publish(after, &census);
        close_listeners(&census, after, now);
    }
    if (after >= DRAIN_EMPTYING && before < DRAIN_EMPTYING && !act.deliver)
        act.wake_at = now; /* to close the listeners */
    if (after >= DRAIN_EMPTYING && before < DRAIN_EMPTYING)
        drain_report_accept_stopped(now);
    drain_report_trace();
    if (act.deliver)
        deliver();
    *wake_at = act.wake_at;
    return !act.deliver;
}
