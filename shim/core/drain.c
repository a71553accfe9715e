/* drain.c: see drain.h. */
#include "core/drain.h"

static nsec_t earlier(nsec_t a, nsec_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static nsec_t later(nsec_t a, nsec_t b)
{
    return a > b ? a : b;
}

static nsec_t deadline(const struct drain *d, const struct options *o)
{
    return o->timeout == 0 ? 0 : d->signal_at + o->timeout;
}

void drain_signal(struct drain *d, nsec_t now)
{
    if (d->phase == DRAIN_SERVING) {
        d->phase = DRAIN_LAME_DUCK;
        d->signal_at = d->lame_duck_from = now;
    } else if (now - d->signal_at >= DRAIN_REPEAT) {
        d->again = true;
    }
}

/* When the lame duck ends, as far as is known now. */
static nsec_t duck_until(const struct drain *d, const struct census *c, const struct options *o)
{
    nsec_t end = d->lame_duck_from + o->delay;
    if (o->delay_quiet != 0)
        end = earlier(end, later(d->lame_duck_from, c->last_accept) + o->delay_quiet);
    return later(end, c->alone_until);
}

/* Is the lame duck over? *until: when, if that is known. */
static bool duck_is_over(const struct drain *d, const struct census *c, const struct options *o, nsec_t now,
                         nsec_t *until)
{
    *until = c->participant ? 0 : duck_until(d, c, o);
    return c->participant ? c->coordinator_phase >= DRAIN_STOPPING_ACCEPT : now >= *until;
}

/* A handshake under way may never complete (and with TCP_DEFER_ACCEPT waits for the client to speak): that is waited
 * for no longer than for an idle one. While queues move, the clients that were kept out of them still come in. */
static nsec_t handshakes_until(const struct drain *d, const struct census *c, const struct options *o)
{
    return later(d->stopping_from, c->queue_moved) + o->idle;
}

/* Accepting has stopped once the accept queues are empty, and no handshake is under way. */
static bool has_stopped_accepting(const struct drain *d, const struct census *c, const struct options *o, nsec_t now)
{
    if (c->queued > 0)
        return false;
    return c->half_open == 0 || now >= handshakes_until(d, c, o);
}

static bool nothing_outstanding(const struct census *c)
{
    return c->queued == 0 && c->in_flight == 0 && c->idle == 0 && c->ending == 0 && c->members == 0;
}

/* Is a response still to come? (Output that is not acknowledged yet is the kernel's to send, when the process is gone
 * too.) */
static bool any_request(const struct census *c)
{
    return c->queued + (c->in_flight - c->unsent) + c->members_open + c->aborted > 0;
}

static void deliver(struct drain *d, struct drain_actions *act, nsec_t now)
{
    d->phase = DRAIN_DONE;
    d->delivered_at = now;
    act->deliver = act->finish = true;
    act->wake_at = 0;
}

static void stop_accepting(struct drain *d, struct drain_actions *act, nsec_t now)
{
    d->stopping_from = now;
    act->stop_accepting = true;
    act->wake_at = now; /* the census was taken before the listeners stopped accepting: act, and be called again */
}

/* ---- the program's own shutdown, inside the drain ---- */

/* When does a program with a handler of its own get its signal, though requests are outstanding? 0: it does not. */
static nsec_t guard_from(const struct drain *d, const struct census *c, const struct options *o)
{
    if (c->participant || c->answer != PROGRAM_SHUTS_DOWN)
        return 0;
    if (o->deliver_first)
        return d->signal_at;
    if (o->timeout == 0 || o->shutdown_time == 0)
        return 0;
    return deadline(d, o) - o->shutdown_time;
}

static bool guard_is_due(const struct census *c, nsec_t from, nsec_t now)
{
    return c->participant ? c->coordinator_phase == DRAIN_GUARDING : from != 0 && now >= from;
}

static void begin_guard(struct drain *d, struct drain_actions *act, const struct options *o, nsec_t now)
{
    if (d->phase == DRAIN_LAME_DUCK && !o->deliver_first)
        stop_accepting(d, act, now);
    d->phase = DRAIN_GUARDING;
    d->delivered_at = now;
    act->deliver = true;
    act->wake_at = now;
}

/* A program whose requests are all done is not ended, however long its own shutdown takes. One that has dropped
 * requests (apache closes their connections, and waits for the threads that serve them) is, by the deadline. One that
 * got its signal first goes on accepting as long as it likes, so nothing but its exit says that no request will
 * come. */
static struct drain_actions guard(struct drain *d, const struct census *c, nsec_t end, nsec_t now)
{
    struct drain_actions act = {.wake_at = earlier(end, c->next_expiry)};
    bool late = end != 0 && now >= end;
    bool over = c->leaving ? c->in_flight + c->members == 0
                           : drain_stops_accepting(d) && nothing_outstanding(c) && c->aborted == 0;
    if (!over && !late)
        return act;
    d->expired = late;
    d->phase = DRAIN_DONE;
    return (struct drain_actions){.finish = true, .abort = late && !over && any_request(c)};
}

/* ---- the step ---- */

/* From phase to phase, until nothing is outstanding. */
static void advance(struct drain *d, const struct census *c, const struct options *o, struct drain_actions *act,
                    nsec_t now)
{
    if (d->phase == DRAIN_LAME_DUCK) {
        nsec_t until;
        if (!duck_is_over(d, c, o, now, &until)) {
            act->wake_at = earlier(act->wake_at, until);
            return;
        }
        d->phase = DRAIN_STOPPING_ACCEPT;
        stop_accepting(d, act, now);
        return;
    }
    if (d->phase == DRAIN_STOPPING_ACCEPT) {
        if (!has_stopped_accepting(d, c, o, now)) {
            if (c->queued == 0)
                act->wake_at = earlier(act->wake_at, handshakes_until(d, c, o));
            return;
        }
        d->phase = DRAIN_EMPTYING;
        d->accept_stopped_at = now;
        if (c->members > 0) /* they are asked only now whether they are done */
            act->wake_at = now;
    }
    if (!nothing_outstanding(c))
        d->phase = DRAIN_EMPTYING;
    else if (c->participant)
        d->phase = DRAIN_DRAINED;
    else
        deliver(d, act, now);
}

struct drain_actions drain_step(struct drain *d, const struct census *c, const struct options *o, nsec_t now)
{
    struct drain_actions act = {.wake_at = 0};
    if (d->phase == DRAIN_SERVING || d->phase == DRAIN_DONE)
        return act;

    nsec_t end = deadline(d, o), shutdown_from = guard_from(d, c, o);
    if (d->phase == DRAIN_GUARDING)
        return guard(d, c, end, now);
    d->again = d->again || c->coordinator_again;
    if (!d->again && guard_is_due(c, shutdown_from, now)) {
        begin_guard(d, &act, o, now);
        return act;
    }
    if (d->again || (end != 0 && now >= end)) {
        d->expired = !d->again;
        deliver(d, &act, now);
        act.abort = d->expired && c->answer != PROGRAM_DIES && any_request(c);
        return act;
    }
    if ((c->participant && c->coordinator_phase == DRAIN_DONE) ||
        (c->leaving && c->in_flight == 0 && c->members == 0)) {
        deliver(d, &act, now);
        return act;
    }
    act.wake_at = earlier(earlier(end, shutdown_from), c->next_expiry);
    advance(d, c, o, &act, now);
    return act;
}

bool drain_may_close_idle(const struct drain *d)
{
    return d->phase < DRAIN_DONE && drain_stops_accepting(d);
}
