/* test_layout.c: a drain read from a report, laid out, and drawn; and whatever else the report may hold. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/timeline/layout.h"
#include "repeats.h"

/* ---- an independent reader of XML: well-formed or not (XML 1.0, without declarations) ------------------- */

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == ':';
}

static const char *xml_entity(const char *s)
{
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strncmp(s, names[i], strlen(names[i])) == 0)
            return s + strlen(names[i]);
    return NULL;
}

/* Characters up to `end`; no control but the newline. */
static const char *xml_text(const char *s, char end)
{
    while (s && *s && *s != end) {
        if (*s == '<' || ((unsigned char)*s < ' ' && *s != '\n') || *s == 0x7f)
            return NULL;
        s = *s == '&' ? xml_entity(s) : s + 1;
    }
    return s;
}

/* Behind a `<`: to the end of the tag. *depth of open elements, whose names are on the stack. */
static const char *xml_tag(const char *s, const char **stack, size_t most, size_t *depth)
{
    bool closes = *s == '/';
    const char *name = s += closes;
    while (is_name(*s))
        s++;
    size_t n = (size_t)(s - name);
    if (n == 0 ||
        (closes && (*depth == 0 || strncmp(stack[*depth - 1], name, n) != 0 || is_name(stack[*depth - 1][n]))))
        return NULL;
    while (!closes && *s == ' ') {
        const char *key = ++s;
        while (is_name(*s))
            s++;
        if (s == key || *s++ != '=' || *s++ != '"')
            return NULL;
        s = xml_text(s, '"');
        if (!s || *s++ != '"')
            return NULL;
    }
    bool empty = !closes && *s == '/';
    s += empty;
    if (*s != '>' || *depth == most)
        return NULL;
    if (closes)
        --*depth;
    else if (!empty)
        stack[(*depth)++] = name;
    return s + 1;
}

static bool is_xml(const char *s)
{
    const char *stack[64];
    size_t depth = 0;
    if (strncmp(s, "<!DOCTYPE html>\n", 16) == 0)
        s += 16;
    if (*s != '<')
        return false;
    while (s && *s) {
        s = *s == '<' ? xml_tag(s + 1, stack, COUNT(stack), &depth) : xml_text(s, '<');
        if (depth == 0)
            return s && strcmp(s, "\n") == 0;
    }
    return false;
}

static void the_reader_can_refuse(void **state UNUSED)
{
    static const char *const good[] = {"<a/>\n", "<a b=\"&lt;\"><c>x &amp; y</c></a>\n", "<!DOCTYPE html>\n<a></a>\n"};
    static const char *const bad[] = {"",           "<a>\n",        "<a></b>\n",     "<a></ab>\n",     "<a/><b/>\n",
                                      "<a b=c/>\n", "<a>&x;</a>\n", "<a>\x01</a>\n", "<a b=\"<\"/>\n", "x<a/>\n"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(is_xml(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(is_xml(bad[i]));
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static char said[2048];
static struct timeline drain;

static void hear(const char *sentence)
{
    assert_true(strlen(said) + strlen(sentence) + 2 < sizeof said);
    for (const char *c = sentence; *c; c++)
        assert_true(*c >= ' ' && *c <= '~');
    strcat(said, sentence);
    strcat(said, "\n");
}

static bool read_bytes(const char *text, size_t n, unsigned wanted)
{
    const struct timeline_reader how = {"report", wanted, hear};
    FILE *in = fmemopen((void *)(uintptr_t)text, n, "r");
    assert_non_null(in);
    said[0] = '\0';
    bool good = timeline_read(&drain, in, &how);
    fclose(in);
    return good;
}

static bool read_text(const char *text)
{
    return read_bytes(text, strlen(text), 0);
}

static char *draw(enum timeline_format format, const char *title)
{
    char *drawn = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&drawn, &n);
    assert_non_null(out);
    assert_true(timeline_draw(out, &drain, format, title));
    fclose(out);
    return drawn;
}

#define TOTALS                                                                                                      \
    "{\"event\":\"drain\",\"version\":\"0.1.0\",\"pid\":70,\"signal\":\"TERM\",\"wall_start_ms\":1700000000123,"    \
    "\"end\":\"deadline\",\"accept_stop\":\"so_bindtoifindex\",\"duration_us\":1500000,\"accept_stopped_us\":2000," \
    "\"exit_delay_us\":1500000,\"in_flight\":"                                                                      \
    "2,"                                                                                                            \
    "\"served_after_signal\":1,\"idle_closed\":1,\"aborted\":1,\"opaque\":0,\"accept_stop_at_us\":300,\"deadline_"  \
    "us\":1500000,"                                                                                                 \
    "\"connections_left_out\":3,"
#define CUTS \
    "\"aborts\":[{\"peer\":\"10.0.0.1:9\",\"pid\":72,\"method\":\"PUT\",\"request_bytes\":5,\"age_us\":400000}]"
#define IDLE                                                                                                         \
    "{\"pid\":71,\"peer\":\"10.0.0.1:7\",\"method\":\"GET\",\"in_bytes\":78,\"out_bytes\":2312,\"aborted\":false,"   \
    "\"changes\":[[\"idle\",0],[\"closing\",1000000],[\"half_closed\",1000200],[\"lingering\",1000300],[\"closed\"," \
    "1400000]],"                                                                                                     \
    "\"left_out\":0}"
#define CUT                                                                                                   \
    "{\"pid\":72,\"peer\":\"10.0.0.1:9\",\"method\":\"PUT\",\"in_bytes\":5,\"out_bytes\":0,\"aborted\":true," \
    "\"changes\":[[\"idle\",0],[\"in_flight\",1100000]],\"left_out\":0}"
#define PROCESSES                                                                                                      \
    "\"processes\":[{\"pid\":70,\"end\":\"drained\"},{\"pid\":71,\"end\":\"drained\"},{\"pid\":72,\"end\":\"killed\"}" \
    "],"

static const char whole[] = TOTALS PROCESSES CUTS ",\"connections\":[" IDLE "," CUT "]}\n";

static void reads_a_report(void **state UNUSED)
{
    assert_true(read_text(whole));
    assert_string_equal(said, "");
    assert_true(drain.recorded && drain.duration == 1500000 && drain.accept_stopped == 2000 &&
                drain.deadline == 1500000);
    assert_true(drain.left_out == 3 && drain.aborted == 1 && drain.processes == 3 && drain.connections == 2);
    const struct timeline_connection *c = &drain.connection[0];
    assert_true(c->pid == 71 && c->in_bytes == 78 && c->out_bytes == 2312 && !c->aborted && c->changes == 5);
    assert_string_equal(c->peer, "10.0.0.1:7");
    assert_true(c->change[1].state == CONN_HISTORY_CLOSING && c->change[1].at == 1000000);
    assert_true(drain.connection[1].aborted);
    timeline_free(&drain);
}

static void draws_what_there_is_without_connections(void **state UNUSED)
{
    assert_true(read_text("{\"event\":\"drain\",\"pid\":70,\"duration_us\":1500000,\"aborted\":1," CUTS "}"));
    assert_true(!drain.recorded && drain.connections == 1 && drain.connection[0].aborted);
    assert_true(drain.connection[0].change[0].at == 1100000);
    char *drawn = draw(TIMELINE_SVG, NULL);
    assert_true(is_xml(drawn));
    assert_non_null(strstr(drawn, "LASTCALL_REPORT_CONNECTIONS=1"));
    free(drawn);
    timeline_free(&drain);
    assert_true(read_text("{\"event\":\"drain\",\"duration_us\":0}"));
    drawn = draw(TIMELINE_SVG, NULL);
    assert_true(is_xml(drawn));
    free(drawn);
    timeline_free(&drain);
}

static void takes_the_drain_that_is_wanted(void **state UNUSED)
{
    static const char text[] = "a log line\n{\"event\":\"drain\",\"duration_us\":1}\n{\"msg\":\"hello\"}\n\n[]\n"
                               "{\"event\":\"drain\",\"duration_us\":2}\r\n{\"event\":\"drain\",\"duration_us\":3,\"cu";
    for (unsigned wanted = 0; wanted <= 2; wanted++) {
        assert_true(read_bytes(text, strlen(text), wanted));
        assert_int_equal(drain.duration, wanted == 1 ? 1 : 2);
        assert_non_null(strstr(said, "report, line 1: it is no JSON"));
        assert_non_null(strstr(said, "report, line 7: it is no JSON, truncated by a crash perhaps"));
        timeline_free(&drain);
    }
    assert_false(read_bytes(text, strlen(text), 3));
    assert_non_null(strstr(said, "report tells of 2 drains; there is no drain 3\n"));
}

/* One sentence each, which names what is wrong. */
static void says_why_there_is_nothing(void **state UNUSED)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"\n", "holds no report of a drain; a server writes one into the file that its LASTCALL_REPORT names"},
        {"{}\n", "holds no report of a drain"},
        {"{\"event\":\"drain\"}\n", "line 1: a number in this report is missing or out of range"},
        {"{\"event\":\"drain\",\"duration_us\":-1}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":1.5}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":\"1\"}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":9223372036854775807}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":9223372036854775808}\n",
         "no JSON, truncated by a crash perhaps (too big"},
        {"{\"event\":\"drain\",\"duration_us\":1,\"deadline_us\":-5}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":1,\"wall_start_ms\":9223372036854775807}\n", "out of range"},
        {"{\"event\":\"drain\",\"duration_us\":1}\x01\x1b[31m\n", "no JSON"},
        {"\xff\xfe\n", "no JSON"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(read_text(cases[i].text));
        assert_non_null(strstr(said, cases[i].sentence));
    }
    char many[] = "x\nx\nx\nx\nx\n";
    assert_false(read_text(many));
    assert_non_null(strstr(said, "line 3"));
    assert_null(strstr(said, "line 4"));
    assert_non_null(strstr(said, "so are 2 lines more"));
}

static void leaves_out_connections_that_it_cannot_read(void **state UNUSED)
{
    static const char *const bad[] = {
        "7",
        "[]",
        "{}",
        "{\"changes\":[]}",
        "{\"changes\":{}}",
        "{\"changes\":[[\"idle\"]]}",
        "{\"changes\":[[\"idle\",-1]]}",
        "{\"changes\":[[\"idle\",1.0]]}",
        "{\"changes\":[[\"idle\",999999999999999999]]}",
        "{\"changes\":[[\"asleep\",0]]}",
        "{\"changes\":[[\"none\",0]]}",
        "{\"changes\":[[\"idle\",5],[\"closed\",4]]}",
        "{\"pid\":-4,\"changes\":[[\"idle\",0]]}",
        "{\"in_bytes\":\"many\",\"changes\":[[\"idle\",0]]}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[2048];
        snprintf(text, sizeof text, TOTALS "\"connections\":[%s," IDLE "]}", bad[i]);
        assert_true(read_text(text));
        assert_int_equal(drain.unreadable, 1);
        assert_int_equal(drain.connections, 1);
        timeline_free(&drain);
    }
}

/* ---- the layout ----------------------------------------------------------------------------------------------- */

/* n connections of `processes` processes, one in ten of them cut. */
static struct timeline_connection *made(unsigned n, unsigned processes)
{
    static const struct timeline_change served[] = {
        {0, CONN_HISTORY_IN_FLIGHT}, {400, CONN_HISTORY_HALF_CLOSED}, {800, CONN_HISTORY_CLOSED}};
    static const struct timeline_change late[] = {
        {100, CONN_HISTORY_IDLE}, {600, CONN_HISTORY_IN_FLIGHT}, {700, CONN_HISTORY_CLOSED}};
    static const struct timeline_change open_[] = {{0, CONN_HISTORY_IDLE}, {200, CONN_HISTORY_IN_FLIGHT}};
    static struct timeline_process process[TIMELINE_PROCESSES];
    static const struct {
        const struct timeline_change *change;
        unsigned changes;
    } lives[] = {{served, 3}, {late, 3}, {open_, 2}};
    struct timeline_connection *c = calloc(n + 1, sizeof *c);
    assert_non_null(c);
    for (unsigned i = 0; i < n; i++)
        c[i] = (struct timeline_connection){
            (int)(1 + i % processes), "peer", "GET", 1, 2, 0, i % 10 == 2, lives[i % 10 % 3].changes,
            lives[i % 10 % 3].change};
    for (unsigned i = 0; i < processes; i++)
        process[i] = (struct timeline_process){(int)i + 1, "drained"};
    drain = (struct timeline){.signal = "TERM",
                              .end = "drained",
                              .version = "1",
                              .duration = 1000,
                              .accept_stopped = 50,
                              .deadline = 25000,
                              .recorded = true,
                              .connection = c,
                              .connections = n,
                              .process = process,
                              .processes = processes > 1 ? processes : 0};
    return c;
}

static void check_layout(const struct timeline_layout *l)
{
    unsigned stands_for = 0;
    double bottom = l->rows_top;
    for (unsigned i = 0; i < l->rows; i++) {
        const struct timeline_row *r = &l->row[i];
        stands_for += r->stands_for;
        assert_true(r->y >= bottom - 0.001); /* below the one before */
        bottom = r->y + l->bar;
        for (unsigned s = r->first; s < r->first + r->segments; s++)
            assert_true(l->segment[s].x >= l->left && l->segment[s].x + l->segment[s].w <= l->right + 3.001);
    }
    assert_int_equal(stands_for, l->connections);
    assert_true(bottom <= l->rows_bottom + 0.001 && l->rows_bottom < l->height);
    for (unsigned i = 0; i < l->marks; i++)
        assert_true(l->mark[i].x >= l->left && l->mark[i].x <= l->right);
    assert_true(l->ticks >= 2 && l->ticks <= TIMELINE_TICKS);
    for (unsigned i = 1; i < l->ticks; i++)
        assert_true(l->tick[i].at > l->tick[i - 1].at && l->tick[i].at <= l->right);
}

static void lays_out_any_number(void **state UNUSED)
{
    static const unsigned numbers[] = {
        0, 1, 10, TIMELINE_NAMED, TIMELINE_NAMED + 1, 300, 1000, TIMELINE_ROWS, TIMELINE_ROWS + 1, 16384};
    static const unsigned processes[] = {1, 2, 9, 200};
    for (size_t i = 0; i < COUNT(numbers); i++)
        for (size_t p = 0; p < COUNT(processes); p++) {
            struct timeline_layout l;
            struct timeline_connection *c = made(numbers[i], processes[p]);
            assert_true(timeline_layout(&l, &drain));
            check_layout(&l);
            assert_true(l.named == (numbers[i] <= TIMELINE_NAMED));
            assert_true(l.height < 25000);
            timeline_layout_free(&l);
            free(c);
        }
}

static void sorts_by_end(void **state UNUSED)
{
    struct timeline_layout l;
    struct timeline_connection *c = made(30, 1);
    assert_true(timeline_layout(&l, &drain));
    for (unsigned i = 1; i < l.rows; i++)
        assert_true(l.row[i].end_x >= l.row[i - 1].end_x);
    assert_int_equal(l.bands, 0);
    timeline_layout_free(&l);
    free(c);
    c = made(31, 3);
    assert_true(timeline_layout(&l, &drain));
    assert_int_equal(l.bands, 3);
    assert_string_equal(l.band[1].label, "process 2, drained");
    assert_string_equal(l.band[0].detail, "11 connections");
    timeline_layout_free(&l);
    free(c);
}

static void divides_many_by_what_they_were(void **state UNUSED)
{
    struct timeline_layout l;
    struct timeline_connection *c = made(1000, 1);
    assert_true(timeline_layout(&l, &drain));
    static const char *const want[][2] = {{"100", "aborted"},
                                          {"400", "in flight at the signal"},
                                          {"300", "came after the signal"},
                                          {"200", "idle at the signal"}};
    assert_int_equal(l.bands, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_string_equal(l.band[i].label, want[i][0]);
        assert_string_equal(l.band[i].detail, want[i][1]);
    }
    assert_true(l.band[0].bad && !l.band[1].bad);
    timeline_layout_free(&l);
    free(c);
}

/* Where a row stands for several, one that was cut is not hidden by its neighbours. */
static void an_aborted_one_is_always_seen(void **state UNUSED)
{
    struct timeline_layout l;
    struct timeline_connection *c = made(16000, 200);
    unsigned red = 0;
    for (unsigned i = 0; i < drain.connections; i++)
        c[i].aborted = i == 4000;
    assert_true(timeline_layout(&l, &drain));
    for (unsigned i = 0; i < l.segments; i++)
        red += l.segment[i].look == TIMELINE_ABORTED;
    assert_int_equal(red, 1);
    assert_true(l.rows < 16000 && l.looks[TIMELINE_ABORTED]);
    timeline_layout_free(&l);
    free(c);
}

static void counts_over_time(void **state UNUSED)
{
    struct timeline_layout l;
    struct timeline_connection *c = made(1000, 1);
    assert_true(timeline_layout(&l, &drain));
    assert_int_equal(l.most, 1000);
    const unsigned *at = l.count + (size_t)((timeline_x(&l, 300) - l.left)) * TIMELINE_LOOKS;
    assert_int_equal(at[CONN_HISTORY_IN_FLIGHT], 400 + 200); /* served, and open */
    assert_int_equal(at[TIMELINE_ABORTED], 100);
    assert_int_equal(at[CONN_HISTORY_IDLE], 300);
    at = l.count + (size_t)(l.columns - 1) * TIMELINE_LOOKS;
    for (unsigned look = 0; look < TIMELINE_LOOKS; look++)
        assert_int_equal(at[look], 0); /* after the release */
    timeline_layout_free(&l);
    free(c);
}

static void labels_do_not_overlap(void **state UNUSED)
{
    struct timeline_layout l;
    struct timeline_connection *c = made(5, 1);
    static const uint64_t times[] = {0, 1, 5, 20, 300, 960, 999, 1000};
    for (size_t a = 0; a < COUNT(times); a++)
        for (size_t b = 0; b < COUNT(times); b++)
            for (size_t d = 0; d < COUNT(times); d++) {
                drain.accept_stop_at = times[a];
                drain.accept_stopped = times[b];
                drain.deadline = times[d];
                assert_true(timeline_layout(&l, &drain));
                for (unsigned i = 0; i < l.marks; i++)
                    for (unsigned k = 0; k < i; k++) {
                        const struct timeline_mark *p = &l.mark[i], *q = &l.mark[k];
                        double w = (double)strlen(p->label) * 6, v = (double)strlen(q->label) * 6;
                        double p0 = p->to_the_left ? p->label_x - w : p->label_x,
                               q0 = q->to_the_left ? q->label_x - v : q->label_x;
                        assert_true(p->label_y != q->label_y || p0 + w <= q0 || q0 + v <= p0);
                    }
                timeline_layout_free(&l);
            }
    free(c);
}

static void spells_numbers(void **state UNUSED)
{
    static const struct {
        double us;
        const char *text;
    } times[] = {{0, "0"},    {4, "0"},        {5, "0.01"},     {120, "0.12"},      {500, "0.50"},
                 {1000, "1"}, {21264, "21.3"}, {99940, "99.9"}, {1125488, "1,125"}, {3.2e14, "320,000,000,000"}};
    static const struct {
        uint64_t n;
        const char *text;
    } sizes[] = {{0, "0 B"},       {999, "999 B"},     {1000, "1.0 kB"},     {2312, "2.3 kB"},
                 {81920, "82 kB"}, {999999, "1.0 MB"}, {UINT64_MAX, "18 EB"}};
    char text[40];
    for (size_t i = 0; i < COUNT(times); i++) {
        timeline_ms(text, sizeof text, times[i].us);
        assert_string_equal(text, times[i].text);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        timeline_bytes(text, sizeof text, sizes[i].n);
        assert_string_equal(text, sizes[i].text);
    }
    timeline_count(text, sizeof text, UINT64_MAX);
    assert_string_equal(text, "18,446,744,073,709,551,615");
}

/* ---- the picture ----------------------------------------------------------------------------------------------- */

static void draws_svg_and_html(void **state UNUSED)
{
    assert_true(read_text(whole));
    for (int format = TIMELINE_SVG; format <= TIMELINE_HTML; format++) {
        char *drawn = draw(format, NULL);
        assert_true(is_xml(drawn));
        assert_non_null(strstr(drawn, "<title>1 of 5 connections aborted after 1,500 ms</title>"));
        assert_non_null(strstr(drawn, "PUT 10.0.0.1:9"));
        assert_non_null(strstr(drawn, "class=\"x\""));
        assert_non_null(strstr(drawn, "\n1,400 ms: closed"));
        assert_non_null(strstr(drawn, "without connections: process 70"));
        assert_null(strstr(drawn, "http-equiv=\"refresh\""));
        free(drawn);
        drawn = draw(format, "</title><script>alert(1)</script>&\x01\xc3\xa4");
        assert_true(is_xml(drawn));
        assert_null(strstr(drawn, "<script>alert"));
        free(drawn);
    }
    timeline_free(&drain);
}

static void draws_any_number(void **state UNUSED)
{
    static const unsigned numbers[] = {0, 1, 41, 1000, 5000};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct timeline_connection *c = made(numbers[i], 3);
        char *drawn = draw(TIMELINE_HTML, NULL);
        assert_true(is_xml(drawn));
        free(drawn);
        free(c);
    }
}

static void escapes_what_clients_say(void **state UNUSED)
{
    assert_true(read_text(
        TOTALS "\"connections\":[{\"pid\":1,\"peer\":\"<svg onload=alert(1)>\",\"method\":\"\\u0001]]>&\\\"'\\u202e\","
               "\"in_bytes\":1,\"out_bytes\":1,\"aborted\":false,\"changes\":[[\"idle\",0]]}],"
               "\"processes\":[{\"pid\":1,\"end\":\"<b>\"},{\"pid\":2,\"end\":\"\\u0007\"}]}"));
    for (int format = TIMELINE_SVG; format <= TIMELINE_HTML; format++) {
        char *drawn = draw(format, NULL);
        assert_true(is_xml(drawn));
        assert_null(strstr(drawn, "<svg onload"));
        assert_null(strstr(drawn, "\xe2\x80\xae")); /* turns the rest of the line around */
        free(drawn);
    }
    timeline_free(&drain);
}

/* ---- whatever a file may hold -------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static unsigned dice(unsigned sides)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (unsigned)(seed % sides);
}

static void mutate(char *text, size_t *n, size_t room)
{
    static const char *const words[] = {
        "-1",   "9223372036854775807", "99999999999999999999", "1e999",   "[",       "]",  "{", "}",    ",",  "\"",
        "null", "\"in_flight\"",       "\"closed\"",           "\\u0000", "\\ud800", "\n", ":", "true", "0.5"};
    const char *word = words[dice(COUNT(words))];
    size_t at = dice((unsigned)*n), len = strlen(word);
    switch (dice(5)) {
    case 0: text[at] = (char)dice(256); break;
    case 1: *n = at + 1; break; /* cut */
    case 2:
        memmove(text + at, text + at + 1, *n - at - 1);
        *n -= *n > 1;
        break;
    case 3:
        if (*n + len < room) {
            memmove(text + at + len, text + at, *n - at);
            memcpy(text + at, word, len);
            *n += len;
        }
        break;
    default:
        while (at < *n && !isdigit((unsigned char)text[at]))
            at++;
        if (at < *n)
            text[at] = (char)('0' + dice(10));
    }
}

/* Never a crash; a picture that is well-formed, or a sentence. */
static void survives_mutations(void **state UNUSED)
{
    unsigned drawn_count = 0, mutations = repeats(6000);
    char text[8192];
    for (unsigned i = 0; i < mutations; i++) {
        size_t n = sizeof whole - 1;
        memcpy(text, whole, n);
        for (unsigned k = 1 + dice(4); k > 0; k--)
            mutate(text, &n, sizeof text);
        if (!read_bytes(text, n, 0)) {
            assert_true(*said);
            continue;
        }
        char *drawn = draw(i % 2 ? TIMELINE_SVG : TIMELINE_HTML, NULL);
        assert_true(is_xml(drawn));
        free(drawn);
        timeline_free(&drain);
        drawn_count++;
    }
    assert_in_range(drawn_count, mutations / 6, mutations - mutations / 60); /* both happen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_can_refuse),
        cmocka_unit_test(reads_a_report),
        cmocka_unit_test(draws_what_there_is_without_connections),
        cmocka_unit_test(takes_the_drain_that_is_wanted),
        cmocka_unit_test(says_why_there_is_nothing),
        cmocka_unit_test(leaves_out_connections_that_it_cannot_read),
        cmocka_unit_test(lays_out_any_number),
        cmocka_unit_test(sorts_by_end),
        cmocka_unit_test(divides_many_by_what_they_were),
        cmocka_unit_test(an_aborted_one_is_always_seen),
        cmocka_unit_test(counts_over_time),
        cmocka_unit_test(labels_do_not_overlap),
        cmocka_unit_test(spells_numbers),
        cmocka_unit_test(draws_svg_and_html),
        cmocka_unit_test(draws_any_number),
        cmocka_unit_test(escapes_what_clients_say),
        cmocka_unit_test(survives_mutations),
    };
    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
