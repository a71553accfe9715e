/* fuzz_drain.c: a drain in a world that does anything at any time.
 *
 * Input: 16 bytes of options, then 12 bytes for each step: how much later it is, and the census. Whatever the census
 * says, a drain delivers once, not after its deadline, not while something is outstanding without a reason, it goes
 * only forward, and it asks to be woken in time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/drain.h"

#define HOLDS(x) ((x) ? (void)0 : (fprintf(stderr, "does not hold: %s\n", #x), abort()))

enum { OPTION_BYTES = 16, STEP_BYTES = 13 };

static nsec_t duration(const uint8_t *byte)
{
    return (nsec_t)byte[0] * byte[1] * 10 * NSEC_PER_MSEC;
}

static void choose(struct options *o, const uint8_t *data)
{
    options_default(o);
    o->timeout = duration(data);
    o->delay = duration(data + 2);
    o->delay_quiet = duration(data + 4);
    o->idle = duration(data + 6) + 1;
    o->shutdown_time = o->timeout / 5;
    o->deliver_first = data[8] & 1;
}

static struct census take(const uint8_t *data, nsec_t now, const struct drain *d)
{
    struct census c = {
        .queued = data[2] & 3,
        .half_open = (int)(data[2] >> 2 & 3) - 1,
        .in_flight = data[3] & 3,
        .idle = data[3] >> 2 & 3,
        .ending = data[3] >> 4 & 3,
        .leaving = data[4] == 1,
        .last_accept = data[5] & 1 ? now - data[5] * NSEC_PER_MSEC : 0,
        .next_expiry = data[6] & 1 ? now + data[6] * NSEC_PER_MSEC : 0,
        .members = data[7] & 1,
        .members_open = data[7] >> 2 & 1,
        .answer = data[12] % (PROGRAM_SHUTS_DOWN + 1),
        .aborted = data[12] >> 7,
        .participant = data[7] & 2,
        .coordinator_phase = data[8] % (DRAIN_DONE + 1),
        .coordinator_again = data[9] == 1,
        .alone_until = data[10] & 1 ? d->signal_at + data[10] * NSEC_PER_MSEC : 0,
    };
    return c;
}

static bool nothing_outstanding(const struct census *c)
{
    return c->queued + c->in_flight + c->idle + c->ending + c->members == 0;
}

/* The step from `before` at `now`, with this census: was it right? */
static void judge(const struct drain *before, const struct drain *after, struct drain_actions act,
                  const struct census *c, const struct options *o, nsec_t now)
{
    nsec_t end = o->timeout ? after->signal_at + o->timeout : 0;
    bool forward = after->phase >= before->phase;
    HOLDS(forward || (before->phase == DRAIN_DRAINED && after->phase == DRAIN_EMPTYING));
    if (before->phase == DRAIN_SERVING || before->phase == DRAIN_DONE) {
        HOLDS(!act.stop_accepting && !act.deliver && act.wake_at == 0 && after->phase == before->phase);
        return;
    }
    HOLDS(act.finish == (after->phase == DRAIN_DONE));
    HOLDS(act.deliver == (before->phase < DRAIN_GUARDING && after->phase >= DRAIN_GUARDING));
    HOLDS(act.stop_accepting == (drain_stops_accepting(after) && !drain_stops_accepting(before)));
    HOLDS(!act.abort ||
          (after->expired && act.finish && now >= end && c->queued + c->in_flight + c->members_open + c->aborted > 0));
    if (before->phase == DRAIN_GUARDING) {
        HOLDS(act.finish || end == 0 || (now < end && act.wake_at != 0 && act.wake_at <= end));
        HOLDS(!act.finish || (end != 0 && now >= end) || c->in_flight + c->members == 0);
        return;
    }
    if (after->phase == DRAIN_GUARDING) {
        HOLDS(c->participant ? c->coordinator_phase == DRAIN_GUARDING : c->answer != PROGRAM_DIES);
        HOLDS(act.wake_at == now && after->delivered_at == now);
        return;
    }
    if (!act.deliver) {
        HOLDS(end == 0 || (now < end && act.wake_at != 0 && act.wake_at <= end));
        HOLDS(c->next_expiry == 0 || act.wake_at <= c->next_expiry);
        HOLDS(!nothing_outstanding(c) || c->participant || before->phase < DRAIN_STOPPING_ACCEPT || c->half_open != 0);
        return;
    }
    HOLDS(after->delivered_at == now);
    if (after->again || after->expired || c->leaving)
        return;
    HOLDS(c->participant ? c->coordinator_phase == DRAIN_DONE
                         : nothing_outstanding(c) && before->phase >= DRAIN_STOPPING_ACCEPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct drain d;
    struct options o;
    nsec_t now = 1000 * NSEC_PER_SEC;
    if (size < OPTION_BYTES)
        return 0;
    memset(&d, 0, sizeof d);
    choose(&o, data);
    for (size_t at = OPTION_BYTES; at + STEP_BYTES <= size; at += STEP_BYTES) {
        const uint8_t *step = data + at;
        now += duration(step);
        if (step[11] & 1)
            drain_signal(&d, now);
        struct drain before = d;
        struct census c = take(step, now, &d);
        struct drain_actions act = drain_step(&d, &c, &o, now);
        judge(&before, &d, act, &c, &o, now);
    }
    return 0;
}
