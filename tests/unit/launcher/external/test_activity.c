/* test_activity.c: what is in flight and what is idle, by numbers alone: stories of connections, look by look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/external/activity.h"

enum { REQUEST = 80, RESPONSE = 200 };

static const struct activity_limits patient = {100 * NSEC_PER_SEC, NSEC_PER_SEC, 2 * NSEC_PER_SEC};
static struct diag_socket s; /* the connection itself */
static struct activity a;
static nsec_t now, until;
static nsec_t came_at, went_at;

/* The kernel's clock of a socket ticks every 4 ms. */
static uint32_t since(nsec_t at)
{
    const nsec_t tick = 4 * NSEC_PER_MSEC;
    return (uint32_t)((now / tick - at / tick) * 4);
}

static void pass(unsigned ms)
{
    now += ms * NSEC_PER_MSEC;
    s.quiet_ms = since(came_at);
    s.quiet_out_ms = since(went_at);
}

/* A new connection, accepted, at the moment of the signal. */
static void begin(void)
{
    memset(&s, 0, sizeof s);
    memset(&a, 0, sizeof a);
    s.inode = s.cookie = 7;
    s.state = DIAG_ESTABLISHED;
    now = came_at = went_at = patient.since;
    pass(0);
}

static void comes(unsigned bytes)
{
    s.received += bytes;
    s.segments_in++;
    came_at = now;
    pass(0);
}

static void goes(unsigned bytes)
{
    s.acked += bytes;
    went_at = now;
    pass(0);
}

static enum activity_state meet(void)
{
    activity_begin(&a, &s, now);
    return activity_state(&a, &patient, now, &until);
}

static enum activity_state see(void)
{
    activity_update(&a, &s, now);
    return activity_state(&a, &patient, now, &until);
}

static void nobody_has_spoken(void **state)
{
    (void)state;
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    assert_true(until == patient.since + patient.idle);
    pass(990);
    assert_int_equal(see(), ACTIVITY_QUIET);
    pass(14);
    assert_int_equal(see(), ACTIVITY_IDLE);
}

static void a_request_is_waited_for(void **state)
{
    (void)state;
    begin();
    comes(REQUEST); /* in the tick of the handshake */
    s.unread = REQUEST;
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    s.unread = 0;
    pass(20000);
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT); /* read, and quiet for twenty seconds */
    goes(RESPONSE);
    s.unsent = 1;
    s.acked--;
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT); /* not acknowledged */
    s.unsent = 0;
    s.acked++;
    assert_int_equal(see(), ACTIVITY_QUIET);
    assert_true(until == now + patient.idle);
}

static void half_a_request_is_one(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    pass(8);
    comes(3);
    pass(5000);
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
}

/* The same tick: a short request and its response, or a response and a slow request? */
static void who_was_last(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    goes(RESPONSE);
    pass(40);
    assert_int_equal(meet(), ACTIVITY_UNSURE);
    pass(1000);
    assert_int_equal(see(), ACTIVITY_IDLE);
    activity_read_shut(&a, now);
    pass(10000);
    assert_int_equal(see(), ACTIVITY_UNSURE); /* it did not close: it has work */
    goes(RESPONSE);
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT);
    s.inode = 0;
    s.state = DIAG_FIN_WAIT2;
    assert_int_equal(see(), ACTIVITY_DONE);
}

static void a_bare_acknowledgement_tells(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    goes(RESPONSE);
    comes(REQUEST);
    assert_int_equal(meet(), ACTIVITY_UNSURE);
    pass(40);
    s.bare_acks++;
    pass(10000);
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT);
    /* but not that of a keep-alive probe */
    begin();
    comes(REQUEST);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_UNSURE);
    s.bare_acks++;
    s.segments_in++;
    pass(1000);
    assert_int_equal(see(), ACTIVITY_IDLE);
}

/* The client does not read, and the kernel probes its shut window. When it has read all, it is idle. */
static void probes_tell_nothing(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    s.unsent = 2 * RESPONSE;
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    pass(200);
    s.bare_acks++;
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT);
    s.unsent = 0;
    goes(2 * RESPONSE);
    assert_int_equal(see(), ACTIVITY_UNSURE);
    pass(1000);
    assert_int_equal(see(), ACTIVITY_IDLE);
}

/* What is sent again counts as sent now; the bytes say that it is nothing new. */
static void a_retransmission_is_no_answer(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    pass(8);
    assert_int_equal(meet(), ACTIVITY_QUIET);
    comes(REQUEST);
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT);
    pass(20);
    went_at = now;
    pass(5000);
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT);
}

static void a_stream_has_its_rhythm(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_QUIET);
    pass(900);
    goes(RESPONSE);
    assert_int_equal(see(), ACTIVITY_QUIET);
    pass(1500); /* longer than idle, not than two beats */
    assert_int_equal(see(), ACTIVITY_QUIET);
    pass(300);
    assert_int_equal(see(), ACTIVITY_IDLE);
}

static void a_client_that_pauses_is_no_rhythm(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    s.unsent = RESPONSE;
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    pass(4000);
    s.unsent = 0;
    goes(2 * RESPONSE); /* it has read, and the server has written on */
    assert_int_equal(see(), ACTIVITY_QUIET);
    pass(1000);
    assert_int_equal(see(), ACTIVITY_IDLE);
}

static void let_go_it_has_to_close(void **state)
{
    (void)state;
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    pass(1000);
    assert_int_equal(see(), ACTIVITY_IDLE);
    activity_read_shut(&a, now);
    assert_int_equal(see(), ACTIVITY_READ_SHUT);
    assert_true(until == now + patient.linger);
    pass(2000);
    assert_int_equal(see(), ACTIVITY_DONE); /* it never will */
    comes(REQUEST);
    s.unread = REQUEST;
    assert_int_equal(see(), ACTIVITY_IN_FLIGHT); /* too late, but as long as it may be read */
    assert_true(a.late_data);
}

static void who_has_left_needs_nothing(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_QUIET);
    s.state = DIAG_CLOSE_WAIT;
    s.received++;
    s.segments_in++;
    assert_int_equal(see(), ACTIVITY_DONE);
    /* who has asked, and closed only its own direction, is still answered */
    begin();
    comes(REQUEST);
    s.state = DIAG_CLOSE_WAIT;
    s.received++;
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
}

static void without_a_process(void **state)
{
    (void)state;
    begin();
    s.inode = 0;
    assert_int_equal(meet(), ACTIVITY_QUEUED);
    s.state = DIAG_CLOSE_WAIT;
    assert_int_equal(see(), ACTIVITY_QUEUED);
    s.state = DIAG_LAST_ACK;
    s.unsent = 100;
    assert_int_equal(see(), ACTIVITY_ENDING);
    s.unsent = 0;
    assert_int_equal(see(), ACTIVITY_DONE);
}

/* Its FIN is never acknowledged. While bytes of a response are not, it may take them yet. */
static void a_client_that_has_vanished(void **state)
{
    (void)state;
    for (int orphan = 0; orphan < 2; orphan++) {
        begin();
        s.inode = orphan ? 0 : 7;
        s.state = DIAG_FIN_WAIT1;
        s.unsent = RESPONSE + 1;
        assert_int_equal(meet(), ACTIVITY_ENDING);
        pass(10000);
        assert_int_equal(see(), ACTIVITY_ENDING);
        s.acked += RESPONSE;
        s.unsent = 1;
        assert_int_equal(see(), ACTIVITY_ENDING);
        assert_int_equal(until, now + patient.linger);
        pass(1999);
        assert_int_equal(see(), ACTIVITY_ENDING);
        pass(1);
        assert_int_equal(see(), ACTIVITY_DONE);
    }
}

static void who_asks_again_and_again_is_regular(void **state)
{
    (void)state;
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    for (int i = 0; i < 2; i++) {
        assert_false(activity_is_regular(&a));
        pass(20);
        comes(REQUEST);
        see();
        assert_false(activity_is_regular(&a)); /* in flight */
        pass(5);
        goes(RESPONSE);
        see();
    }
    assert_true(activity_is_regular(&a));
    comes(REQUEST);
    see();
    assert_false(activity_is_regular(&a));
}

/* The connection was in flight at the last look, and is closed: the kernel's last word of it. */
static enum activity_loss closes(void)
{
    s.inode = 0;
    s.state = DIAG_FIN_WAIT2;
    s.acked++; /* the FIN */
    return activity_loss(&a, &s);
}

static void a_request_without_an_answer_is_lost(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    assert_int_equal(activity_loss(&a, &a.now), LOSS_UNANSWERED); /* nothing is known of its end */
    assert_int_equal(closes(), LOSS_UNANSWERED);
    /* and one that came after the last look */
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    comes(REQUEST);
    assert_int_equal(closes(), LOSS_UNANSWERED);
    /* one that nobody has read */
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_QUIET);
    s.unread = REQUEST;
    assert_int_equal(closes(), LOSS_UNANSWERED);
    /* and one in the accept queue */
    begin();
    s.inode = 0;
    assert_int_equal(meet(), ACTIVITY_QUEUED);
    assert_int_equal(activity_loss(&a, &a.now), LOSS_MAYBE);
    comes(REQUEST);
    assert_int_equal(activity_loss(&a, &s), LOSS_UNANSWERED);
    /* where it is reset */
    assert_int_equal(see(), ACTIVITY_QUEUED);
    s.received = 0;
    s.unsent = 70000;
    assert_int_equal(activity_loss(&a, &s), LOSS_UNANSWERED);
}

static void an_answer_may_have_been_all(void **state)
{
    (void)state;
    begin();
    comes(REQUEST);
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    pass(8);
    goes(RESPONSE);
    assert_int_equal(closes(), LOSS_ANSWERED);
    /* one that was under way then, or of which it is not known whose the last word was */
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    s.unsent = RESPONSE;
    assert_int_equal(meet(), ACTIVITY_IN_FLIGHT);
    assert_int_equal(closes(), LOSS_MAYBE);
    begin();
    comes(REQUEST);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_UNSURE);
    assert_int_equal(closes(), LOSS_MAYBE);
}

static void who_was_idle_loses_nothing(void **state)
{
    (void)state;
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    assert_int_equal(closes(), LOSS_NONE);
    begin();
    comes(REQUEST);
    pass(8);
    goes(RESPONSE);
    assert_int_equal(meet(), ACTIVITY_QUIET);
    s.received++; /* the client's FIN */
    s.unread = 1;
    assert_int_equal(closes(), LOSS_NONE);
    begin();
    s.inode = 0;
    s.state = DIAG_CLOSE_WAIT;
    s.received = s.unread = 1;
    assert_int_equal(meet(), ACTIVITY_QUEUED);
    assert_int_equal(activity_loss(&a, &s), LOSS_NONE);
    /* or was closed, and asks too late: that is late data */
    begin();
    assert_int_equal(meet(), ACTIVITY_QUIET);
    activity_read_shut(&a, now);
    comes(REQUEST);
    assert_int_equal(closes(), LOSS_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_spoken),
        cmocka_unit_test(a_request_is_waited_for),
        cmocka_unit_test(half_a_request_is_one),
        cmocka_unit_test(who_was_last),
        cmocka_unit_test(a_bare_acknowledgement_tells),
        cmocka_unit_test(probes_tell_nothing),
        cmocka_unit_test(a_retransmission_is_no_answer),
        cmocka_unit_test(a_stream_has_its_rhythm),
        cmocka_unit_test(a_client_that_pauses_is_no_rhythm),
        cmocka_unit_test(let_go_it_has_to_close),
        cmocka_unit_test(who_has_left_needs_nothing),
        cmocka_unit_test(without_a_process),
        cmocka_unit_test(a_client_that_has_vanished),
        cmocka_unit_test(who_asks_again_and_again_is_regular),
        cmocka_unit_test(a_request_without_an_answer_is_lost),
        cmocka_unit_test(an_answer_may_have_been_all),
        cmocka_unit_test(who_was_idle_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
