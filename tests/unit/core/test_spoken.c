/* test_spoken.c: what the first bytes of both sides say of a listener, and what a group remembers of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/conn_spoken.h"
#include "core/spoken.h"

#define GET      "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define BAD_     "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\x06\4\0\0\0\0\0\0\0\0\0\0\0"
#define TLS      "\x16\x03\x01\0\x08\1\0\0\4\3\3\0\0"
#define TLS_OUT  "\x16\x03\x03\0\4\2\0\0\0"
#define FCGI     "\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0"
#define FCGI_OUT "\1\6\0\1\0\0\0\0"
#define V1       "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
#define UWSGI    "\0\x40\0\0\x0e\0REQUEST_METHOD"
#define SCGI     "70:CONTENT_LENGTH\0"

/* What goes in ('<') and out ('>') in sequence, and what it says of a listener on TCP, and of one of AF_UNIX. */
static const struct story {
    const char *name;
    struct {
        char way;
        const char *bytes;
        size_t n;
    } step[4];
    enum spoken tcp, unix_;
} stories[] = {
#define IN(b)                 \
    {                         \
        '<', b, sizeof(b) - 1 \
    }
#define OUT(b)                \
    {                         \
        '>', b, sizeof(b) - 1 \
    }
#define UNSEEN(n)    \
    {                \
        '>', NULL, n \
    }
    {"nothing yet", {{0, NULL, 0}}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"half a head", {IN("GET / HTTP/1.1\r\nHo")}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"a request", {IN(GET)}, SPOKEN_UNKNOWN, SPOKEN_HTTP},
    {"a request and its answer", {IN(GET), OUT(OK)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"half an answer", {IN(GET), OUT("HTTP/1.1 200 OK\r\n")}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"a request of PROXY's client", {IN(V1 GET), OUT(OK)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"bare LF", {IN("GET / HTTP/1.0\n\n"), OUT(OK)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"TLS", {IN(TLS), OUT(TLS_OUT)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"h2", {IN(PREFACE), OUT(SETTINGS)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"h2, the server first", {OUT(SETTINGS)}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"FastCGI", {IN(FCGI), OUT(FCGI_OUT)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"uwsgi", {IN(UWSGI), OUT(OK)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"SCGI", {IN(SCGI), OUT("Status: 200 OK\r\n\r\n")}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"a request that no parser reads alike", {IN("GET / HTTP/1.1\r\n\1: b\r\n\r\n")}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"HTTP/0.9", {IN("GET /\r\n"), OUT("<html>")}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"shoutcast", {IN(GET), OUT("ICY 200 OK\r\n")}, SPOKEN_UNKNOWN, SPOKEN_HTTP},
    {"408, no request",
     {OUT("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")},
     SPOKEN_UNKNOWN,
     SPOKEN_UNKNOWN},
    {"garbage for an HTTP server", {IN("hello\r\n"), OUT(BAD_)}, SPOKEN_UNKNOWN, SPOKEN_OTHER},
    {"garbage, no answer", {IN("hello\r\n")}, SPOKEN_UNKNOWN, SPOKEN_OTHER},
    {"TLS for a plaintext HTTP server", {IN(TLS), OUT(BAD_)}, SPOKEN_HTTP, SPOKEN_HTTP},
    {"an answer that nobody sees", {IN("hello\r\n"), UNSEEN(9), OUT("+OK\r\n")}, SPOKEN_UNKNOWN, SPOKEN_OTHER},
    {"redis", {IN("*1\r\n$4\r\nPING\r\n"), OUT("+PONG\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"a line, by letters", {IN("PI"), IN("NG\r\n"), OUT("+PONG\r\n")}, SPOKEN_UNKNOWN, SPOKEN_UNKNOWN},
    {"an odd verb", {IN("GET key\r\n"), OUT("$-1\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"memcached", {IN("set a 0 0 1\r\nb\r\n"), OUT("STORED\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"STOMP", {IN("CONNECT\nhost:a\n\n\0"), OUT("CONNECTED\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"RTSP", {IN("OPTIONS rtsp://a RTSP/1.0\r\n\r\n"), OUT("RTSP/1.0 200 OK\r\n\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"postgres", {IN("\0\0\0\x08\4\xd2\x16\x2f"), OUT("N")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"DNS", {IN("\0\x1d\0\1\1\0\0\1\0\0\0\0\0\0"), OUT("\0\x2d\0\1\x81\x80")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"SMTP", {OUT("220 here\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"SMTP behind PROXY", {IN(V1), OUT("220 here\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"MySQL",
     {OUT("\x4a\0\0\0\x0a"
          "8.0\0")},
     SPOKEN_OTHER,
     SPOKEN_OTHER},
    {"ssh, both at once", {IN("SSH-2.0-a b\r\n"), OUT("SSH-2.0-b\r\n")}, SPOKEN_OTHER, SPOKEN_OTHER},
    {"TLS for redis", {IN(TLS), OUT("-ERR Protocol error\r\n")}, SPOKEN_OTHER, SPOKEN_HTTP},
};

static enum spoken tell(const struct story *s, bool unix_)
{
    static struct conn c;
    conn_init(&c, 3, 0, unix_);
    for (size_t i = 0; i < COUNT(s->step) && s->step[i].way; i++)
        if (s->step[i].way == '<')
            conn_received(&c, s->step[i].bytes, s->step[i].n);
        else
            conn_sent(&c, s->step[i].bytes, s->step[i].n, s->step[i].n);
    return conn_spoken(&c);
}

static void connections_tell(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(stories); i++) {
        enum spoken tcp = tell(&stories[i], false), unix_ = tell(&stories[i], true);
        if (tcp != stories[i].tcp || unix_ != stories[i].unix_)
            fail_msg("%s: %d, AF_UNIX %d", stories[i].name, tcp, unix_);
    }
}

/* Whole, byte by byte: never what the other says the opposite of. */
static void splits_do_not_turn_it(void **state UNUSED)
{
    static struct conn c;
    for (size_t i = 0; i < COUNT(stories); i++) {
        const struct story *s = &stories[i];
        conn_init(&c, 3, 0, false);
        for (size_t k = 0; k < COUNT(s->step) && s->step[k].way; k++)
            for (size_t n = 0; n < s->step[k].n; n++)
                if (s->step[k].way == '<')
                    conn_received(&c, s->step[k].bytes + n, 1);
                else
                    conn_sent(&c, s->step[k].bytes ? s->step[k].bytes + n : NULL, 1, 1);
        enum spoken what = conn_spoken(&c);
        if (what != s->tcp && what != SPOKEN_UNKNOWN)
            fail_msg("%s, byte by byte: %d", s->name, what);
        if (s->tcp == SPOKEN_HTTP && what != SPOKEN_HTTP)
            fail_msg("%s, byte by byte, is not HTTP any more", s->name);
    }
}

static void only_what_is_no_http_is_so(void **state UNUSED)
{
    static struct conn c;
    conn_init(&c, 3, 0, false);
    conn_received(&c, "a.b.c 1 1\n", 10);
    assert_true(conn_spoken_is_no_http(&c));
    conn_sent(&c, BAD_, sizeof BAD_ - 1, sizeof BAD_ - 1);
    assert_false(conn_spoken_is_no_http(&c));
    conn_init(&c, 3, 0, false);
    conn_received(&c, GET, sizeof GET - 1);
    assert_false(conn_spoken_is_no_http(&c));
}

/* ---- the table ---- */

static void remembers_the_most(void **state UNUSED)
{
    static struct spoken_table t;
    memset(&t, 0, sizeof t);
    assert_int_equal(spoken_get(&t, 5), SPOKEN_UNKNOWN);
    spoken_put(&t, 5, SPOKEN_OTHER);
    assert_int_equal(spoken_get(&t, 5), SPOKEN_OTHER);
    spoken_put(&t, 5, SPOKEN_HTTP); /* one connection is enough, for good */
    spoken_put(&t, 5, SPOKEN_OTHER);
    assert_int_equal(spoken_get(&t, 5), SPOKEN_HTTP);
    assert_int_equal(spoken_get(&t, 6), SPOKEN_UNKNOWN);
    spoken_put(&t, 0, SPOKEN_HTTP); /* no inode */
    assert_int_equal(spoken_get(&t, 0), SPOKEN_UNKNOWN);
}

static void is_told_once(void **state UNUSED)
{
    static struct spoken_table t;
    memset(&t, 0, sizeof t);
    spoken_put(&t, 7, SPOKEN_OTHER);
    assert_true(spoken_tell(&t, 7));
    assert_false(spoken_tell(&t, 7));
}

enum { NOW_S = 5000 };
#define NOW (NOW_S * NSEC_PER_SEC)

static void a_listener_is_internal_while_the_group_alone_connects(void **state UNUSED)
{
    static struct spoken_table t;
    memset(&t, 0, sizeof t);
    assert_false(spoken_is_internal(&t, 7, NOW));
    uint32_t *accepts = spoken_accepts(&t, 7);
    assert_non_null(accepts);
    assert_false(spoken_is_internal(&t, 7, NOW)); /* nobody has connected */
    for (int i = 0; i < 2; i++)
        spoken_connected(&t, 7, spoken_connecting(&t, NOW));
    spoken_connected(&t, 0, spoken_connecting(&t, NOW));
    assert_true(spoken_is_internal(&t, 7, NOW)); /* two wait to be accepted */
    *accepts = 2;
    assert_true(spoken_is_internal(&t, 7, NOW));
    *accepts = 3;
    uint32_t begun = spoken_connecting(&t, NOW);
    assert_true(spoken_is_internal(&t, 7, NOW)); /* the third may be the one that is being made */
    spoken_connected(&t, 0, begun);
    /* it was somebody else's */
    assert_false(spoken_is_internal(&t, 7, NOW));
    assert_false(spoken_is_internal(&t, 8, NOW));
    assert_null(spoken_accepts(&t, 0)); /* no inode */
}

/* Its process was killed in the call, or its thread cancelled: an outsider's connection must not pass for it for
 * ever. */
static void a_connect_that_never_ends_is_forgotten(void **state UNUSED)
{
    static struct spoken_table t;
    memset(&t, 0, sizeof t);
    uint32_t *accepts = spoken_accepts(&t, 7);
    spoken_connected(&t, 7, spoken_connecting(&t, NOW));
    uint32_t lost = spoken_connecting(&t, NOW);
    *accepts = 2;
    assert_true(spoken_is_internal(&t, 7, NOW));
    assert_true(spoken_is_internal(&t, 7, NOW + SPOKEN_CONNECT - NSEC_PER_SEC)); /* it may still be under way */
    assert_false(spoken_is_internal(&t, 7, NOW + 2 * SPOKEN_CONNECT));
    nsec_t later = NOW + 2 * SPOKEN_CONNECT; /* whose calls are counted where the lost one was */
    uint32_t begun = spoken_connecting(&t, later);
    assert_true(spoken_is_internal(&t, 7, later));
    spoken_connected(&t, 0, lost); /* it ends after all: it is not taken for the other */
    assert_true(spoken_is_internal(&t, 7, later));
    spoken_connected(&t, 0, spoken_connecting(&t, NOW)); /* another process's clock is late */
    assert_true(spoken_is_internal(&t, 7, later));
    spoken_connected(&t, 0, begun);
    assert_false(spoken_is_internal(&t, 7, later));
}

static void full_or_spoilt_it_knows_nothing(void **state UNUSED)
{
    static struct spoken_table t;
    memset(&t, 0, sizeof t);
    for (uint64_t i = 1; i <= SPOKEN_LISTENERS; i++)
        spoken_put(&t, i, SPOKEN_OTHER);
    spoken_put(&t, 1000, SPOKEN_OTHER);
    assert_int_equal(spoken_get(&t, 1000), SPOKEN_UNKNOWN);
    assert_int_equal(spoken_get(&t, SPOKEN_LISTENERS), SPOKEN_OTHER);
    t.listener[0].spoken = 99;
    assert_int_equal(spoken_get(&t, 1), SPOKEN_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_tell),
        cmocka_unit_test(splits_do_not_turn_it),
        cmocka_unit_test(only_what_is_no_http_is_so),
        cmocka_unit_test(remembers_the_most),
        cmocka_unit_test(is_told_once),
        cmocka_unit_test(a_listener_is_internal_while_the_group_alone_connects),
        cmocka_unit_test(a_connect_that_never_ends_is_forgotten),
        cmocka_unit_test(full_or_spoilt_it_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
