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
        assert_int_equal(a.hide, hide_);                         \
        assert_int_equal(a.release, release_);                   \
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
    STEP(0, DRAIN_DOOR, YES, NO, 0); /* the census is older than the closed door: ask again, at once */
    STEP(0, DRAIN_RELEASED, NO, YES, -1);
    STEP(1, DRAIN_RELEASED, NO, NO, -1); /* and only once */
    assert_false(d.expired || d.again);
    assert_int_equal(d.door_closed_at, at(0));
    assert_int_equal(d.released_at, at(0));
}

static void hides_once(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.queued = 1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    for (int ms = 0; ms < 20; ms++)
        STEP(ms, DRAIN_DOOR, NO, NO, 25000);
}

static void lame_duck_for_the_delay(void **unused UNUSED)
{
    o.delay = 300 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DUCK, NO, NO, 300);
    assert_false(drain_may_close_idle(&d));
    STEP(299, DRAIN_DUCK, NO, NO, 300);
    STEP(300, DRAIN_DOOR, YES, NO, 300);
    assert_true(drain_may_close_idle(&d));
    STEP(300, DRAIN_RELEASED, NO, YES, -1);
}

static void lame_duck_ends_when_quiet(void **unused UNUSED)
{
    o.delay = 1000 * MS;
    o.quiet = 200 * MS;
    drain_signal(&d, at(0));
    c.last_accept = at(-5000); /* long ago: counted from the signal */
    STEP(0, DRAIN_DUCK, NO, NO, 200);
    c.last_accept = at(150);
    STEP(200, DRAIN_DUCK, NO, NO, 350);
    c.last_accept = at(340);
    STEP(350, DRAIN_DUCK, NO, NO, 540);
    STEP(540, DRAIN_DOOR, YES, NO, 540);
}

static void quiet_never_lengthens_the_delay(void **unused UNUSED)
{
    o.delay = 500 * MS;
    o.quiet = 200 * MS;
    drain_signal(&d, at(0));
    for (int ms = 0; ms < 500; ms += 50) {
        c.last_accept = at(ms);
        STEP(ms, DRAIN_DUCK, NO, NO, ms + 200 < 500 ? ms + 200 : 500);
    }
    STEP(500, DRAIN_DOOR, YES, NO, 500);
}

static void quiet_without_delay_is_nothing(void **unused UNUSED)
{
    o.quiet = 200 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DOOR, YES, NO, 0);
}

static void lame_duck_waits_for_no_connection(void **unused UNUSED)
{
    o.delay = 300 * MS;
    o.idle = 100 * MS;
    drain_signal(&d, at(0));
    c.next_expiry = at(100); /* an idle window ends: nothing is done about it while lame duck */
    c.idle = 1;
    STEP(100, DRAIN_DUCK, NO, NO, 100);
    c.next_expiry = 0;
    STEP(101, DRAIN_DUCK, NO, NO, 300);
}

static void queue_is_served_however_long(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.queued = 20;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(10000, DRAIN_DOOR, NO, NO, 25000); /* no window of time for a queue: only the deadline */
    c.queued = 0;
    c.in_flight = 1;
    STEP(10001, DRAIN_EMPTYING, NO, NO, 25000);
    assert_int_equal(d.door_closed_at, at(10001));
    c.in_flight = 0;
    STEP(10002, DRAIN_RELEASED, NO, YES, -1);
}

static void handshakes_are_waited_for_like_the_idle(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    c.half_open = 2;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(0, DRAIN_DOOR, NO, NO, 400);
    STEP(399, DRAIN_DOOR, NO, NO, 400);
    c.half_open = 0;
    STEP(399, DRAIN_RELEASED, NO, YES, -1);
}

static void handshakes_that_never_complete(void **unused UNUSED)
{
    o.idle = 400 * MS;
    o.delay = 100 * MS;
    drain_signal(&d, at(0));
    STEP(100, DRAIN_DOOR, YES, NO, 100);
    c.half_open = 1;
    STEP(101, DRAIN_DOOR, NO, NO, 500); /* counted from the door, not from the signal */
    STEP(499, DRAIN_DOOR, NO, NO, 500);
    STEP(500, DRAIN_RELEASED, NO, YES, -1);
}

static void handshakes_that_nobody_can_count(void **unused UNUSED)
{
    o.idle = 400 * MS;
    drain_signal(&d, at(0));
    c.half_open = -1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(0, DRAIN_DOOR, NO, NO, 400);
    STEP(400, DRAIN_RELEASED, NO, YES, -1);
}

static void everything_owed_is_waited_for(void **unused UNUSED)
{
    unsigned *const owed[] = {&c.in_flight, &c.idle, &c.ending};
    for (unsigned i = 0; i < COUNT(owed); i++) {
        begin(NULL);
        drain_signal(&d, at(0));
        *owed[i] = 1;
        STEP(0, DRAIN_DOOR, YES, NO, 0);
        STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
        STEP(24999, DRAIN_EMPTYING, NO, NO, 25000);
        *owed[i] = 0;
        STEP(24999, DRAIN_RELEASED, NO, YES, -1);
    }
}

static void late_comers_at_the_closed_door(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, 25000);
    c.in_flight = 0;
    c.queued = 1; /* a handshake that was under way after all */
    STEP(10, DRAIN_EMPTYING, NO, NO, 25000);
    c.queued = 0;
    STEP(11, DRAIN_RELEASED, NO, YES, -1);
}

static void wakes_for_the_first_idle_window(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DOOR, YES, NO, 0);
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
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(699, DRAIN_DOOR, NO, NO, 700);
    STEP(700, DRAIN_RELEASED, NO, YES, -1);
    assert_true(d.expired);
    assert_int_equal(d.door_closed_at, 0);
}

static void deadline_ends_the_lame_duck_too(void **unused UNUSED)
{
    o.timeout = 700 * MS;
    o.delay = 2000 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DUCK, NO, NO, 700);
    STEP(700, DRAIN_RELEASED, NO, YES, -1);
    assert_true(d.expired);
}

static void no_deadline_is_for_ever(void **unused UNUSED)
{
    o.timeout = 0;
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(0, DRAIN_EMPTYING, NO, NO, -1);
    STEP((int64_t)1000 * 3600 * 24 * 365, DRAIN_EMPTYING, NO, NO, -1);
    c.in_flight = 0;
    STEP((int64_t)1000 * 3600 * 24 * 366, DRAIN_RELEASED, NO, YES, -1);
}

static void second_signal_ends_it(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    drain_signal(&d, at(1000));
    STEP(1000, DRAIN_RELEASED, NO, YES, -1);
    assert_true(d.again);
    assert_false(d.expired);
}

static void second_signal_ends_the_lame_duck(void **unused UNUSED)
{
    o.delay = 5000 * MS;
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DUCK, NO, NO, 5000);
    drain_signal(&d, at(2000));
    STEP(2000, DRAIN_RELEASED, NO, YES, -1);
}

static void repeat_is_the_same_signal(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    c.in_flight = 1;
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    drain_signal(&d, at(0));
    drain_signal(&d, at(999));
    STEP(999, DRAIN_EMPTYING, NO, NO, 25000);
    assert_false(d.again);
    assert_int_equal(d.signal_at, at(0));
}

static void signal_after_release_is_not_ours(void **unused UNUSED)
{
    drain_signal(&d, at(0));
    STEP(0, DRAIN_DOOR, YES, NO, 0);
    STEP(0, DRAIN_RELEASED, NO, YES, -1);
    drain_signal(&d, at(2000));
    STEP(2000, DRAIN_RELEASED, NO, NO, -1);
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
        T(everything_owed_is_waited_for),
        T(late_comers_at_the_closed_door),
        T(wakes_for_the_first_idle_window),
        T(deadline_from_the_signal),
        T(deadline_ends_the_lame_duck_too),
        T(no_deadline_is_for_ever),
        T(second_signal_ends_it),
        T(second_signal_ends_the_lame_duck),
        T(repeat_is_the_same_signal),
        T(signal_after_release_is_not_ours),
    };
    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
