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
#include "group/member.h"
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
    bool told;             /* what was in flight then is reported */
    bool swept;            /* the descriptors were searched for connections that are not tracked ... */
    uint32_t swept_for;    /* ... for this question of the group */
} loop;

void loop_begin(void)
{
    memset(&loop, 0, sizeof loop);
    memset(&drain_state.drain, 0, sizeof drain_state.drain);
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

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

/* ---- the census -------------------------------------------------------------------------------------------------- */

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

/* What will the program do with its signal? Without a thread of its own the drain could not guard a shutdown. Go's
 * runtime has a handler for every signal, which ends the process where the program has asked for nothing else
 * (os/signal): with LASTCALL_DELIVER=first somebody has said that it has. */
static enum program_answer program_answer(void)
{
    if (drain_state.tid <= 0)
        return PROGRAM_DIES;
    if (!deferred.pending) /* a worker: what its master does to it is not known */
        return PROGRAM_MAY_DIE;
    enum program_answer answer = dispositions_answer(deliver_for_shutdown());
    bool doubtful = self_is_go() && !config.deliver_first;
    return answer == PROGRAM_SHUTS_DOWN && doubtful ? PROGRAM_MAY_DIE : answer;
}

/* Is nothing outstanding in the other processes of the group either? (A coordinator that does not accept leaves its
 * internal listeners as they are: its workers, which do, stop them.) */
static bool is_asked_last(uint32_t asked)
{
    if (coordinator_is_other())
        return asked != 0;
    return !member_has_workers() || (coordinator_has_asked() && (group.flags & MEMBER_ACCEPTS));
}

/* Once the listeners are stopped and nothing seems to be outstanding, four more sources can still bring a
 * connection. They are closed one by one, in this sequence, and after each the census is taken again. */
static void take_census(struct census *census, nsec_t now)
{
    uint32_t asked = coordinator_asked(); /* before the census: its answer is about what is seen after the question */
    bool stopped = drain_stops_accepting(&drain_state.drain);
    scan(census, now);
    /* 1. The primary of node's cluster, which hands them over. */
    if (stopped && node_cluster_leave(drain_own_part_is_done(census), now))
        scan(census, now);
    /* 2. Shared listeners: a client in a queue that is left to other processes is theirs to serve. */
    if (stopped && drain_own_part_is_done(census) && listeners_detach())
        scan(census, now);
    /* 3. Other processes of the group, as long as they serve: they may be clients of this one. */
    if (stopped && drain_own_part_is_done(census) && is_asked_last(asked) && listeners_stop_internal())
        scan(census, now);
    /* 4. Calls that no hook sees: swept for once, and again for each question of the group. */
    if (stopped && drain_own_part_is_done(census) && (!loop.swept || asked != loop.swept_for))
        sweep(census, asked, now);
    if (census->queued > 0 || census->half_open > 0)
        loop.swept = false; /* an accept may be about to return a connection that no hook has seen */
    census->aborted = LOAD(stats.counts.aborted);
    scan_group(census, asked, now);
    census->answer = (uint8_t)program_answer();
}

/* ---- delivery ---------------------------------------------------------------------------------------------------- */

/* Many programs test a flag that their handler sets, and then block: a signal between the two is noticed only when the
 * wait ends, perhaps never (nginx without a master). The last response is just out, so the main thread is likely to be
 * right there: it gets a millisecond of its own processor time to reach its wait (while it gets no processor it can
 * neither reach it nor heed a signal), but no more than 100 ms in all. */
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

/* A program that exits when it was given its signal has done what it should. */
static enum report_end how_it_ended(bool guarded)
{
    if (exit_guard_waits() && !(guarded && (drain_state.drain.expired || stats.counts.aborted == 0)))
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

/* The coordinator reports for all; a participant only says how its own part has ended. So does a worker that would have
 * left anyway (one process per connection), and has lost nothing. */
static enum report_end report(bool guarded, nsec_t now)
{
    drain_report_count_aborted();
    enum report_end end = how_it_ended(guarded);
    conn_log_end();
    if (coordinator_is_other())
        drain_report_each_aborted(add_aborted, NULL);
    coordinator_end(end);
    if (group.coordinator == MEMBER_NONE && !(end == REPORT_EXIT && stats.counts.aborted == 0 && member_is_worker()))
        drain_report_end(now, end);
    else
        drain_report_trace();
    return end;
}

static void deliver(void)
{
    scan_end_reading();
    if (!deferred.pending) {
        dispositions_give_back();
    } else if (drain_state.tid != -1) {
        wait_until_main_blocks();
        dispositions_interrupt(deferred.first_signal, deliver_which());
        send_signal(deferred.first_signal);
    } /* else this step's handler delivers: a signal from here is dropped where a tick is pending */
}

/* The deadline is over, and requests are outstanding. A program that has handled its signal ends by itself when it sees
 * its connections end; one that does not is ended, with its workers, which nobody would end any more. */
static void end_process(void)
{
    const struct timespec moment = {0, 150 * 1000 * 1000};
    scan_abort(clock_now());
    sys2(SYS_nanosleep, &moment, 0);
    coordinator_end_members();
    sys1(SYS_exit_group, 128 + deferred.first_signal);
}

/* The order counts: the report before the program can end; the members before a signal of the program's can reach
 * them. */
static void deliver_and_finish(const struct drain_actions *act)
{
    enum report_end end = REPORT_DRAINED;
    if (act->finish)
        end = report(!act->deliver, clock_now());
    __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
    if (act->finish)
        coordinator_finish();
    if (act->deliver && end != REPORT_EXIT)
        deliver();
    if (act->finish)
        exit_guard_let_go();
    if (act->abort)
        end_process();
}

/* As soon as all processes of the group have counted what was in flight. */
static void tell_begun(bool is_last_moment)
{
    uint64_t in_flight = stats.counts.in_flight;
    bool all = coordinator_add_in_flight(&in_flight);
    if (loop.told || (!all && !is_last_moment))
        return;
    loop.told = true;
    drain_report_begun(in_flight);
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

/* The ports are free early: a successor can have them while this process still serves. */
static void close_listeners(const struct census *census, uint8_t phase, nsec_t now)
{
    bool stopped = phase == DRAIN_EMPTYING || phase == DRAIN_DRAINED;
    if (census->may_close && stopped && listeners_close(&drain_state.drain, census->closes_last, now))
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
        drain_report_signal(census.answer == PROGRAM_SHUTS_DOWN);
    uint8_t before = drain_state.drain.phase;
    struct drain_actions act = drain_step(&drain_state.drain, &census, &config, now);
    uint8_t after = drain_state.drain.phase;
    if (act.stop_accepting)
        listeners_stop();
    tell_begun(after >= DRAIN_EMPTYING);
    if (after != before)
        __atomic_store_n(&deferred.phase, after, __ATOMIC_SEQ_CST);
    if (!act.finish) {
        coordinator_publish(after, &census);
        close_listeners(&census, after, now);
    }
    if (after == DRAIN_EMPTYING && before < DRAIN_EMPTYING)
        act.wake_at = now; /* to close the listeners */
    if (after >= DRAIN_EMPTYING && before < DRAIN_EMPTYING && drain_stops_accepting(&drain_state.drain))
        drain_report_accept_stopped(now);
    drain_report_trace();
    if (act.deliver || act.finish)
        deliver_and_finish(&act);
    *wake_at = act.wake_at;
    return !act.finish;
}
