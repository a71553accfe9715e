/* test_report.c: reports and log lines as people and as machines read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/report.h"

static char room[8192];
static struct text line;

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
    .took = 1234567890,
    .door = 12500 * NSEC_PER_USEC,
    .tail = 312456,
    .end = REPORT_DRAINED,
    .hidden = "hide",
    .in_flight = 8,
    .served_late = 3,
    .idle_closed = 50,
    .farewells = 11,
    .crossed = 1,
    .cut = 2,
    .unread_bytes = 4,
    .opaque = 5,
    .refused_unknown = 6,
};

static const struct report nothing = {.pid = 1, .signal = 34, .end = REPORT_DEADLINE};

static const struct report_cut get = {
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

static const struct report_cut opaque = {.peer = "unix", .method = ""};
static const struct report_cut hostile = {.peer = "[::1]:80", .method = "\"\n\x1b[2J\xff\\", .method_len = 8};

static void reports_to_people(void **state UNUSED)
{
    report_text(fresh(), &drained);
    assert_string_equal(line.at, "lastcall: drained pid=12 signal=TERM took=1.2s door=12.5ms hidden=hide "
                                 "in_flight=8 served_late=3 idle_closed=50 farewells=11 crossed=1 cut=2 "
                                 "unread_bytes=4 opaque=5 refused_unknown=6 tail=312us\n");
    report_text(fresh(), &nothing);
    assert_string_equal(line.at, "lastcall: deadline pid=1 signal=34 took=0s door=open hidden=none "
                                 "in_flight=0 served_late=0 idle_closed=0 farewells=0 crossed=0 "
                                 "cut=0 unread_bytes=0 opaque=0 refused_unknown=0 tail=0s\n");
}

static void reports_cuts_to_people(void **state UNUSED)
{
    report_text_cut(fresh(), &get);
    assert_string_equal(line.at, "lastcall: cut peer=127.0.0.1:5 method=GET age=60s request_bytes=78 "
                                 "head_sent=yes response=100/4096 unread_bytes=9\n");
    report_text_cut(fresh(), &opaque);
    assert_string_equal(line.at, "lastcall: cut peer=unix method=unknown age=unknown request_bytes=0 "
                                 "head_sent=no response=0/unknown unread_bytes=0\n");
    report_text_cut(fresh(), &hostile);
    assert_non_null(strstr(line.at, " method=\"\\\"\\x0a\\x1b[2J\\xff\\\\\" "));
}

static void reports_to_machines(void **state UNUSED)
{
    report_json_begin(fresh(), &drained);
    report_json_cut(&line, &get, true);
    report_json_cut(&line, &opaque, false);
    report_json_end(&line);
    assert_string_equal(line.at,
                        "{\"event\":\"drain\",\"version\":\"" LASTCALL_VERSION "\",\"pid\":12,\"signal\":\"TERM\","
                        "\"wall_start_ms\":1700000000123,\"end\":\"drained\",\"hidden\":\"hide\","
                        "\"took_us\":1234567,\"door_us\":12500,\"tail_us\":312,\"in_flight\":8,\"served_late\":3,"
                        "\"idle_closed\":50,\"farewells\":11,\"crossed\":1,\"cut\":2,\"unread_bytes\":4,"
                        "\"opaque\":5,\"refused_unknown\":6,\"cuts\":["
                        "{\"peer\":\"127.0.0.1:5\",\"method\":\"GET\",\"request_bytes\":78,\"response_bytes\":100,"
                        "\"response_total\":4096,\"head_sent\":true,\"age_us\":60000000,\"unread_bytes\":9},"
                        "{\"peer\":\"unix\",\"method\":\"\",\"request_bytes\":0,\"response_bytes\":0,"
                        "\"response_total\":null,\"head_sent\":false,\"age_us\":0,\"unread_bytes\":0}]}\n");
    assert_true(is_json_line(line.at));
}

/* As the pump does it: a small buffer for each element, written one after the other. */
static void reports_to_machines_in_pieces(void **state UNUSED)
{
    char whole[4096] = "", piece[1024];
    const struct report_cut *cuts[] = {&get, &opaque, &hostile};
    struct text t;
    for (int step = 0; step < 5; step++) {
        text_init(&t, piece, sizeof piece);
        if (step == 0)
            report_json_begin(&t, &drained);
        else if (step < 4)
            report_json_cut(&t, cuts[step - 1], step == 1);
        else
            report_json_end(&t);
        assert_false(t.cut);
        strncat(whole, piece, sizeof whole - strlen(whole) - 1);
    }
    assert_true(is_json_line(whole));
    assert_non_null(strstr(whole, "},{\"peer\":\"unix\""));
}

static void reports_nothing_to_machines(void **state UNUSED)
{
    report_json_begin(fresh(), &nothing);
    report_json_end(&line);
    assert_true(is_json_line(line.at));
    assert_non_null(strstr(line.at, "\"signal\":\"34\""));
    assert_non_null(strstr(line.at, "\"cuts\":[]}\n"));
}

static void names_every_end(void **state UNUSED)
{
    assert_string_equal(report_end_name(REPORT_DRAINED), "drained");
    assert_string_equal(report_end_name(REPORT_DEADLINE), "deadline");
    assert_string_equal(report_end_name(REPORT_SECOND_SIGNAL), "second_signal");
    assert_string_equal(report_end_name(REPORT_EXIT), "exit");
}

/* The pump's buffer must hold any report without its cuts. */
static void largest_report_fits_in_a_kilobyte(void **state UNUSED)
{
    struct report r;
    memset(&r, 0xff, sizeof r);
    r.pid = r.signal = INT32_MIN;
    r.end = REPORT_SECOND_SIGNAL;
    r.hidden = "filter";
    text_init(&line, room, 1024);
    report_json_begin(&line, &r);
    report_json_end(&line);
    assert_false(line.cut);
    assert_true(is_json_line(line.at));
    text_init(&line, room, 1024);
    report_text(&line, &r);
    assert_false(line.cut);
}

/* Whatever the buffer, once the begin fits the line is whole: elements are left out, never halved. */
static void json_is_valid_at_every_size(void **state UNUSED)
{
    report_json_begin(fresh(), &drained);
    size_t least = line.len + strlen("]}\n") + 1;
    for (size_t size = least; size < least + 700; size++) {
        struct text t;
        char *buffer = malloc(size);
        assert_non_null(buffer);
        text_init(&t, buffer, size);
        report_json_begin(&t, &drained);
        report_json_cut(&t, &hostile, true); /* too long at first, while the next one fits */
        report_json_cut(&t, &opaque, false);
        report_json_cut(&t, &get, false);
        report_json_end(&t);
        assert_true(is_json_line(buffer));
        free(buffer);
    }
}

static void cuts_text_at_every_size(void **state UNUSED)
{
    for (size_t size = 1; size < 500; size++) {
        struct text t;
        char *buffer = malloc(size);
        assert_non_null(buffer);
        text_init(&t, buffer, size);
        report_text(&t, size % 2 ? &drained : &nothing);
        assert_true(t.len < size);
        assert_true(size == 1 || buffer[t.len - 1] == '\n');
        text_init(&t, buffer, size);
        report_text_cut(&t, &hostile);
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
    assert_true(line.cut);
    assert_true(is_json_line(line.at));
    assert_non_null(strstr(line.at, "\"k\":\"vvvvvvvvvvvvvvvv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_can_refuse),
        cmocka_unit_test(reports_to_people),
        cmocka_unit_test(reports_cuts_to_people),
        cmocka_unit_test(reports_to_machines),
        cmocka_unit_test(reports_to_machines_in_pieces),
        cmocka_unit_test(reports_nothing_to_machines),
        cmocka_unit_test(names_every_end),
        cmocka_unit_test(largest_report_fits_in_a_kilobyte),
        cmocka_unit_test(json_is_valid_at_every_size),
        cmocka_unit_test(cuts_text_at_every_size),
        cmocka_unit_test(logs_to_people),
        cmocka_unit_test(logs_to_machines),
        cmocka_unit_test(quotes_only_what_needs_it),
        cmocka_unit_test(log_lines_end_at_every_size),
        cmocka_unit_test(long_values_keep_their_beginning),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
