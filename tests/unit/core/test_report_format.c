/* test_report_format.c: reports and log lines as people and as machines read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/report_format.h"

static char room[8192];
static struct text line;
static enum report_json next; /* piece of the JSON line that is being written */

static struct text *fresh(void)
{
    text_init(&line, room, sizeof room);
    return &line;
}

/* ---- an independent reader of JSON (RFC 8259), strict, ASCII only ---------------------------------- */

static const char *json_value(const char *s);

static const char *json_string(const char *s)
{
    if (!s || *s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if (*s < ' ' || *s > '~')
            return NULL;
        if (*s != '\\')
            continue;
        s++;
        if (*s == 'u' && strspn(s + 1, "0123456789abcdefABCDEF") >= 4)
            s += 4;
        else if (!*s || !strchr("\"\\/bfnrt", *s))
            return NULL;
    }
    return s + 1;
}

static const char *json_number(const char *s)
{
    s += *s == '-';
    size_t n = strspn(s, "0123456789");
    return n == 0 || (n > 1 && *s == '0') ? NULL : s + n;
}

/* Elements, or members of `"name":value`, between brackets. */
static const char *json_list(const char *s, char end, bool members)
{
    if (*++s == end)
        return s + 1;
    for (;; s++) {
        if (members) {
            s = json_string(s);
            if (!s || *s++ != ':')
                return NULL;
        }
        s = json_value(s);
        if (!s)
            return NULL;
        if (*s == end)
            return s + 1;
        if (*s != ',')
            return NULL;
    }
}

static const char *json_value(const char *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strncmp(s, words[i], strlen(words[i])) == 0)
            return s + strlen(words[i]);
    switch (*s) {
    case '{': return json_list(s, '}', true);
    case '[': return json_list(s, ']', false);
    case '"': return json_string(s);
    default: return json_number(s);
    }
}

/* One object and one newline. */
static bool is_json_line(const char *s)
{
    const char *end = *s == '{' ? json_value(s) : NULL;
    return end && strcmp(end, "\n") == 0;
}

static void the_reader_can_refuse(void **state UNUSED)
{
    static const char *const good[] = {"{}\n", "{\"a\":[1,-2,\"\\u00ff\\\"\",{}],\"b\":null}\n"};
    static const char *const bad[] = {
        "",
        "{}",
        "{}\n\n",
        "[]\n",
        "{\"a\":}\n",
        "{\"a\":1,}\n",
        "{\"a\":[1,]}\n",
        "{,}\n",
        "{\"a\":01}\n",
        "{\"a\":\"\\x01\"}\n",
        "{\"a\":\"\n\"}\n",
        "{\"a\" 1}\n",
        "{\"a\":1\n",
        "{\"a\":\"\\u00f\"}\n",
        "{a:1}\n",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(is_json_line(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(is_json_line(bad[i]));
}

/* ---- vectors -------------------------------------------------------------------------------------- */

static const struct report drained = {
    .pid = 12,
    .signal = 15,
    .wall_start_ms = 1700000000123,
    .duration = 1234567890,
    .accept_stopped = 12500 * NSEC_PER_USEC,
    .exit_delay = 312456,
    .end = REPORT_DRAINED,
    .accept_stop = "so_bindtoifindex",
    .counts =
        {
            .in_flight = 8,
            .served_after_signal = 3,
            .idle_closed = 50,
            .close_sent = 11,
            .late_data = 1,
            .aborted = 2,
            .unread_bytes = 4,
            .opaque = 5,
            .untracked = 6,
        },
};

static const struct report nothing = {.pid = 1, .signal = 34, .end = REPORT_DEADLINE};

static const struct report_process worker = {.pid = 13, .end = "drained", .counts = {.in_flight = 7, .aborted = 1}};
static const struct report_process odd = {.pid = 14, .end = "a \"b\"\n", .counts = {.untracked = UINT64_MAX}};

static const struct report_aborted get = {
    .peer = "127.0.0.1:5",
    .method = "GET",
    .method_len = 3,
    .request_bytes = 78,
    .response_bytes = 100,
    .response_total = 4096,
    .has_total = true,
    .head_sent = true,
    .age = 60 * NSEC_PER_SEC,
    .unread_bytes = 9,
};

static const struct report_aborted opaque = {.peer = "unix", .method = ""};
static const struct report_aborted hostile = {.peer = "[::1]:80", .method = "\"\n\x1b[2J\xff\\", .method_len = 8};

/* Only where it was not an object of ours that drained is that said. */
static void an_external_drain_says_so(void **state UNUSED)
{
    enum report_json expects;
    struct report r = nothing;
    r.mode = "external";
    report_text(fresh(), &r);
    assert_non_null(strstr(line.at, "lastcall: deadline pid=1 mode=external signal="));
    report_json_begin(fresh(), &expects, &r);
    assert_non_null(strstr(line.at, "\"end\":\"deadline\",\"mode\":\"external\",\"accept_stop\":"));
    report_json_begin(fresh(), &expects, &nothing);
    assert_null(strstr(line.at, "mode"));
}

static void reports_to_people(void **state UNUSED)
{
    report_text(fresh(), &drained);
    assert_string_equal(
        line.at,
        "lastcall: drained pid=12 signal=TERM duration=1.2s accept_stopped=12.5ms accept_stop=so_bindtoifindex "
        "in_flight=8 served_after_signal=3 idle_closed=50 close_sent=11 late_data=1 aborted=2 "
        "unread_bytes=4 opaque=5 untracked=6 exit_delay=312us\n");
    report_text(fresh(), &nothing);
    assert_string_equal(line.at, "lastcall: deadline pid=1 signal=34 duration=0s accept_stopped=no accept_stop=none "
                                 "in_flight=0 served_after_signal=0 idle_closed=0 close_sent=0 late_data=0 "
                                 "aborted=0 unread_bytes=0 opaque=0 untracked=0 exit_delay=0s\n");
}

static void reports_a_group_to_people(void **state UNUSED)
{
    struct report r = drained;
    r.processes = 1;
    report_text(fresh(), &r);
    assert_non_null(strstr(line.at, " pid=12 signal=TERM "));
    r.processes = 512;
    report_text(fresh(), &r);
    assert_non_null(strstr(line.at, "lastcall: drained pid=12 processes=512 signal=TERM "));
    report_text_process(fresh(), &worker);
    assert_string_equal(line.at, "lastcall: process pid=13 end=drained in_flight=7 served_after_signal=0 idle_closed=0 "
                                 "close_sent=0 late_data=0 aborted=1 unread_bytes=0 opaque=0 untracked=0\n");
    report_text_process(fresh(), &odd);
    assert_non_null(strstr(line.at, " end=\"a \\\"b\\\"\\x0a\" "));
    assert_non_null(strstr(line.at, " untracked=18446744073709551615\n"));
}

static void reports_the_aborted_to_people(void **state UNUSED)
{
    report_text_aborted(fresh(), &get);
    assert_string_equal(line.at, "lastcall: aborted peer=127.0.0.1:5 method=GET age=60s request_bytes=78 "
                                 "head_sent=yes response=100/4096 unread_bytes=9\n");
    report_text_aborted(fresh(), &opaque);
    assert_string_equal(line.at, "lastcall: aborted peer=unix method=unknown age=unknown request_bytes=0 "
                                 "head_sent=no response=0/unknown unread_bytes=0\n");
    report_text_aborted(fresh(), &hostile);
    assert_non_null(strstr(line.at, " method=\"\\\"\\x0a\\x1b[2J\\xff\\\\\" "));
    struct report_aborted owned = get;
    owned.pid = 13;
    report_text_aborted(fresh(), &owned);
    assert_non_null(strstr(line.at, "lastcall: aborted peer=127.0.0.1:5 pid=13 method=GET "));
}

static void reports_to_machines(void **state UNUSED)
{
    report_json_begin(fresh(), &next, &drained);
    report_json_aborted(&line, &next, &get);
    report_json_aborted(&line, &next, &opaque);
    report_json_end(&line, &next);
    assert_string_equal(line.at,
                        "{\"event\":\"drain\",\"version\":\"" LASTCALL_VERSION "\",\"pid\":12,\"signal\":\"TERM\","
                        "\"wall_start_ms\":1700000000123,\"end\":\"drained\",\"accept_stop\":\"so_bindtoifindex\","
                        "\"duration_us\":1234567,\"accept_stopped_us\":12500,\"exit_delay_us\":312,\"in_flight\":8,"
                        "\"served_after_signal\":3,"
                        "\"idle_closed\":50,\"close_sent\":11,\"late_data\":1,\"aborted\":2,\"unread_bytes\":4,"
                        "\"opaque\":5,\"untracked\":6,\"aborts\":["
                        "{\"peer\":\"127.0.0.1:5\",\"method\":\"GET\",\"request_bytes\":78,\"response_bytes\":100,"
                        "\"response_total\":4096,\"head_sent\":true,\"age_us\":60000000,\"unread_bytes\":9},"
                        "{\"peer\":\"unix\",\"method\":\"\",\"request_bytes\":0,\"response_bytes\":0,"
                        "\"response_total\":null,\"head_sent\":false,\"age_us\":0,\"unread_bytes\":0}]}\n");
    assert_true(is_json_line(line.at));
}

/* The line at the signal; without a deadline that is null. */
static void says_that_it_begins(void **state UNUSED)
{
    struct report_begun b = {
        .pid = 12, .signal = 15, .wall_start_ms = 1700000000123, .in_flight = 4, .deadline = 25 * NSEC_PER_SEC};
    report_json_begun(fresh(), &b);
    assert_string_equal(line.at,
                        "{\"event\":\"draining\",\"version\":\"" LASTCALL_VERSION "\",\"pid\":12,\"signal\":\"TERM\","
                        "\"wall_start_ms\":1700000000123,\"in_flight\":4,\"deadline_us\":25000000}\n");
    assert_true(is_json_line(line.at));
    b.deadline = 0;
    b.mode = "external";
    report_json_begun(fresh(), &b);
    assert_true(is_json_line(line.at) && strstr(line.at, "\"mode\":\"external\"") &&
                strstr(line.at, "\"deadline_us\":null}"));
}

static void reports_a_group_to_machines(void **state UNUSED)
{
    struct report_aborted owned = opaque;
    owned.pid = 14;
    report_json_begin(fresh(), &next, &drained);
    size_t totals = line.len;
    report_json_process(&line, &next, &worker);
    report_json_process(&line, &next, &odd);
    report_json_aborted(&line, &next, &owned);
    report_json_end(&line, &next);
    assert_string_equal(line.at + totals,
                        ",\"processes\":["
                        "{\"pid\":13,\"end\":\"drained\",\"in_flight\":7,\"served_after_signal\":0,\"idle_closed\":0,"
                        "\"close_sent\":0,\"late_data\":0,\"aborted\":1,\"unread_bytes\":0,\"opaque\":0,"
                        "\"untracked\":0},"
                        "{\"pid\":14,\"end\":\"a \\\"b\\\"\\u000a\",\"in_flight\":0,\"served_after_signal\":0,"
                        "\"idle_closed\":0,\"close_sent\":0,\"late_data\":0,\"aborted\":0,\"unread_bytes\":0,"
                        "\"opaque\":0,\"untracked\":18446744073709551615}],\"aborts\":["
                        "{\"peer\":\"unix\",\"pid\":14,\"method\":\"\",\"request_bytes\":0,"
                        "\"response_bytes\":0,\"response_total\":null,\"head_sent\":false,\"age_us\":0,"
                        "\"unread_bytes\":0}]}\n");
    assert_true(is_json_line(line.at));
}

static const uint8_t idle_states[] = {CONN_HISTORY_IDLE, CONN_HISTORY_CLOSING, CONN_HISTORY_CLOSED};
static const uint64_t idle_times[] = {0, 1000012, UINT64_MAX >> 8};
static const struct report_connection idle = {
    14, "[::1]:5", "GET", 78, 312, false, 3, idle_states, idle_times, 0,
};

static void reports_connections_to_machines(void **state UNUSED)
{
    struct report r = drained;
    r.connections = true;
    r.accept_stop_at = 90 * NSEC_PER_USEC;
    r.deadline = 25 * NSEC_PER_SEC;
    r.left_out = 7;
    report_json_begin(fresh(), &next, &r);
    assert_non_null(strstr(line.at, ",\"accept_stop_at_us\":90,\"deadline_us\":25000000,\"connections_left_out\":7"));
    size_t totals = line.len;
    struct report_connection cut = idle;
    cut.aborted = true;
    cut.peer = "a\"<b";
    cut.changes = 0;
    cut.left_out = 3;
    report_json_connection(&line, &next, &idle);
    report_json_connection(&line, &next, &cut);
    report_json_end(&line, &next);
    assert_string_equal(
        line.at + totals,
        ",\"aborts\":[],\"connections\":["
        "{\"pid\":14,\"peer\":\"[::1]:5\",\"method\":\"GET\",\"in_bytes\":78,\"out_bytes\":312,"
        "\"aborted\":false,\"changes\":[[\"idle\",0],[\"closing\",1000012],[\"closed\",72057594037927935]],"
        "\"left_out\":0},"
        "{\"pid\":14,\"peer\":\"a\\\"<b\",\"method\":\"GET\",\"in_bytes\":78,\"out_bytes\":312,"
        "\"aborted\":true,\"changes\":[],\"left_out\":3}]}\n");
    assert_true(is_json_line(line.at));
}

static void the_largest_connection_fits_in_two_kilobytes(void **state UNUSED)
{
    uint8_t states[CONN_HISTORY_CHANGES];
    uint64_t times[CONN_HISTORY_CHANGES];
    char peer[CONN_HISTORY_PEER], method[CONN_HISTORY_METHOD];
    memset(peer, 1, sizeof peer);
    memset(method, 1, sizeof method);
    peer[sizeof peer - 1] = method[sizeof method - 1] = '\0';
    for (unsigned i = 0; i < CONN_HISTORY_CHANGES; i++) {
        states[i] = i % 2 ? CONN_HISTORY_IN_FLIGHT : CONN_HISTORY_LINGERING;
        times[i] = UINT64_MAX;
    }
    const struct report_connection c = {INT32_MIN, peer,  method,    UINT64_MAX, UINT64_MAX, true, CONN_HISTORY_CHANGES,
                                        states,    times, UINT64_MAX};
    report_json_begin(fresh(), &next, &drained);
    text_init(&line, room, 2048);
    report_json_connection(&line, &next, &c);
    assert_false(line.truncated);
}

static void reports_nothing_to_machines(void **state UNUSED)
{
    report_json_begin(fresh(), &next, &nothing);
    report_json_end(&line, &next);
    assert_true(is_json_line(line.at));
    assert_non_null(strstr(line.at, "\"signal\":\"34\""));
    assert_non_null(strstr(line.at, "\"untracked\":0,\"aborts\":[]}\n"));
    assert_null(strstr(line.at, "processes"));
}

/* ---- the JSON line in pieces ----------------------------------------------------------------------- */

enum { BEGIN, PROCESS, ODD, CUT, LONG, CONNECTION, END, PIECES };

static void piece(struct text *t, enum report_json *at, int which)
{
    switch (which) {
    case BEGIN: report_json_begin(t, at, &drained); break;
    case PROCESS: report_json_process(t, at, &worker); break;
    case ODD: report_json_process(t, at, &odd); break;
    case CUT: report_json_aborted(t, at, &opaque); break;
    case LONG: report_json_aborted(t, at, &hostile); break;
    case CONNECTION: report_json_connection(t, at, &idle); break;
    case END: report_json_end(t, at); break;
    default: fail();
    }
}

/* As the drain thread does it: a buffer of its own for each piece, appended to what was written before. */
static bool stream(char *whole, size_t room_for, enum report_json *at, int which, size_t size)
{
    struct text t;
    char *buffer = malloc(size);
    assert_non_null(buffer);
    text_init(&t, buffer, size);
    piece(&t, at, which);
    bool kept = !t.truncated;
    assert_true(kept || t.len == 0);
    assert_true(t.len == strlen(buffer));
    assert_true(strlen(whole) + t.len < room_for);
    strcat(whole, buffer);
    free(buffer);
    return kept;
}

static void streams_in_pieces(void **state UNUSED)
{
    char whole[4096] = "";
    for (int which = BEGIN; which < PIECES; which++)
        assert_true(stream(whole, sizeof whole, &next, which, 1024));
    assert_true(is_json_line(whole));
    assert_non_null(strstr(whole, ",\"processes\":[{\"pid\":13,"));
    assert_non_null(strstr(whole, "},{\"pid\":14,"));
    assert_non_null(strstr(whole, "}],\"aborts\":[{\"peer\":\"unix\""));
    assert_non_null(strstr(whole, "},{\"peer\":\"[::1]:80\""));
}

static unsigned occurrences(const char *s, const char *of)
{
    unsigned n = 0;
    for (; (s = strstr(s, of)); s++)
        n++;
    return n;
}

static void streams_any_number_of_processes(void **state UNUSED)
{
    enum { MOST = 512, SPACE = MOST * 1024 };
    static const unsigned counts[] = {0, 1, 2, MOST};
    char *whole = malloc(SPACE);
    assert_non_null(whole);
    for (size_t i = 0; i < COUNT(counts); i++) {
        whole[0] = '\0';
        stream(whole, SPACE, &next, BEGIN, 1024);
        for (unsigned n = 0; n < counts[i]; n++)
            assert_true(stream(whole, SPACE, &next, n % 2 ? ODD : PROCESS, 1024));
        stream(whole, SPACE, &next, CUT, 1024);
        stream(whole, SPACE, &next, END, 1024);
        assert_true(is_json_line(whole));
        assert_int_equal(occurrences(whole, "{\"pid\":"), counts[i]);
        assert_int_equal(occurrences(whole, "\"processes\":["), counts[i] > 0);
    }
    free(whole);
}

/* Any piece may lack its room, the first of an array as well as the last: 16 bytes are enough for the end. */
static void streams_through_buffers_of_every_size(void **state UNUSED)
{
    for (unsigned tight = 0; tight < 1 << END; tight++)
        for (size_t size = 1; size < 600; size += size < 40 ? 1 : 7) {
            char whole[4096] = "";
            for (int which = BEGIN; which < END; which++)
                stream(whole, sizeof whole, &next, which, tight >> which & 1 ? size : 1024);
            assert_true(stream(whole, sizeof whole, &next, END, 16));
            assert_true(is_json_line(whole));
        }
}

static void an_end_without_room_can_be_said_again(void **state UNUSED)
{
    char whole[4096] = "";
    stream(whole, sizeof whole, &next, BEGIN, 1024);
    stream(whole, sizeof whole, &next, PROCESS, 1024);
    for (size_t size = 1; size <= strlen("],\"aborts\":[]}\n"); size++)
        assert_false(stream(whole, sizeof whole, &next, END, size));
    assert_true(stream(whole, sizeof whole, &next, END, 16));
    assert_true(is_json_line(whole));
}

/* Every order of five of the six pieces behind a begin, and the end: what may not come is left out, the rest stays. */
static void pieces_out_of_turn_are_left_out(void **state UNUSED)
{
    for (unsigned order = 0; order < 6 * 6 * 6 * 6 * 6; order++) {
        bool ended = false, cuts = false, connections = false;
        report_json_begin(fresh(), &next, &nothing);
        for (unsigned i = 0, rest = order; i < 5; i++, rest /= 6) {
            int which = PROCESS + (int)(rest % 6);
            bool in_turn =
                which == END || (!ended && (which == CONNECTION || (!connections && (which >= CUT || !cuts))));
            line.truncated = false;
            piece(&line, &next, which);
            assert_int_equal(line.truncated, !in_turn);
            cuts = cuts || which == CUT || which == LONG;
            connections = connections || which == CONNECTION;
            ended = ended || which == END;
        }
        report_json_end(&line, &next);
        assert_true(is_json_line(line.at));
    }
}

static void a_line_can_follow_a_line(void **state UNUSED)
{
    for (int i = 0; i < 2; i++) {
        fresh();
        for (int which = BEGIN; which < PIECES; which++)
            piece(&line, &next, which);
        assert_true(is_json_line(line.at));
        assert_non_null(strstr(line.at, "\"processes\":["));
    }
}

static void begin_out_of_room(void **state UNUSED)
{
    char whole[64] = "";
    assert_false(stream(whole, sizeof whole, &next, BEGIN, 200));
    assert_false(stream(whole, sizeof whole, &next, PROCESS, 1024));
    assert_false(stream(whole, sizeof whole, &next, CUT, 1024));
    assert_true(stream(whole, sizeof whole, &next, END, 4));
    assert_string_equal(whole, "{}\n");
}

/* ---- sums ----------------------------------------------------------------------------------------- */

/* Each counter has a number of its own, so that no two can be mixed up. */
static struct report_counts numbered(uint64_t base)
{
    struct report_counts c = {base + 1, base + 2, base + 3, base + 4, base + 5, base + 6, base + 7, base + 8, base + 9};
    return c;
}

static void sums_every_counter(void **state UNUSED)
{
    struct report_counts sum = {0}, more = numbered(0), is = numbered(0);
    report_counts_add(&sum, &more);
    assert_memory_equal(&sum, &is, sizeof sum);
    is = (struct report_counts){2, 4, 6, 8, 10, 12, 14, 16, 18};
    report_counts_add(&sum, &more);
    assert_memory_equal(&sum, &is, sizeof sum);
    report_counts_add(&more, &more);
    assert_memory_equal(&more, &is, sizeof more);
}

static void sums_big_numbers(void **state UNUSED)
{
    struct report_counts sum = numbered((uint64_t)1 << 62), more = numbered((uint64_t)1 << 61);
    report_counts_add(&sum, &more);
    assert_true(sum.in_flight == ((uint64_t)3 << 61) + 2 && sum.untracked == ((uint64_t)3 << 61) + 18);
    sum = (struct report_counts){.in_flight = UINT64_MAX - 1, .aborted = UINT64_MAX - 5, .opaque = UINT64_MAX};
    more = (struct report_counts){.in_flight = 1, .aborted = 7, .opaque = UINT64_MAX, .late_data = UINT64_MAX};
    report_counts_add(&sum, &more);
    assert_true(sum.in_flight == UINT64_MAX && sum.aborted == UINT64_MAX && sum.opaque == UINT64_MAX);
    assert_true(sum.late_data == UINT64_MAX && sum.close_sent == 0);
}

/* ---- room ----------------------------------------------------------------------------------------- */

static void names_every_end(void **state UNUSED)
{
    assert_string_equal(report_end_name(REPORT_DRAINED), "drained");
    assert_string_equal(report_end_name(REPORT_DEADLINE), "deadline");
    assert_string_equal(report_end_name(REPORT_SECOND_SIGNAL), "second_signal");
    assert_string_equal(report_end_name(REPORT_EXIT), "exit");
}

/* The report's buffer must hold any report without its arrays, and any process. */
static void largest_pieces_fit_in_a_kilobyte(void **state UNUSED)
{
    struct report r;
    memset(&r, 0xff, sizeof r);
    r.pid = r.signal = INT32_MIN;
    r.end = REPORT_SECOND_SIGNAL;
    r.mode = "external";
    r.accept_stop = "filter";
    r.connections = true;
    text_init(&line, room, 1024);
    report_json_begin(&line, &next, &r);
    report_json_end(&line, &next);
    assert_false(line.truncated);
    assert_true(is_json_line(line.at));
    text_init(&line, room, 1024);
    report_text(&line, &r);
    assert_false(line.truncated);

    struct report_process p = {INT32_MIN, "second_signal", r.counts};
    report_json_begin(fresh(), &next, &r);
    text_init(&line, room, 1024);
    report_json_process(&line, &next, &p);
    assert_false(line.truncated);
    text_init(&line, room, 1024);
    report_text_process(&line, &p);
    assert_false(line.truncated);
}

static size_t length_of_all_pieces(void)
{
    fresh();
    for (int which = BEGIN; which < PIECES; which++)
        piece(&line, &next, which);
    assert_false(line.truncated);
    return line.len;
}

/* Whatever the buffer, the line is whole: elements are left out, never halved. `{}` is the least. */
static void json_is_valid_at_every_size(void **state UNUSED)
{
    static const int order[] = {BEGIN, ODD,        PROCESS, LONG,
                                CUT,   CONNECTION, END}; /* too long at first, while the next fits */
    size_t full = length_of_all_pieces() + 1;
    for (size_t size = 1; size <= full; size++) {
        struct text t;
        char *buffer = malloc(size);
        assert_non_null(buffer);
        text_init(&t, buffer, size);
        for (size_t i = 0; i < COUNT(order); i++)
            piece(&t, &next, order[i]);
        assert_true(t.truncated == (size < full));
        assert_true(size < sizeof "{}\n" ? t.len == 0 : is_json_line(buffer));
        free(buffer);
    }
}

static void text_lines_end_at_every_size(void **state UNUSED)
{
    for (size_t size = 1; size < 500; size++)
        for (int which = 0; which < 4; which++) {
            struct text t;
            char *buffer = malloc(size);
            assert_non_null(buffer);
            text_init(&t, buffer, size);
            switch (which) {
            case 0: report_text(&t, &drained); break;
            case 1: report_text(&t, &nothing); break;
            case 2: report_text_process(&t, &odd); break;
            default: report_text_aborted(&t, &hostile); break;
            }
            assert_true(t.len < size);
            assert_true(size == 1 || buffer[t.len - 1] == '\n');
            free(buffer);
        }
}

/* ---- log lines ------------------------------------------------------------------------------------ */

static void log_hello(struct text *t, enum log_format format)
{
    log_line_begin(t, format, 1700000000123, LOG_WARN, 12, "cannot read");
    log_line_str(t, format, "name", "LASTCALL_LOG", 12);
    log_line_str(t, format, "value", "a b\n", 4);
    log_line_str(t, format, "empty", "", 0);
    log_line_u64(t, format, "n", UINT64_MAX);
    log_line_end(t, format);
}

static void logs_to_people(void **state UNUSED)
{
    log_hello(fresh(), LOG_TEXT);
    assert_string_equal(line.at, "lastcall[12] warn: cannot read name=LASTCALL_LOG value=\"a b\\x0a\" "
                                 "empty=\"\" n=18446744073709551615\n");
}

static void logs_to_machines(void **state UNUSED)
{
    log_hello(fresh(), LOG_JSON);
    assert_string_equal(line.at, "{\"time_ms\":1700000000123,\"level\":\"warn\",\"pid\":12,"
                                 "\"msg\":\"cannot read\",\"name\":\"LASTCALL_LOG\","
                                 "\"value\":\"a b\\u000a\",\"empty\":\"\",\"n\":18446744073709551615}\n");
    assert_true(is_json_line(line.at));
}

static void quotes_only_what_needs_it(void **state UNUSED)
{
    static const char *const plain[] = {"a", "/x?y&z", "1.2s", "[::1]:80", "~"};
    static const char *const quoted[] = {"", " ", "a=b", "a\"", "\\", "\x7f", "\xc3\xa4", "\t"};
    for (size_t i = 0; i < COUNT(plain); i++) {
        log_line_str(fresh(), LOG_TEXT, "k", plain[i], strlen(plain[i]));
        assert_int_equal(line.len, strlen(" k=") + strlen(plain[i]));
    }
    for (size_t i = 0; i < COUNT(quoted); i++) {
        log_line_str(fresh(), LOG_TEXT, "k", quoted[i], strlen(quoted[i]));
        assert_int_equal(line.at[3], '"');
    }
}

static void log_lines_end_at_every_size(void **state UNUSED)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)(255 - i);
    log_line_begin(fresh(), LOG_JSON, 1700000000123, LOG_WARN, 12, "m");
    size_t least = line.len + strlen("}\n") + 1;
    for (size_t size = 2; size < 2500; size++) {
        char *buffer = malloc(size);
        assert_non_null(buffer);
        for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
            struct text t;
            text_init(&t, buffer, size);
            log_line_begin(&t, format, 1700000000123, LOG_WARN, 12, "m");
            log_line_str(&t, format, "all", all, sizeof all);
            log_line_u64(&t, format, "n", 7);
            log_line_end(&t, format);
            assert_true(t.len < size && buffer[t.len - 1] == '\n');
            assert_true(format == LOG_TEXT || size < least || is_json_line(buffer));
        }
        free(buffer);
    }
}

static void long_values_keep_their_beginning(void **state UNUSED)
{
    char value[1000];
    memset(value, 'v', sizeof value);
    text_init(&line, room, 400);
    log_line_begin(&line, LOG_JSON, 1, LOG_INFO, 1, "m");
    log_line_str(&line, LOG_JSON, "k", value, sizeof value);
    log_line_end(&line, LOG_JSON);
    assert_true(line.truncated);
    assert_true(is_json_line(line.at));
    assert_non_null(strstr(line.at, "\"k\":\"vvvvvvvvvvvvvvvv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_can_refuse),
        cmocka_unit_test(an_external_drain_says_so),
        cmocka_unit_test(reports_to_people),
        cmocka_unit_test(reports_a_group_to_people),
        cmocka_unit_test(reports_the_aborted_to_people),
        cmocka_unit_test(reports_to_machines),
        cmocka_unit_test(reports_a_group_to_machines),
        cmocka_unit_test(reports_connections_to_machines),
        cmocka_unit_test(the_largest_connection_fits_in_two_kilobytes),
        cmocka_unit_test(reports_nothing_to_machines),
        cmocka_unit_test(streams_in_pieces),
        cmocka_unit_test(streams_any_number_of_processes),
        cmocka_unit_test(streams_through_buffers_of_every_size),
        cmocka_unit_test(an_end_without_room_can_be_said_again),
        cmocka_unit_test(pieces_out_of_turn_are_left_out),
        cmocka_unit_test(a_line_can_follow_a_line),
        cmocka_unit_test(begin_out_of_room),
        cmocka_unit_test(sums_every_counter),
        cmocka_unit_test(sums_big_numbers),
        cmocka_unit_test(names_every_end),
        cmocka_unit_test(largest_pieces_fit_in_a_kilobyte),
        cmocka_unit_test(json_is_valid_at_every_size),
        cmocka_unit_test(text_lines_end_at_every_size),
        cmocka_unit_test(logs_to_people),
        cmocka_unit_test(logs_to_machines),
        cmocka_unit_test(quotes_only_what_needs_it),
        cmocka_unit_test(says_that_it_begins),
        cmocka_unit_test(log_lines_end_at_every_size),
        cmocka_unit_test(long_values_keep_their_beginning),
    };
    return cmocka_run_group_tests_name("report_format", tests, NULL, NULL);
}
