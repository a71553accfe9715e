/* test_drain.c: the life of a drain, one question after another, with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/drain.h"

#define MS NSEC_PER_MSEC

/* Times are milliseconds after the signal, which comes at T0 on the machine's clock. */
enum { T0 = 5000000 };
static struct drain d;
static struct options o;
static struct census c;

static nsec_t at(int64_t ms)
{
    return (nsec_t)(T0 + ms) * MS;
}

static int begin(void **unused UNUSED)
{
    memset(&d, 0, sizeof d);
    memset(&c, 0, sizeof c);
    options_default(&o);
    return 0;
}

/* One step; checks phase and acts. wake: ms after the signal, -1 none. */
#define STEP(ms, phase_, hide_, release_, wake)                  \
    do {                                                         \
        struct drain_actions a = drain_step(&d, &c, &o, at(ms)); \
        assert_int_equal(d.phase, phase_);                       \
        assert_int_equal(a.stop_accepting, hide_);               \
        assert_int_equal(a.deliver, release_);                   \
        assert_int_equal(a.wake_at, (wake) < 0 ? 0 : at(wake));  \
    } while (0)

enum { NO, YES };

static void nothing_without_a_signal(void **unused UNUSED)
{
    c.in_flight = 3;
    STEP(0, DRAIN_SERVING, NO, NO, -1);
    STEP(1000000, DRAIN_SERVING, NO, NO, -1);
    assert_false(drain_may_close_idle(&d));
}

static void idle_server_is_released_at_once(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0); /* the census is older than the stop of accepting: ask again, at once */
    STEP(0, DRAIN_DONE, NO, YES, -1);
    STEP(1, DRAIN_DONE, NO, NO, -1); /* and only once */
    assert_false(d.expired || d.again);
    assert_int_equal(d.accept_stopped_at, at(0));
    assert_int_equal(d.delivered_at, at(0));
}

static void hides_once(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.queued = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    for (int ms = 0; ms < 20; ms++)
        STEP(ms, DRAIN_STOPPING_ACCEPT, NO, NO, 25000);
}

static void lame_duck_for_the_delay(void **unused UNUSED)
{
    o.delay = 300 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 300);
    assert_false(drain_may_close_idle(&d));
    STEP(299, DRAIN_LAME_DUCK, NO, NO, 300);
    STEP(300, DRAIN_STOPPING_ACCEPT, YES, NO, 300);
    assert_true(drain_may_close_idle(&d));
    STEP(300, DRAIN_DONE, NO, YES, -1);
}

static void lame_duck_ends_when_quiet(void **unused UNUSED)
{
    o.delay = 1000 * MS;
    o.delay_quiet = 200 * MS;
    drain_signal(&d, at(0));
    c.last_accept = at(-5000); /* long ago: counted from the signal */
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 200);
    c.last_accept = at(150);
    STEP(200, DRAIN_LAME_DUCK, NO, NO, 350);
    c.last_accept = at(340);
    STEP(350, DRAIN_LAME_DUCK, NO, NO, 540);
    STEP(540, DRAIN_STOPPING_ACCEPT, YES, NO, 540);
}

static void quiet_never_lengthens_the_delay(void **unused UNUSED)
{
    o.delay = 500 * MS;
    o.delay_quiet = 200 * MS;
    drain_signal(&d, at(0));
    for (int ms = 0; ms < 500; ms += 50) {
        c.last_accept = at(ms);
        STEP(ms, DRAIN_LAME_DUCK, NO, NO, ms + 200 < 500 ? ms + 200 : 500);
    }
    STEP(500, DRAIN_STOPPING_ACCEPT, YES, NO, 500);
}

static void quiet_without_delay_is_nothing(void **unused UNUSED)
{
    o.delay_quiet = 200 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
}

static void lame_duck_waits_for_no_connection(void **unused UNUSED)
{
    o.delay = 300 * MS;
    o.idle = 100 * MS;
    drain_signal(&d, at(0));
    c.next_expiry = at(100); /* an idle window ends: nothing is done about it while lame duck */
    c.idle = 1;
    STEP(100, DRAIN_LAME_DUCK, NO, NO, 100);
    c.next_expiry = 0;
    STEP(101, DRAIN_LAME_DUCK, NO, NO, 300);
}

static void queue_is_served_however_long(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.queued = 20;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(10000, DRAIN_STOPPING_ACCEPT, NO, NO, 25000); /* no window of time for a queue: only the deadline */
    c.queued = 0;
    c.in_flight = 1;
    STEP(10001, DRAIN_EMPTYING, NO, NO, 25000);
    assert_int_equal(d.accept_stopped_at, at(10001));
    c.in_flight = 0;
    STEP(10002, DRAIN_DONE, NO, YES, -1);
}

static void handshakes_are_waited_for_like_the_idle(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    c.half_open = 2;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, 400);
    STEP(399, DRAIN_STOPPING_ACCEPT, NO, NO, 400);
    c.half_open = 0;
    STEP(399, DRAIN_DONE, NO, YES, -1);
}

static void handshakes_that_never_complete(void **unused UNUSED)
{
    o.idle = 400 * MS;
    o.delay = 100 * MS;
    drain_signal(&d, at(0));
    STEP(100, DRAIN_STOPPING_ACCEPT, YES, NO, 100);
    c.half_open = 1;
    STEP(101, DRAIN_STOPPING_ACCEPT, NO, NO, 500); /* counted from the stop of accepting, not from the signal */
    STEP(499, DRAIN_STOPPING_ACCEPT, NO, NO, 500);
    STEP(500, DRAIN_DONE, NO, YES, -1);
}

/* The queue had overflowed: whoever was kept out comes in, one after the other. */
static void handshakes_while_the_queue_moves(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    c.half_open = -1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    c.queue_moved = at(300);
    c.queued = 1;
    STEP(300, DRAIN_STOPPING_ACCEPT, NO, NO, 25000);
    c.queued = 0;
    STEP(301, DRAIN_STOPPING_ACCEPT, NO, NO, 700);
    c.queue_moved = at(650);
    STEP(650, DRAIN_STOPPING_ACCEPT, NO, NO, 1050);
    STEP(1049, DRAIN_STOPPING_ACCEPT, NO, NO, 1050);
    STEP(1050, DRAIN_DONE, NO, YES, -1);
}

static void handshakes_that_nobody_can_count(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    c.half_open = -1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, 400);
    STEP(400, DRAIN_DONE, NO, YES, -1);
}

static void everything_outstanding_is_waited_for(void **unused UNUSED)
{
    unsigned *const left[] = {&c.in_flight, &c.idle, &c.ending};
    for (unsigned i = 0; i < COUNT(left); i++) {
        begin(NULL);
        drain_signal(&d, at(0));
        *left[i] = 1;
        STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
        STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
        STEP(24999, DRAIN_EMPTYING, NO, NO, 25000);
        *left[i] = 0;
        STEP(24999, DRAIN_DONE, NO, YES, -1);
    }
}

static void late_comers_after_the_stop(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
    c.in_flight = 0;
    c.queued = 1; /* a handshake that was under way after all */
    STEP(10, DRAIN_EMPTYING, NO, NO, 25000);
    c.queued = 0;
    STEP(11, DRAIN_DONE, NO, YES, -1);
}

static void wakes_for_the_first_idle_window(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    c.idle = 2;
    c.next_expiry = at(1000);
    STEP(0, DRAIN_EMPTYING, NO, NO, 1000);
    c.next_expiry = at(30000); /* behind the deadline */
    STEP(1, DRAIN_EMPTYING, NO, NO, 25000);
}

static void deadline_from_the_signal(void **unused UNUSED)
{
    o.timeout = 700 * MS;
    drain_signal(&d, at(0));
    c.in_flight = c.queued = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(699, DRAIN_STOPPING_ACCEPT, NO, NO, 700);
    STEP(700, DRAIN_DONE, NO, YES, -1);
    assert_true(d.expired);
    assert_int_equal(d.accept_stopped_at, 0);
}

static void deadline_ends_the_lame_duck_too(void **unused UNUSED)
{
    o.timeout = 700 * MS;
    o.delay = 2000 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 700);
    STEP(700, DRAIN_DONE, NO, YES, -1);
    assert_true(d.expired);
}

static void no_deadline_is_for_ever(void **unused UNUSED)
{
    o.timeout = 0;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, -1);
    STEP((int64_t)1000 * 3600 * 24 * 365, DRAIN_EMPTYING, NO, NO, -1);
    c.in_flight = 0;
    STEP((int64_t)1000 * 3600 * 24 * 366, DRAIN_DONE, NO, YES, -1);
}

static void second_signal_ends_it(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    drain_signal(&d, at(1000));
    STEP(1000, DRAIN_DONE, NO, YES, -1);
    assert_true(d.again);
    assert_false(d.expired);
}

static void second_signal_ends_the_lame_duck(void **unused UNUSED)
{
    o.delay = 5000 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 5000);
    drain_signal(&d, at(2000));
    STEP(2000, DRAIN_DONE, NO, YES, -1);
}

static void repeat_is_the_same_signal(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    drain_signal(&d, at(0));
    drain_signal(&d, at(999));
    STEP(999, DRAIN_EMPTYING, NO, NO, 25000);
    assert_false(d.again);
    assert_int_equal(d.signal_at, at(0));
}

static void signal_after_delivery_is_not_ours(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_DONE, NO, YES, -1);
    drain_signal(&d, at(2000));
    STEP(2000, DRAIN_DONE, NO, NO, -1);
}

/* ---- a group ---------------------------------------------------------------------------------------------- */

static void coordinator_waits_for_its_members(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.members = 2;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 0); /* only now are they asked: look again at once */
    assert_int_equal(d.accept_stopped_at, at(0));
    STEP(1, DRAIN_EMPTYING, NO, NO, 25000);
    c.members = 1;
    STEP(2, DRAIN_EMPTYING, NO, NO, 25000);
    c.members = 0;
    c.in_flight = 1; /* and for what is its own */
    STEP(3, DRAIN_EMPTYING, NO, NO, 25000);
    c.in_flight = 0;
    STEP(4, DRAIN_DONE, NO, YES, -1);
}

static void deadline_ends_waiting_for_members(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.members = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 0);
    STEP(24999, DRAIN_EMPTYING, NO, NO, 25000);
    STEP(25000, DRAIN_DONE, NO, YES, -1);
    assert_true(d.expired);
}

static void leader_wakes_for_a_member_that_gets_too_old(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.members = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 0);
    c.next_expiry = at(400);
    STEP(1, DRAIN_EMPTYING, NO, NO, 400);
}

static void coordinated_by(enum drain_phase phase)
{
    c.participant = true;
    c.coordinator_phase = (uint8_t)phase;
}

/* The coordinator's delay is what counts, not ours. */
static void led_ducks_as_long_as_its_leader(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_SERVING); /* its command came before its own first step */
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 25000);
    coordinated_by(DRAIN_LAME_DUCK);
    STEP(500, DRAIN_LAME_DUCK, NO, NO, 25000);
    assert_false(drain_may_close_idle(&d));
    coordinated_by(DRAIN_STOPPING_ACCEPT);
    STEP(600, DRAIN_STOPPING_ACCEPT, YES, NO, 600);
    assert_true(drain_may_close_idle(&d));
}

static void led_has_no_delay_of_its_own(void **unused UNUSED)
{
    o.delay = 2000 * MS;
    o.delay_quiet = 1000 * MS;
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_LAME_DUCK);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 25000);
    STEP(2001, DRAIN_LAME_DUCK, NO, NO, 25000);
    coordinated_by(DRAIN_EMPTYING);
    STEP(2002, DRAIN_STOPPING_ACCEPT, YES, NO, 2002);
}

static void led_catches_up_with_its_leader(void **unused UNUSED)
{
    for (int phase = DRAIN_STOPPING_ACCEPT; phase <= DRAIN_DRAINED; phase++) {
        begin(NULL);
        drain_signal(&d, at(0));
        coordinated_by((enum drain_phase)phase);
        STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0); /* one step each: its own listeners are to be closed too */
        STEP(0, DRAIN_DRAINED, NO, NO, 25000);
    }
}

static void led_is_drained_and_stays(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_STOPPING_ACCEPT);
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
    c.in_flight = 0;
    coordinated_by(DRAIN_EMPTYING);
    STEP(10, DRAIN_DRAINED, NO, NO, 25000);
    assert_true(drain_may_close_idle(&d));
    STEP(20, DRAIN_DRAINED, NO, NO, 25000);
    coordinated_by(DRAIN_DONE);
    STEP(30, DRAIN_DONE, NO, YES, -1);
    assert_false(d.expired || d.again);
    assert_int_equal(d.delivered_at, at(30));
}

static void drained_and_back(void **unused UNUSED)
{
    unsigned *const left[] = {&c.queued, &c.in_flight, &c.idle, &c.ending, &c.members};
    for (unsigned i = 0; i < COUNT(left); i++) {
        begin(NULL);
        drain_signal(&d, at(0));
        coordinated_by(DRAIN_EMPTYING);
        STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
        STEP(0, DRAIN_DRAINED, NO, NO, 25000);
        *left[i] = 1; /* a connection that another process has passed on */
        STEP(1, DRAIN_EMPTYING, NO, NO, 25000);
        assert_int_equal(d.accept_stopped_at, at(0));
        *left[i] = 0;
        STEP(2, DRAIN_DRAINED, NO, NO, 25000);
    }
}

/* The coordinator delivered in the middle of anything: so does this participant. */
static void free_in_any_phase(void **unused UNUSED)
{
    for (int phase = DRAIN_LAME_DUCK; phase <= DRAIN_DRAINED; phase++) {
        begin(NULL);
        drain_signal(&d, at(0));
        d.phase = (uint8_t)phase;
        c.in_flight = c.queued = 1;
        coordinated_by(DRAIN_DONE);
        STEP(1, DRAIN_DONE, NO, YES, -1);
        assert_false(d.expired || d.again);
        STEP(2, DRAIN_DONE, NO, NO, -1);
    }
}

static void leaders_second_signal_is_ours(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_EMPTYING);
    c.in_flight = 1;
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
    c.coordinator_again = true;
    STEP(5, DRAIN_DONE, NO, YES, -1); /* DRAIN_REPEAT was the coordinator's to look at */
    assert_true(d.again);
    assert_false(d.expired);
}

static void deadline_of_a_participant(void **unused UNUSED)
{
    for (int phase = DRAIN_SERVING; phase <= DRAIN_DRAINED; phase++) {
        begin(NULL);
        o.timeout = 700 * MS;
        drain_signal(&d, at(0));
        coordinated_by((enum drain_phase)phase);
        STEP(0, phase < DRAIN_STOPPING_ACCEPT ? DRAIN_LAME_DUCK : DRAIN_STOPPING_ACCEPT, phase >= DRAIN_STOPPING_ACCEPT,
             NO, phase < DRAIN_STOPPING_ACCEPT ? 700 : 0);
        STEP(699, phase < DRAIN_STOPPING_ACCEPT ? DRAIN_LAME_DUCK : DRAIN_DRAINED, NO, NO, 700);
        STEP(700, DRAIN_DONE, NO, YES, -1); /* even drained: its coordinator may hang */
        assert_true(d.expired);
    }
}

/* Without a deadline nothing but the coordinator ends it. */
static void led_without_deadline(void **unused UNUSED)
{
    o.timeout = 0;
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_LAME_DUCK);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, -1);
    coordinated_by(DRAIN_STOPPING_ACCEPT);
    STEP(1, DRAIN_STOPPING_ACCEPT, YES, NO, 1);
    STEP(1, DRAIN_DRAINED, NO, NO, -1);
    STEP((int64_t)1000 * 3600, DRAIN_DRAINED, NO, NO, -1);
}

static void leader_gone_and_nothing_owed(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_EMPTYING);
    STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
    STEP(0, DRAIN_DRAINED, NO, NO, 25000);
    c.participant = false;
    STEP(9, DRAIN_DONE, NO, YES, -1);
    assert_false(d.expired || d.again);
}

/* Then it coordinates itself, and waits for no other: it is not drained as long as anything is outstanding. */
static void leader_gone_and_something_owed(void **unused UNUSED)
{
    unsigned *const left[] = {&c.in_flight, &c.members};
    for (unsigned i = 0; i < COUNT(left); i++) {
        begin(NULL);
        drain_signal(&d, at(0));
        coordinated_by(DRAIN_EMPTYING);
        STEP(0, DRAIN_STOPPING_ACCEPT, YES, NO, 0);
        STEP(0, DRAIN_DRAINED, NO, NO, 25000);
        c.participant = false;
        *left[i] = 1;
        STEP(9, DRAIN_EMPTYING, NO, NO, 25000);
        *left[i] = 0;
        STEP(10, DRAIN_DONE, NO, YES, -1);
    }
}

static void leader_gone_in_the_duck(void **unused UNUSED)
{
    o.delay = 300 * MS;
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_LAME_DUCK);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 25000);
    c.participant = false;
    STEP(100, DRAIN_LAME_DUCK, NO, NO, 300); /* our own delay, from our own signal */
    STEP(300, DRAIN_STOPPING_ACCEPT, YES, NO, 300);
    STEP(300, DRAIN_DONE, NO, YES, -1);
}

static void participant_waits_for_its_own_queue(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_EMPTYING);
    STEP(50, DRAIN_STOPPING_ACCEPT, YES, NO, 50);
    c.queued = 1;
    STEP(60, DRAIN_STOPPING_ACCEPT, NO, NO, 25000);
    c.queued = 0;
    c.half_open = 1;
    STEP(70, DRAIN_STOPPING_ACCEPT, NO, NO, 450);
    STEP(450, DRAIN_DRAINED, NO, NO, 25000);
}

static void lone_member_goes_on_for_a_moment(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.alone_until = at(100);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 100);
    STEP(99, DRAIN_LAME_DUCK, NO, NO, 100);
    STEP(100, DRAIN_STOPPING_ACCEPT, YES, NO, 100);
    STEP(100, DRAIN_DONE, NO, YES, -1);
}

static void lone_and_delay_are_not_added(void **unused UNUSED)
{
    o.delay = 300 * MS;
    drain_signal(&d, at(0));
    c.alone_until = at(100);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 300);
    o.delay_quiet = 50 * MS; /* quiet does not shorten it */
    STEP(60, DRAIN_LAME_DUCK, NO, NO, 100);
    STEP(100, DRAIN_STOPPING_ACCEPT, YES, NO, 100);
}

static void lone_until_the_others_are_told_too(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.alone_until = at(100);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 100);
    coordinated_by(DRAIN_STOPPING_ACCEPT);
    STEP(20, DRAIN_STOPPING_ACCEPT, YES, NO, 20);
}

static void deadline_before_the_end_of_lone(void **unused UNUSED)
{
    o.timeout = 40 * MS;
    drain_signal(&d, at(0));
    c.alone_until = at(100);
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 40);
    STEP(40, DRAIN_DONE, NO, YES, -1);
    assert_true(d.expired);
}

/* A program in exit() will accept nothing, answer nothing new, and cannot be held but for what is in flight. */
static void leaving_waits_for_what_is_in_flight(void **unused UNUSED)
{
    unsigned *const waited[] = {&c.in_flight, &c.members};
    for (unsigned i = 0; i < COUNT(waited); i++)
        for (int phase = DRAIN_LAME_DUCK; phase <= DRAIN_EMPTYING; phase++) {
            begin(NULL);
            o.delay = 1000 * MS;
            drain_signal(&d, at(0));
            d.phase = (uint8_t)phase;
            c.leaving = true;
            c.queued = c.idle = c.ending = 3;
            *waited[i] = 1;
            STEP(1, phase, NO, NO, phase == DRAIN_LAME_DUCK ? 1000 : 25000);
            *waited[i] = 0;
            STEP(2, DRAIN_DONE, NO, YES, -1);
            assert_false(d.expired || d.again);
        }
}

static void leaving_waits_for_no_leader(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    coordinated_by(DRAIN_LAME_DUCK);
    c.leaving = true;
    c.in_flight = 1;
    STEP(0, DRAIN_LAME_DUCK, NO, NO, 25000);
    c.in_flight = 0;
    STEP(1, DRAIN_DONE, NO, YES, -1);
}

/* ---- a program with a handler of its own ---- */

#define GUARD_STEP(ms, phase_, deliver_, finish_, abort_, wake)  \
    do {                                                         \
        struct drain_actions a = drain_step(&d, &c, &o, at(ms)); \
        assert_int_equal(d.phase, phase_);                       \
        assert_int_equal(a.deliver, deliver_);                   \
        assert_int_equal(a.finish, finish_);                     \
        assert_int_equal(a.abort, abort_);                       \
        assert_int_equal(a.wake_at, (wake) < 0 ? 0 : at(wake));  \
    } while (0)

/* In flight until the shutdown time begins: the default deadline is 25 s, its fifth 5 s. */
static void until_the_shutdown_time(void)
{
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
    GUARD_STEP(0, DRAIN_EMPTYING, NO, NO, NO, 20000);
    GUARD_STEP(19999, DRAIN_EMPTYING, NO, NO, NO, 20000);
    GUARD_STEP(20000, DRAIN_GUARDING, YES, NO, NO, 20000);
}

static void own_shutdown_runs_inside_the_deadline(void **unused UNUSED)
{
    until_the_shutdown_time();
    GUARD_STEP(20001, DRAIN_GUARDING, NO, NO, NO, 25000);
    GUARD_STEP(25000, DRAIN_DONE, NO, YES, YES, -1);
    assert_true(d.expired);
}

/* Output that only has to be acknowledged is the kernel's to send: the program is in exit(), and ends with its own
 * status. */
static void an_exit_that_waits_for_an_acknowledgement_is_not_ended(void **unused UNUSED)
{
    until_the_shutdown_time();
    c.leaving = true;
    c.in_flight = c.unsent = 1;
    GUARD_STEP(20001, DRAIN_GUARDING, NO, NO, NO, 25000);
    GUARD_STEP(25000, DRAIN_DONE, NO, YES, NO, -1);
}

static void own_shutdown_that_ends_in_time(void **unused UNUSED)
{
    until_the_shutdown_time();
    c.in_flight = 0;
    GUARD_STEP(20500, DRAIN_DONE, NO, YES, NO, -1);
    assert_false(d.expired);
}

static void dropped_requests_end_the_program_at_the_deadline(void **unused UNUSED)
{
    until_the_shutdown_time();
    c.in_flight = 0;
    c.aborted = 1;
    GUARD_STEP(20500, DRAIN_GUARDING, NO, NO, NO, 25000);
    GUARD_STEP(25000, DRAIN_DONE, NO, YES, YES, -1);
}

static void output_under_way_ends_no_program(void **unused UNUSED)
{
    until_the_shutdown_time();
    c.in_flight = 0;
    c.ending = 1;
    GUARD_STEP(25000, DRAIN_DONE, NO, YES, NO, -1);
    assert_true(d.expired);
}

static void exit_waits_for_requests_of_others(void **unused UNUSED)
{
    until_the_shutdown_time();
    c.in_flight = 0;
    c.leaving = true;
    c.members = c.members_open = 1;
    GUARD_STEP(20500, DRAIN_GUARDING, NO, NO, NO, 25000);
    c.members = c.members_open = 0;
    c.idle = 3;
    GUARD_STEP(20501, DRAIN_DONE, NO, YES, NO, -1);
}

static void drained_in_time_there_is_nothing_to_guard(void **unused UNUSED)
{
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
    GUARD_STEP(0, DRAIN_DONE, YES, YES, NO, -1);
}

static void doubtful_handlers_run_at_the_deadline(void **unused UNUSED)
{
    c.answer = PROGRAM_MAY_DIE;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
    GUARD_STEP(24999, DRAIN_EMPTYING, NO, NO, NO, 25000);
    GUARD_STEP(25000, DRAIN_DONE, YES, YES, YES, -1);
}

static void no_shutdown_time(void **unused UNUSED)
{
    o.shutdown_time = 0;
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
    GUARD_STEP(0, DRAIN_EMPTYING, NO, NO, NO, 25000);
    GUARD_STEP(25000, DRAIN_DONE, YES, YES, YES, -1);
}

static void lame_duck_ends_with_the_shutdown_time(void **unused UNUSED)
{
    o.delay = 60000 * MS;
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    GUARD_STEP(0, DRAIN_LAME_DUCK, NO, NO, NO, 20000);
    STEP(20000, DRAIN_GUARDING, YES, YES, 20000);
    assert_true(drain_may_close_idle(&d));
}

static void delivered_first(void **unused UNUSED)
{
    o.deliver_first = true;
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_GUARDING, NO, YES, 0);
    assert_false(drain_may_close_idle(&d)); /* nor any listener: the program does it, when it likes */
    GUARD_STEP(1, DRAIN_GUARDING, NO, NO, NO, 25000);
    c.in_flight = 1;
    GUARD_STEP(3000, DRAIN_GUARDING, NO, NO, NO, 25000);
    c.leaving = true; /* in exit, while a thread still answers */
    GUARD_STEP(3001, DRAIN_GUARDING, NO, NO, NO, 25000);
    c.in_flight = 0;
    GUARD_STEP(3002, DRAIN_DONE, NO, YES, NO, -1);
}

static void first_is_for_programs_with_a_handler(void **unused UNUSED)
{
    for (int answer = PROGRAM_DIES; answer <= PROGRAM_MAY_DIE; answer++) {
        begin(NULL);
        o.deliver_first = true;
        c.answer = (uint8_t)answer;
        drain_signal(&d, at(0));
        c.in_flight = 1;
        GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
        GUARD_STEP(0, DRAIN_EMPTYING, NO, NO, NO, 25000);
    }
}

static void idle_program_is_never_ended(void **unused UNUSED)
{
    o.deliver_first = true;
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    GUARD_STEP(0, DRAIN_GUARDING, YES, NO, NO, 0);
    GUARD_STEP(25000, DRAIN_DONE, NO, YES, NO, -1);
}

static void participants_guard_with_their_coordinator(void **unused UNUSED)
{
    for (int phase = DRAIN_LAME_DUCK; phase <= DRAIN_DRAINED; phase++) {
        memset(&d, 0, sizeof d);
        memset(&c, 0, sizeof c);
        drain_signal(&d, at(0));
        d.phase = (uint8_t)phase;
        coordinated_by(DRAIN_GUARDING);
        c.in_flight = 1;
        GUARD_STEP(10, DRAIN_GUARDING, YES, NO, NO, 10);
        GUARD_STEP(11, DRAIN_GUARDING, NO, NO, NO, 25000);
        coordinated_by(DRAIN_DONE);
        GUARD_STEP(12, DRAIN_GUARDING, NO, NO, NO, 25000);
        GUARD_STEP(25000, DRAIN_DONE, NO, YES, YES, -1);
    }
}

static void second_signal_comes_before_the_guard(void **unused UNUSED)
{
    c.answer = PROGRAM_SHUTS_DOWN;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    GUARD_STEP(0, DRAIN_STOPPING_ACCEPT, NO, NO, NO, 0);
    drain_signal(&d, at(20000));
    GUARD_STEP(20000, DRAIN_DONE, YES, YES, NO, -1);
    assert_true(d.again);
}

#define T(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_without_a_signal),
        T(idle_server_is_released_at_once),
        T(hides_once),
        T(lame_duck_for_the_delay),
        T(lame_duck_ends_when_quiet),
        T(quiet_never_lengthens_the_delay),
        T(quiet_without_delay_is_nothing),
        T(lame_duck_waits_for_no_connection),
        T(queue_is_served_however_long),
        T(handshakes_are_waited_for_like_the_idle),
        T(handshakes_that_never_complete),
        T(handshakes_that_nobody_can_count),
        T(handshakes_while_the_queue_moves),
        T(everything_outstanding_is_waited_for),
        T(late_comers_after_the_stop),
        T(wakes_for_the_first_idle_window),
        T(deadline_from_the_signal),
        T(deadline_ends_the_lame_duck_too),
        T(no_deadline_is_for_ever),
        T(second_signal_ends_it),
        T(second_signal_ends_the_lame_duck),
        T(repeat_is_the_same_signal),
        T(signal_after_delivery_is_not_ours),
        T(coordinator_waits_for_its_members),
        T(deadline_ends_waiting_for_members),
        T(leader_wakes_for_a_member_that_gets_too_old),
        T(led_ducks_as_long_as_its_leader),
        T(led_has_no_delay_of_its_own),
        T(led_catches_up_with_its_leader),
        T(led_is_drained_and_stays),
        T(drained_and_back),
        T(free_in_any_phase),
        T(leaders_second_signal_is_ours),
        T(deadline_of_a_participant),
        T(led_without_deadline),
        T(leader_gone_and_nothing_owed),
        T(leader_gone_and_something_owed),
        T(leader_gone_in_the_duck),
        T(participant_waits_for_its_own_queue),
        T(lone_member_goes_on_for_a_moment),
        T(lone_and_delay_are_not_added),
        T(lone_until_the_others_are_told_too),
        T(deadline_before_the_end_of_lone),
        T(leaving_waits_for_what_is_in_flight),
        T(leaving_waits_for_no_leader),
        T(own_shutdown_runs_inside_the_deadline),
        T(an_exit_that_waits_for_an_acknowledgement_is_not_ended),
        T(own_shutdown_that_ends_in_time),
        T(dropped_requests_end_the_program_at_the_deadline),
        T(output_under_way_ends_no_program),
        T(exit_waits_for_requests_of_others),
        T(drained_in_time_there_is_nothing_to_guard),
        T(doubtful_handlers_run_at_the_deadline),
        T(no_shutdown_time),
        T(lame_duck_ends_with_the_shutdown_time),
        T(delivered_first),
        T(first_is_for_programs_with_a_handler),
        T(idle_program_is_never_ended),
        T(participants_guard_with_their_coordinator),
        T(second_signal_comes_before_the_guard),
    };
    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
