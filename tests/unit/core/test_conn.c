/* test_conn.c: both directions of a connection together: what is outstanding, when it is in flight, when we no longer
 * understand it, and in which of several heads the close option belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/conn.h"

#define GET      "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEAD_    "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
#define CONNECT_ "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
#define POST(n)  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " #n "\r\n\r\n"
#define OK0      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK5      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define OK5_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define CHUNKED  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define NOBODY   "HTTP/1.1 204 No Content\r\n\r\n"
#define E408     "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define E413     "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"

/* One read or write of the program, and what is so behind its last byte. state: f in flight, o a request is half
 * arrived, x opaque. `done`: responses completed by it. */
struct step {
    char way; /* '<' comes in, '>' goes out, '}' n bytes go out unseen (sendfile), '{' come in unseen */
    const char *text;
    unsigned pending, done;
    const char *state;
    size_t unseen;
};

struct story {
    const char *name;
    struct step step[10];
};

static const struct story stories[] = {
    {"one request", {{'<', GET, 1, 0, "f", 0}, {'>', OK5, 0, 1, "", 0}}},
    {"half a head is in flight",
     {{'<', "GET / HT", 0, 0, "fo", 0}, {'<', "TP/1.1\r\n\r\n", 1, 0, "f", 0}, {'>', OK0, 0, 1, "", 0}}},
    {"one byte is in flight", {{'<', "G", 0, 0, "fo", 0}}},
    {"an empty line is not a request", {{'<', "\r\n", 0, 0, "", 0}}},
    {"half a response is in flight",
     {{'<', GET, 1, 0, "f", 0}, {'>', OK5_HEAD "hel", 1, 0, "f", 0}, {'>', "lo", 0, 1, "", 0}}},
    {"the body of a request",
     {{'<', POST(5) "ab", 1, 0, "fo", 0}, {'<', "cde", 1, 0, "f", 0}, {'>', NOBODY, 0, 1, "", 0}}},
    {"three pipelined", {{'<', GET GET GET, 3, 0, "f", 0}, {'>', OK5, 2, 1, "f", 0}, {'>', OK0 OK5, 0, 2, "", 0}}},
    {"pipelined, answers in one write", {{'<', GET POST(1) "x" GET, 3, 0, "f", 0}, {'>', OK5 OK0 NOBODY, 0, 3, "", 0}}},
    {"HEAD has no body", {{'<', HEAD_ GET, 2, 0, "f", 0}, {'>', OK5_HEAD, 1, 1, "f", 0}, {'>', OK5, 0, 1, "", 0}}},
    {"HEAD between GETs",
     {{'<', GET HEAD_ HEAD_ GET, 4, 0, "f", 0}, {'>', OK5 OK5_HEAD, 2, 2, "f", 0}, {'>', OK5_HEAD OK5, 0, 2, "", 0}}},
    {"1xx answers nothing",
     {{'<', POST(1), 1, 0, "fo", 0},
      {'>', "HTTP/1.1 100 Continue\r\n\r\n", 1, 0, "fo", 0},
      {'<', "x", 1, 0, "f", 0},
      {'>', OK0, 0, 1, "", 0}}},
    {"early answer, then the rest of the body",
     {{'<', POST(5) "a", 1, 0, "fo", 0},
      {'>', E413, 0, 1, "fo", 0},
      {'<', "bcde", 0, 0, "", 0},
      {'<', GET, 1, 0, "f", 0},
      {'>', OK0, 0, 1, "", 0}}},
    {"unsolicited 408", {{'>', E408, 0, 1, "", 0}}},
    {"408 to half a head", {{'<', "GET / H", 0, 0, "fo", 0}, {'>', E408, 0, 1, "fo", 0}}},
    {"CONNECT refused",
     {{'<', CONNECT_, 1, 0, "f", 0}, {'>', "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", 0, 1, "", 0}}},
    {"CONNECT accepted is a tunnel", {{'<', CONNECT_, 1, 0, "f", 0}, {'>', "HTTP/1.1 200 OK\r\n\r\n", 1, 0, "x", 0}}},
    {"upgraded is a tunnel",
     {{'<', "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 1, 0, "f", 0},
      {'>', "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 1, 0, "x", 0}}},
    {"sendfile behind the head",
     {{'<', GET, 1, 0, "f", 0}, {'>', OK5_HEAD, 1, 0, "f", 0}, {'}', "", 1, 0, "f", 2}, {'}', "", 0, 1, "", 3}}},
    {"sendfile past the body", {{'<', GET, 1, 0, "f", 0}, {'>', OK5_HEAD, 1, 0, "f", 0}, {'}', "", 1, 0, "x", 6}}},
    {"sendfile of a head", {{'<', GET, 1, 0, "f", 0}, {'}', "", 1, 0, "x", 50}}},
    {"splice of a body in",
     {{'<', POST(9), 1, 0, "fo", 0}, {'{', "", 1, 0, "fo", 8}, {'{', "", 1, 0, "f", 1}, {'>', OK0, 0, 1, "", 0}}},
    {"splice of a head in", {{'{', "", 0, 0, "x", 9}}},
    {"chunked",
     {{'<', GET, 1, 0, "f", 0}, {'>', CHUNKED "3\r\nabc\r\n", 1, 0, "f", 0}, {'>', "0\r\n\r\n", 0, 1, "", 0}}},
    {"until close never ends", {{'<', GET, 1, 0, "f", 0}, {'>', "HTTP/1.1 200 OK\r\n\r\nand so on", 1, 0, "f", 0}}},
    {"not HTTP at all", {{'<', "\x16\x03\x01", 0, 0, "x", 0}}},
    {"HTTP/2", {{'<', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 0, "x", 0}}},
    {"an answer that is not HTTP", {{'<', GET, 1, 0, "f", 0}, {'>', "hello\r\n", 1, 0, "x", 0}}},
    {"two ways to read a length",
     {{'<', "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 0, 0, "x", 0}}},
};

static void tell(char *out, const struct conn *c)
{
    if (conn_in_flight(c))
        *out++ = 'f';
    if (conn_request_open(c))
        *out++ = 'o';
    if (conn_is_opaque(c))
        *out++ = 'x';
    *out = '\0';
}

static unsigned make(struct conn *c, const struct step *s, size_t piece)
{
    size_t n = strlen(s->text);
    unsigned done = 0;
    if (s->way == '{')
        conn_received(c, NULL, s->unseen);
    if (s->way == '}')
        done = conn_sent(c, NULL, s->unseen, s->unseen);
    for (size_t at = 0; at < n; at += piece) {
        size_t len = n - at < piece ? n - at : piece;
        char *copy = malloc(len); /* so that the sanitizer sees a byte too far */
        memcpy(copy, s->text + at, len);
        if (s->way == '<')
            conn_received(c, copy, len);
        else
            done += conn_sent(c, copy, len, len);
        free(copy);
        assert_true(conn_is_valid(c));
    }
    return done;
}

static void tell_story(const struct story *story, size_t piece)
{
    struct conn c = {.index = 7};
    uint64_t in = 0, out = 0;
    conn_init(&c, 5, 1, false);
    for (const struct step *s = story->step; s->way; s++) {
        char state[4];
        unsigned done = make(&c, s, piece);
        size_t n = strlen(s->text) + s->unseen;
        *(s->way == '<' || s->way == '{' ? &in : &out) += n;
        tell(state, &c);
        if (done != s->done || c.ring.pending != s->pending || strcmp(state, s->state) != 0)
            fail_msg("%s, step %zu, pieces of %zu: done %u, pending %u, state '%s'", story->name,
                     (size_t)(s - story->step) + 1, piece, done, c.ring.pending, state);
        /* Bytes are counted whatever they are: the kernel's counts are compared with these. */
        assert_int_equal(c.read_bytes, in);
        assert_int_equal(c.written_bytes, out);
    }
}

static void stories_whole_and_in_pieces(void **unused UNUSED)
{
    for (size_t i = 0; i < COUNT(stories); i++)
        for (size_t piece = 1; piece <= 64; piece = piece < 9 ? piece + 1 : piece * 2)
            tell_story(&stories[i], piece);
    for (size_t i = 0; i < COUNT(stories); i++)
        tell_story(&stories[i], 100000);
}

/* ---- what is not HTTP/1 ---- */

#define V2                                 \
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" \
    "abcdefghijkl"

static const struct other {
    const char *name, *bytes;
    size_t len;
    bool opaque;
    enum opaque_protocol protocol;
    unsigned pending;
} others[] = {
#define O(name, bytes, opaque, protocol, pending)                \
    {                                                            \
        name, bytes, sizeof bytes - 1, opaque, protocol, pending \
    }
    O("tls", "\x16\x03\x01\x00\x05hello", true, OPAQUE_TLS, 0),
    O("fastcgi",
      "\x01\x01\x00\x01\x00\x08\x00\x00"
      "abcdefgh",
      true, OPAQUE_FASTCGI, 0),
    O("uwsgi", "\x00\x60\x01\x00\x0c\x00QUERY_STRING", true, OPAQUE_ONE_REQUEST, 0),
    O("scgi", "70:CONTENT_LENGTH", true, OPAQUE_ONE_REQUEST, 0),
    O("http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true, OPAQUE_HTTP2, 0),
    O("redis", "*1\r\n$4\r\nPING\r\n", true, OPAQUE_UNKNOWN, 0),
    O("garbage behind a request", GET "\x16\x03\x01\x00\x05hello", true, OPAQUE_UNKNOWN, 1),
    O("a proxy's line", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" GET GET, false, OPAQUE_UNDECIDED, 2),
    O("a proxy's block", V2 GET, false, OPAQUE_UNDECIDED, 1),
    O("a proxy's block alone", V2, false, OPAQUE_UNDECIDED, 0),
    O("a proxy's block before tls", V2 "\x16\x03\x01\x00\x05hello", true, OPAQUE_TLS, 0),
    O("a proxy's block before http/2", V2 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true, OPAQUE_HTTP2, 0),
    O("two of a proxy's blocks", V2 V2, true, OPAQUE_UNKNOWN, 0),
    O("a proxy's line that is too long",
      "PROXY TCP4 "
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n",
      true, OPAQUE_UNKNOWN, 0),
};

static void other_protocols(void **unused UNUSED)
{
    for (size_t i = 0; i < COUNT(others); i++)
        for (size_t piece = 1; piece <= others[i].len; piece++) {
            const struct other *o = &others[i];
            struct conn c = {.index = 7};
            conn_init(&c, 5, 1, false);
            for (size_t at = 0, len; at < o->len; at += len) {
                len = o->len - at < piece ? o->len - at : piece;
                char *copy = malloc(len);
                memcpy(copy, o->bytes + at, len);
                conn_received(&c, copy, len);
                free(copy);
            }
            if (conn_is_opaque(&c) != o->opaque || c.opaque.protocol != o->protocol || c.ring.pending != o->pending)
                fail_msg("%s, pieces of %zu: opaque %d, protocol %d, pending %u", o->name, piece, conn_is_opaque(&c),
                         c.opaque.protocol, c.ring.pending);
        }
}

/* ---- the ring ---- */

static void fill(struct conn *c, const char *request, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        conn_received(c, request, strlen(request));
}

static void a_thousand_alike_in_one_read(void **unused UNUSED)
{
    enum { N = 1000 }; /* 33 runs: more than one run, fewer than the ring has */
    struct conn c = {.index = 0};
    size_t len = strlen(GET);
    char *all = malloc(N * len);
    for (unsigned i = 0; i < N; i++)
        memcpy(all + i * len, GET, len);
    conn_init(&c, 5, 0, false);
    conn_received(&c, all, N * len);
    free(all);
    assert_int_equal(c.ring.pending, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(conn_in_flight(&c) && conn_is_valid(&c));
        assert_int_equal(conn_sent(&c, OK5, strlen(OK5), strlen(OK5)), 1);
        assert_int_equal(c.ring.pending, N - 1 - i);
    }
    assert_false(conn_in_flight(&c));
    assert_false(conn_is_opaque(&c));
}

static void ring_wraps(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    /* 70,000 turns: the 16-bit ends of the ring go round as well. Always a few are outstanding. */
    fill(&c, GET, 3);
    fill(&c, HEAD_, 3);
    for (unsigned i = 0; i < 70000; i++) {
        const char *answer = i % 6 < 3 ? OK5 : OK5_HEAD;
        fill(&c, i % 6 < 3 ? GET : HEAD_, 1);
        assert_int_equal(conn_sent(&c, answer, strlen(answer), 0), 1);
        assert_int_equal(c.ring.pending, 6);
    }
    assert_false(conn_is_opaque(&c));
    assert_true(conn_is_valid(&c));
}

static void full_ring_is_opaque(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    fill(&c, GET, CONN_RING);
    assert_false(conn_is_opaque(&c));
    assert_int_equal(c.ring.pending, CONN_RING);
    fill(&c, GET, 1);
    assert_true(conn_is_opaque(&c));
    assert_false(conn_in_flight(&c));
    /* And goes on counting the bytes, and nothing else. */
    uint64_t before = c.read_bytes;
    fill(&c, GET, 1000);
    assert_int_equal(c.read_bytes, before + 1000 * strlen(GET));
    assert_int_equal(conn_sent(&c, OK5, strlen(OK5), 50), 0);
    assert_true(conn_is_valid(&c));
}

static void too_many_kinds_are_opaque(void **unused UNUSED)
{
    enum { PAIRS = CONN_RING / 2 + 1 };
    struct conn c = {.index = 0};
    char all[PAIRS * (sizeof GET + sizeof HEAD_)] = "";
    for (unsigned i = 0; i < PAIRS; i++)
        strcat(strcat(all, GET), HEAD_);
    conn_init(&c, 5, 0, false);
    conn_received(&c, all, strlen(all));
    assert_true(conn_is_opaque(&c));
}

/* ---- where the close option belongs ---- */

/* `in` has been read; would the program now write `out`, which of its heads is the last outstanding one? `at` is marked
 * in `out` by a '|', which is not sent; none: no such head. */
struct placement {
    const char *name, *in, *sent, *out;
    bool more;
};

#define H "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"

static const struct placement placements[] = {
    {"the only one", GET, "", "|" H "x", false},
    {"more is waiting", GET, "", H "x", true},
    {"second of two", GET GET, "", H "x|" H "y", false},
    {"second of two, first was sent", GET GET, H "x", "|" H "y", false},
    {"first of two", GET GET, "", H "x", false},
    {"second of two, more is waiting", GET GET, "", H "x" H "y", true},
    {"half a request behind", GET "GET /", "", H "x", false},
    {"an answer to the half request", GET "GET /", "", H "x|" H "y", false},
    {"an early answer", "GET /", "", "|" H "x", false},
    {"an early answer, more is waiting", "GET /", "", "|" H "x", true},
    {"a body still comes", POST(5) "ab", "", "|" H "x", true},
    {"nobody asked", "", "", "|" H "x", false},
    {"rest of a body", GET, H, "x", false},
    {"rest of a body, then the next", GET GET, H, "x|" H "y", false},
    {"the beginning of a head is enough", GET, "", "|HTT", false},
    {"behind HEAD", HEAD_ GET, "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n|" H "x", false},
    {"1xx goes before it", POST(1) "x", "", "|HTTP/1.1 100 Continue\r\n\r\n" H "x", false},
    {"what is no HTTP", GET GET, "", "hello", false},
};

static void place(const struct placement *p, size_t piece)
{
    struct conn c = {.index = 0};
    struct http1_span chunk[400];
    char out[400];
    size_t n = 0, expected = SIZE_MAX, count = 0;
    for (const char *s = p->out; *s; s++) {
        if (*s == '|')
            expected = n;
        else
            out[n++] = *s;
    }
    for (size_t at = 0; at < n; at += piece, count++) {
        chunk[count].data = out + at;
        chunk[count].len = n - at < piece ? n - at : piece;
    }
    conn_init(&c, 5, 0, false);
    conn_received(&c, p->in, strlen(p->in));
    conn_sent(&c, p->sent, strlen(p->sent), 0);
    struct conn before = c;
    size_t got = conn_last_head(&c, chunk, count, p->more);
    if (got != expected)
        fail_msg("%s, pieces of %zu: at %zd, not %zd", p->name, piece, (ssize_t)got, (ssize_t)expected);
    assert_memory_equal(&before, &c, sizeof c);
}

static void places_the_close_option(void **unused UNUSED)
{
    for (size_t i = 0; i < COUNT(placements); i++)
        for (size_t piece = 1; piece < 400; piece += piece < 8 ? 1 : 31)
            place(&placements[i], piece);
}

static void empty_chunks_are_nothing(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    const struct http1_span chunk[] = {{NULL, 0}, {"", 0}, {H "x", strlen(H) + 1}, {NULL, 0}, {H, strlen(H)}};
    conn_init(&c, 5, 0, false);
    conn_received(&c, GET GET, 2 * strlen(GET));
    assert_int_equal(conn_last_head(&c, chunk, COUNT(chunk), false), strlen(H) + 1);
    assert_int_equal(conn_last_head(&c, chunk, 0, false), SIZE_MAX);
}

/* ---- the rest ---- */

static void init_keeps_its_identity(void **unused UNUSED)
{
    struct conn c;
    memset(&c, 0xff, sizeof c);
    c.index = 42;
    c.generation = 7;
    conn_init(&c, 9, 3, true);
    assert_int_equal(c.index, 42);
    assert_int_equal(c.generation, 8);
    assert_int_equal(c.fd, 9);
    assert_int_equal(c.listener, 3);
    assert_int_equal(c.aliases, 1);
    assert_int_equal(c.io.epoll_fd, -1);
    assert_int_equal(c.stage, CONN_OPEN);
    assert_true(c.unix_ && !c.live && c.attention == 0 && !conn_is_opaque(&c) && !conn_is_shared(&c) &&
                conn_is_valid(&c));
    assert_false(conn_in_flight(&c));
    assert_int_equal(c.pin | c.calls_in | c.calls_out, 0);
}

static void tells_the_method(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    assert_string_equal(conn_method(&c), "");
    conn_received(&c, POST(3), strlen(POST(3)));
    assert_string_equal(conn_method(&c), "POST");
    conn_set_opaque(&c, OPAQUE_CONCURRENT_IO);
    assert_string_equal(conn_method(&c), "");
}

static void counts_the_bytes_of_a_message(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    conn_received(&c, GET POST(5) "abc", strlen(GET POST(5) "abc"));
    assert_int_equal(c.message.in, strlen(POST(5) "abc"));
    conn_received(&c, NULL, 2);
    assert_int_equal(c.message.in, strlen(POST(5) "abcde"));
    conn_sent(&c, OK0 OK5_HEAD "he", strlen(OK0 OK5_HEAD "he"), 0);
    assert_int_equal(c.message.out, strlen(OK5_HEAD "he"));
    conn_sent(&c, NULL, 2, 2);
    assert_int_equal(c.message.out, strlen(OK5_HEAD "hell"));
}

static void counts_the_wire_and_not_the_program(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    conn_received(&c, GET, strlen(GET));
    conn_sent(&c, OK0, strlen(OK0), strlen(OK0) + 19);
    assert_int_equal(c.written_bytes, strlen(OK0) + 19);
}

static void invariants_can_fail(void **unused UNUSED)
{
    struct conn c = {.index = 0};
    conn_init(&c, 5, 0, false);
    c.ring.head = CONN_RING + 1;
    assert_false(conn_is_valid(&c));
    conn_init(&c, 5, 0, false);
    c.ring.pending = 1;
    assert_false(conn_is_valid(&c));
    conn_set_opaque(&c, OPAQUE_UNSEEN);
    assert_true(conn_is_valid(&c));
    c.stage = CONN_LINGERING + 1;
    assert_false(conn_is_valid(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_whole_and_in_pieces),   cmocka_unit_test(other_protocols),
        cmocka_unit_test(a_thousand_alike_in_one_read),  cmocka_unit_test(ring_wraps),
        cmocka_unit_test(full_ring_is_opaque),           cmocka_unit_test(too_many_kinds_are_opaque),
        cmocka_unit_test(places_the_close_option),       cmocka_unit_test(empty_chunks_are_nothing),
        cmocka_unit_test(init_keeps_its_identity),       cmocka_unit_test(tells_the_method),
        cmocka_unit_test(counts_the_bytes_of_a_message), cmocka_unit_test(counts_the_wire_and_not_the_program),
        cmocka_unit_test(invariants_can_fail),
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
