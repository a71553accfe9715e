/* test_conn_drain.c: what a drain does with one connection: the decisions as tables, the questions and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/conn_drain.h"

#define MS NSEC_PER_MSEC

/* Times are milliseconds on the machine's clock; the signal comes at T0. Idle window 1 s, linger 2 s. */
enum { T0 = 5000000, IDLE = 1000, LINGER = 2000 };

static nsec_t at(int64_t ms)
{
    return (nsec_t)(T0 + ms) * MS;
}

#define POLICY(...)                                                                                                 \
    {                                                                                                               \
        .signal_at = (nsec_t)T0 * MS, .idle = IDLE * MS, .linger = LINGER * MS, .may_close_idle = true, __VA_ARGS__ \
    }
#define AT(ms)     ((nsec_t)(T0 + (ms)) * MS)
#define KNOWN(...) .known = known_bits((uint8_t[]){__VA_ARGS__, 0})
#define ALL        .known = ~(uint32_t)0

static uint32_t known_bits(const uint8_t *questions)
{
    uint32_t bits = 0;
    for (; *questions; questions++)
        bits |= (uint32_t)1 << *questions;
    return bits;
}

struct row {
    const char *name;
    struct conn_facts facts;
    struct conn_policy policy;
    int64_t now; /* ms */
    struct conn_decision expect;
};

static void check(const struct row *r)
{
    struct conn_decision d = conn_drain(&r->facts, &r->policy, at(r->now));
    if (d.ask != r->expect.ask || d.action != r->expect.action || d.outstanding != r->expect.outstanding ||
        d.until != r->expect.until || d.holds_exit)
        fail_msg("%s: ask %u, action %u, outstanding %u, until %lld ms", r->name, d.ask, d.action, d.outstanding,
                 d.until ? (long long)(d.until / MS) - T0 : -1);
}

#define CHECK(...)                               \
    do {                                         \
        const struct row rows[] = {__VA_ARGS__}; \
        for (size_t i = 0; i < COUNT(rows); i++) \
            check(&rows[i]);                     \
    } while (0)

#define ASKS(q)    \
    {              \
        .ask = (q) \
    }
#define WATCHES(q)                       \
    {                                    \
        .ask = (q), .action = CONN_WATCH \
    }
#define IS(what)                          \
    {                                     \
        .outstanding = OUTSTANDING_##what \
    }
#define IS_UNTIL(what, ms)                                 \
    {                                                      \
        .outstanding = OUTSTANDING_##what, .until = AT(ms) \
    }
#define SHUTS_READ(ms)                                                             \
    {                                                                              \
        .outstanding = OUTSTANDING_IDLE, .action = CONN_SHUT_READ, .until = AT(ms) \
    }
#define CLOSES                         \
    {                                  \
        .action = CONN_CLOSE_LINGERING \
    }

static void an_idle_one_has_its_window(void **unused UNUSED)
{
    CHECK({"lame duck: its end is not this one's", {.since = AT(-50)}, {.idle = IDLE * MS}, 9999, IS(IDLE)},
          {"idle since before the signal", {.since = AT(-50)}, POLICY(0), 0, IS_UNTIL(IDLE, 1000)},
          {"since its last response", {.since = AT(300)}, POLICY(0), 1299, IS_UNTIL(IDLE, 1300)},
          {"in flight is in flight", {.since = AT(-50), .busy = true}, POLICY(0), 5000, IS(IN_FLIGHT)},
          {"over: has it spoken?", {.since = AT(-50)}, POLICY(0), 1000, ASKS(ASK_UNREAD)},
          {"over, and it has not", {.since = AT(-50), ALL}, POLICY(0), 1000, SHUTS_READ(2000)},
          {"over a while ago", {.since = AT(-50), ALL}, POLICY(0), 1700, SHUTS_READ(2700)}, );
}

static void the_first_look_asks_the_kernel(void **unused UNUSED)
{
    CHECK({"asks", {.since = AT(-50)}, POLICY(.first = true), 0, ASKS(ASK_UNREAD)},
          {"but not of one in flight", {.busy = true}, POLICY(.first = true), 0, IS(IN_FLIGHT)},
          {"unread: in flight", {.unread = true, KNOWN(ASK_UNREAD)}, POLICY(.first = true), 0, IS(IN_FLIGHT)},
          {"nothing: idle", {.since = AT(-50), KNOWN(ASK_UNREAD)}, POLICY(.first = true), 0, IS_UNTIL(IDLE, 1000)},
          {"also in a lame duck", {.unread = true, KNOWN(ASK_UNREAD)}, {.first = true, .idle = 1}, 0, IS(IN_FLIGHT)}, );
}

static void who_has_spoken_at_last_is_in_flight(void **unused UNUSED)
{
    CHECK(
        {"unread", {.unread = true, KNOWN(ASK_UNREAD)}, POLICY(0), 1000, IS_UNTIL(IN_FLIGHT, 2000)},
        {"not unread: in a read?", {KNOWN(ASK_UNREAD)}, POLICY(0), 1000, ASKS(ASK_UNFOLLOWED)},
        {"in a read",
         {.unfollowed = true, KNOWN(ASK_UNREAD, ASK_UNFOLLOWED)},
         POLICY(0),
         1999,
         IS_UNTIL(IN_FLIGHT, 2000)},
        {"... not for ever", {.unfollowed = true, KNOWN(ASK_UNREAD, ASK_UNFOLLOWED)}, POLICY(0), 2000, ASKS(ASK_BUSY)},
        {"in no read: at the parser?", {KNOWN(ASK_UNREAD, ASK_UNFOLLOWED)}, POLICY(0), 1000, ASKS(ASK_BUSY)},
        {"at the parser, or past it", {.stage = CONN_READ_SHUT, .busy = true}, POLICY(0), 1000, IS(IN_FLIGHT)},
        {"unread, late", {.unread = true, KNOWN(ASK_UNREAD)}, POLICY(0), 2000, IS(IN_FLIGHT)},
        {"after the read shutdown, too",
         {.stage = CONN_READ_SHUT, .since = AT(1000), .unread = true, ALL},
         POLICY(0),
         2000,
         IS_UNTIL(IN_FLIGHT, 3000)}, );
}

static void after_the_read_shutdown_as_long_again(void **unused UNUSED)
{
    CHECK({"waits", {.stage = CONN_READ_SHUT, .since = AT(1000)}, POLICY(0), 1500, IS_UNTIL(IDLE, 2000)},
          {"asks", {.stage = CONN_READ_SHUT, .since = AT(1000)}, POLICY(0), 2000, ASKS(ASK_UNREAD)},
          {"gives up: the exit closes it",
           {.stage = CONN_READ_SHUT, .since = AT(1000), ALL},
           POLICY(0),
           2000,
           IS(NOTHING)}, );
}

static void what_others_hold_is_not_shut(void **unused UNUSED)
{
    CHECK({"who holds it now?",
           {.shared = true, KNOWN(ASK_UNREAD, ASK_UNFOLLOWED, ASK_BUSY)},
           POLICY(0),
           1000,
           ASKS(ASK_SHARED)},
          {"others", {.shared = true, ALL}, POLICY(0), 1000, IS(NOTHING)},
          {"nobody any more", {ALL}, POLICY(0), 1000, SHUTS_READ(2000)},
          {"a request on it counts",
           {.shared = true, .unread = true, ALL},
           POLICY(0),
           1000,
           IS_UNTIL(IN_FLIGHT, 2000)}, );
}

static void an_inherited_one_is_whose_process_uses_it(void **unused UNUSED)
{
    CHECK({"unused: kept for the window", {.inherited = true}, POLICY(0), 999, IS_UNTIL(IDLE, 1000)},
          {"... and no longer", {.inherited = true}, POLICY(0), 1000, IS(NOTHING)},
          {"used: the parent's", {.inherited = true, .used = true, .busy = true}, POLICY(0), 0, IS(NOTHING)},
          {"opaque: the parent's", {.inherited = true, .opaque = true}, POLICY(0), 0, IS(NOTHING)}, );
}

static void a_stale_one_is_not_touched(void **unused UNUSED)
{
    CHECK({"stale", {.stale = true, .busy = true, .opaque = true}, POLICY(.first = true), 0, IS(NOTHING)}, );
}

static void an_abandoned_one_is_not_waited_for(void **unused UNUSED)
{
    CHECK({"no process reads its request", {.abandoned = true, .unread = true, ALL}, POLICY(), IDLE, IS(NOTHING)},
          {"nor that of the signal's moment", {.abandoned = true}, POLICY(.first = true), 0, IS(NOTHING)},
          {"but one has", {.abandoned = true, .used = true, .busy = true}, POLICY(), 0, IS(IN_FLIGHT)}, );
}

static void an_opaque_one_is_judged_by_who_spoke_last(void **unused UNUSED)
{
    CHECK(
        {"when did bytes move?", {.opaque = true}, POLICY(0), 0, ASKS(ASK_MOVED)},
        {"gone", {.opaque = true, .gone = true, KNOWN(ASK_MOVED)}, POLICY(0), 0, IS(NOTHING)},
        {"has all been read?", {.opaque = true, KNOWN(ASK_MOVED)}, POLICY(0), 0, ASKS(ASK_UNREAD)},
        {"is there output?",
         {.opaque = true, .known = 1 << ASK_MOVED | 1 << ASK_UNREAD},
         POLICY(0),
         0,
         ASKS(ASK_UNSENT)},
        {"the client spoke last, long ago",
         {.opaque = true, .state = OPAQUE_IN_FLIGHT, .moved_at = AT(0), ALL},
         POLICY(0),
         9000,
         IS(IN_FLIGHT)},
        {"the client spoke last, as the kernel says",
         {.opaque = true, .client_last = true, ALL},
         POLICY(0),
         9000,
         IS(IN_FLIGHT)},
        {"the program has said its last word",
         {.opaque = true, .fin = true, .state = OPAQUE_IN_FLIGHT, ALL},
         POLICY(0),
         10,
         IS_UNTIL(IDLE, 1000)},
        {"the client said little", {.opaque = true, .state = OPAQUE_BUSY, ALL}, POLICY(0), 1500, IS_UNTIL(IDLE, 2000)},
        {"quiet, and silence may be a pause",
         {.opaque = true, .keeps_reading = true, ALL},
         POLICY(0),
         1000,
         IS(NOTHING)},
        {"quiet since the signal", {.opaque = true, ALL}, POLICY(0), 10, IS_UNTIL(IDLE, 1000)},
        {"since its last bytes", {.opaque = true, .moved_at = AT(400), ALL}, POLICY(0), 1000, IS_UNTIL(IDLE, 1400)},
        {"since the program's write",
         {.opaque = true, .since = AT(500), .moved_at = AT(400), ALL},
         POLICY(0),
         1000,
         IS_UNTIL(IDLE, 1500)},
        {"a reader that pauses", {.opaque = true, .unsent = true, ALL}, POLICY(0), 9000, IS_UNTIL(IDLE, 10000)},
        {"quiet for so long", {.opaque = true, ALL}, POLICY(0), 1000, SHUTS_READ(2000)},
        {"bytes that nobody has read are the client's",
         {.opaque = true, .unread = true, ALL},
         POLICY(0),
         1000,
         IS(IN_FLIGHT)},
        {"shut, then bytes: counted from the shutdown",
         {.stage = CONN_READ_SHUT, .opaque = true, .since = AT(1000), .moved_at = AT(1900), .unsent = true, ALL},
         POLICY(0),
         1999,
         IS_UNTIL(IDLE, 2000)},
        {"shut, no answer",
         {.stage = CONN_READ_SHUT, .opaque = true, .since = AT(1000), ALL},
         POLICY(0),
         2000,
         IS(NOTHING)},
        {"a fin of the program's changes nothing", {.opaque = true, .fin = true}, POLICY(0), 0, ASKS(ASK_MOVED)}, );
}

static void a_half_closed_one_waits_for_its_output_then_for_its_peer(void **unused UNUSED)
{
    CHECK({"acknowledged?", {.stage = CONN_HALF_CLOSED}, POLICY(0), 9, ASKS(ASK_ACKED)},
          {"all", {.stage = CONN_HALF_CLOSED, .acked = true, .acked_at = AT(5)}, POLICY(0), 9, IS(NOTHING)},
          {"not: watched", {.stage = CONN_HALF_CLOSED, KNOWN(ASK_ACKED)}, POLICY(0), 9, WATCHES(ASK_ONLY_FIN)},
          {"a response is on its way: for ever", {.stage = CONN_HALF_CLOSED, ALL}, POLICY(0), 99999, IS(ENDING)},
          {"only the FIN: not for ever",
           {.stage = CONN_HALF_CLOSED, .only_fin = true, .acked_at = AT(5), ALL},
           POLICY(0),
           9,
           IS_UNTIL(ENDING, 2005)},
          {"... over",
           {.stage = CONN_HALF_CLOSED, .only_fin = true, .acked_at = AT(5), ALL},
           POLICY(0),
           2005,
           IS(NOTHING)},
          {"the peer still sent", {.stage = CONN_HALF_CLOSED, .must_linger = true}, POLICY(0), 9, ASKS(ASK_PEER_DONE)},
          {"and still sends",
           {.stage = CONN_HALF_CLOSED, .must_linger = true, .acked = true, .acked_at = AT(5), ALL},
           POLICY(0),
           9,
           IS_UNTIL(ENDING, 2005)},
          {"... for too long",
           {.stage = CONN_HALF_CLOSED, .must_linger = true, .acked = true, .acked_at = AT(5), ALL},
           POLICY(0),
           2005,
           IS(NOTHING)},
          {"the program's own FIN is the same", {.fin = true}, POLICY(0), 9, ASKS(ASK_ACKED)},
          {"... at the first look, too", {.fin = true, .acked = true}, POLICY(.first = true), 9, IS(NOTHING)},
          {"in a lame duck as well", {.stage = CONN_HALF_CLOSED, ALL}, {.idle = 1}, 9, IS(ENDING)}, );
}

static void a_lingering_one_is_closed_in_the_end(void **unused UNUSED)
{
    CHECK(
        {"discards first", {.stage = CONN_LINGERING, .acked = true}, POLICY(0), 9, ASKS(ASK_PEER_ENDED)},
        {"then as if half-closed", {.stage = CONN_LINGERING, KNOWN(ASK_PEER_ENDED)}, POLICY(0), 9, ASKS(ASK_ACKED)},
        {"both done",
         {.stage = CONN_LINGERING, .acked = true, .acked_at = AT(5), .peer_ended = true, ALL},
         POLICY(0),
         9,
         CLOSES},
        {"the peer has not ended: kept, not waited for",
         {.stage = CONN_LINGERING, .acked = true, .acked_at = AT(5), ALL},
         POLICY(0),
         9,
         IS(NOTHING)},
        {"... until LINGER", {.stage = CONN_LINGERING, .acked = true, .acked_at = AT(5), ALL}, POLICY(0), 2005, CLOSES},
        {"unacknowledged", {.stage = CONN_LINGERING, .peer_ended = true, ALL}, POLICY(0), 99999, IS(ENDING)}, );
}

static void an_exit_waits_for_what_is_served_only(void **unused UNUSED)
{
    const struct conn_policy p = POLICY(0);
    struct conn_decision d = IS(IN_FLIGHT);
    conn_drain_in_exit(&d, true, false, &p, at(10));
    assert_int_equal(d.outstanding, OUTSTANDING_IN_FLIGHT);
    assert_int_equal(d.until, at(1010)); /* nobody tells of a thread's death */
    conn_drain_in_exit(&d, false, false, &p, at(500));
    assert_int_equal(d.outstanding, OUTSTANDING_NOTHING);
    assert_int_equal(d.until, at(1010));
    assert_false(d.holds_exit);

    d = (struct conn_decision)IS(ENDING);
    conn_drain_in_exit(&d, true, false, &p, at(10));
    assert_true(d.holds_exit);
    assert_int_equal(d.until, 0);
    conn_drain_in_exit(&d, true, true, &p, at(10));
    assert_false(d.holds_exit);
}

static void the_census_is_their_sum(void **unused UNUSED)
{
    struct census c;
    const struct conn_decision d[] = {IS(NOTHING),
                                      IS_UNTIL(IDLE, 900),
                                      IS(IDLE),
                                      IS_UNTIL(IN_FLIGHT, 700),
                                      IS(IN_FLIGHT),
                                      IS(IN_FLIGHT),
                                      {.outstanding = OUTSTANDING_ENDING, .holds_exit = true, .until = AT(800)}};
    memset(&c, 0, sizeof c);
    for (size_t i = 0; i < COUNT(d); i++)
        conn_drain_count(&c, &d[i]);
    assert_int_equal(c.idle, 2);
    assert_int_equal(c.in_flight, 4);
    assert_int_equal(c.ending, 1);
    assert_int_equal(c.next_expiry, at(700));
    assert_false(drain_own_part_is_done(&c));
}

/* ---- the order of the questions --------------------------------------------------------------------------------- */

/* A request moves through these places, and stays in the last. */
enum place { UNREAD, IN_READ, BEING_FOLLOWED, IN_FLIGHT, PLACES };

static const char request[] = "GET / HTTP/1.1\r\n\r\n";

/* The request stands there: in a real connection, and in what the kernel would answer. */
static void stand(struct conn *c, enum place place)
{
    memset(c, 0, sizeof *c);
    conn_init(c, 3, 0, false);
    c->since = at(-50);
    if (place == BEING_FOLLOWED)
        c->calls_in |= CONN_LOCKED;
    if (place == IN_FLIGHT)
        conn_received(c, request, sizeof request - 1);
}

/* It moves on before each question by so many places: two bits of `moves` each. */
static bool is_met(unsigned moves, enum place place, uint8_t stage)
{
    const struct conn_policy p = POLICY(0);
    struct conn_facts f;
    struct conn c;
    stand(&c, place);
    c.stage = stage;
    conn_drain_look(&f, &c);
    f.stage = stage;
    for (int i = 0; i < CONN_QUESTIONS; i++) {
        struct conn_decision d = conn_drain(&f, &p, at(1000));
        if (d.ask == ASK_NOTHING)
            return d.outstanding == OUTSTANDING_IN_FLIGHT;
        place += moves >> 2 * i & 3;
        place = place < PLACES ? place : IN_FLIGHT;
        stand(&c, place);
        f.unread = d.ask == ASK_UNREAD ? place == UNREAD : f.unread;
        f.unfollowed = d.ask == ASK_UNFOLLOWED ? place == IN_READ : f.unfollowed;
        f.busy = d.ask == ASK_BUSY ? conn_drain_busy(&c) : f.busy;
        f.known |= (uint32_t)1 << d.ask;
    }
    return false;
}

static void no_request_passes_between_two_questions(void **unused UNUSED)
{
    for (unsigned moves = 0; moves < 1 << 8; moves++)
        for (enum place from = UNREAD; from < PLACES; from++)
            if (!is_met(moves, from, CONN_OPEN) || !is_met(moves, from, CONN_READ_SHUT))
                fail_msg("moves %x from place %u: a request is taken for an idle connection", moves, from);
}

/* Each question is asked once at most, of whatever facts. */
static void no_question_is_asked_twice(void **unused UNUSED)
{
    for (unsigned bits = 0; bits < 1 << 15; bits++) {
        const struct conn_policy p = POLICY(.first = bits & 1);
        struct conn_facts f = {.stage = bits >> 1 & 3,
                               .fin = bits >> 3 & 1,
                               .opaque = bits >> 4 & 1,
                               .shared = bits >> 5 & 1,
                               .must_linger = bits >> 6 & 1,
                               .acked = bits >> 7 & 1,
                               .acked_at = at(5),
                               .since = at(0),
                               .peer_ended = bits >> 8 & 1,
                               .only_fin = bits >> 9 & 1,
                               .gone = bits >> 10 & 1,
                               .unsent = bits >> 11 & 1,
                               .unread = bits >> 12 & 1,
                               .unfollowed = bits >> 13 & 1};
        struct conn_decision d;
        int asked = 0;
        while ((d = conn_drain(&f, &p, at(bits >> 14 ? 10 : 1500))).ask != ASK_NOTHING) {
            assert_true(d.ask < CONN_QUESTIONS && (f.known >> d.ask & 1) == 0);
            assert_true(d.action == (d.ask == ASK_ONLY_FIN ? CONN_WATCH : CONN_LEAVE));
            f.known |= (uint32_t)1 << d.ask;
            asked++;
        }
        assert_true(asked <= 4);
        assert_true(d.action != CONN_WATCH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_one_has_its_window),
        cmocka_unit_test(the_first_look_asks_the_kernel),
        cmocka_unit_test(who_has_spoken_at_last_is_in_flight),
        cmocka_unit_test(after_the_read_shutdown_as_long_again),
        cmocka_unit_test(what_others_hold_is_not_shut),
        cmocka_unit_test(an_inherited_one_is_whose_process_uses_it),
        cmocka_unit_test(a_stale_one_is_not_touched),
        cmocka_unit_test(an_abandoned_one_is_not_waited_for),
        cmocka_unit_test(an_opaque_one_is_judged_by_who_spoke_last),
        cmocka_unit_test(a_half_closed_one_waits_for_its_output_then_for_its_peer),
        cmocka_unit_test(a_lingering_one_is_closed_in_the_end),
        cmocka_unit_test(an_exit_waits_for_what_is_served_only),
        cmocka_unit_test(the_census_is_their_sum),
        cmocka_unit_test(no_request_passes_between_two_questions),
        cmocka_unit_test(no_question_is_asked_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
