/* test_http1_close.c: vectors, and thousands of random programs, chunks and short writes against a simple
 * reference that reads the program's head and the wire line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/http1_close.h"
#include "http1_close_oracle.h"
#include "repeats.h"

#define OK     "HTTP/1.1 200 OK\r\n"
#define INSERT "Connection: close\r\n"

struct vector {
    const char *name, *program, *wire; /* wire NULL: as it is */
};

static const struct vector vectors[] = {
    {"nothing said", OK "Server: x\r\n\r\n", OK "Server: x\r\n" INSERT "\r\n"},
    {"no field at all", OK "\r\n", OK INSERT "\r\n"},
    {"1.0", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n" INSERT "\r\n"},
    {"no reason", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200\r\n" INSERT "\r\n"},
    {"204", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n" INSERT "\r\n"},
    {"304", "HTTP/1.1 304 No\r\nETag: x\r\n\r\n", "HTTP/1.1 304 No\r\nETag: x\r\n" INSERT "\r\n"},
    {"close said", OK "Connection: close\r\n\r\n", NULL},
    {"close said in capitals", OK "CONNECTION:CLOSE\r\n\r\n", NULL},
    {"close said behind others", OK "Connection: foo,\tclose , bar\r\n\r\n", NULL},
    {"close said later", OK "Connection: foo\r\nX: y\r\nConnection: close\r\n\r\n", NULL},
    {"keep-alive", OK "Connection: keep-alive\r\nX: y\r\n\r\n", OK "Connection: close\r\nX: y\r\n\r\n"},
    {"Keep-Alive", OK "connection:Keep-Alive \r\n\r\n", OK "connection:close \r\n\r\n"},
    {"keep-alive, Upgrade", OK "Connection: keep-alive, Upgrade\r\n\r\n", OK "Connection: close, Upgrade\r\n\r\n"},
    {"Upgrade, keep-alive", OK "Connection: Upgrade ,keep-alive\t\r\n\r\n", OK "Connection: Upgrade ,close\t\r\n\r\n"},
    {"keep-alive twice", OK "Connection: keep-alive,keep-alive\r\nConnection: keep-alive\r\n\r\n",
     OK "Connection: close,close\r\nConnection: close\r\n\r\n"},
    {"upgrade only", OK "Connection: Upgrade\r\n\r\n", OK "Connection: Upgrade\r\n" INSERT "\r\n"},
    {"words like close", OK "Connection: closed, xclose, clos, close-x\r\n\r\n",
     OK "Connection: closed, xclose, clos, close-x\r\n" INSERT "\r\n"},
    {"words like keep-alive", OK "Connection: keep-alives, xkeep-alive, keep\r\n\r\n",
     OK "Connection: keep-alives, xkeep-alive, keep\r\n" INSERT "\r\n"},
    {"words that begin like close", OK "Connection: ckeep-alive, clokeep-alive, close keep-alive\r\n\r\n",
     OK "Connection: ckeep-alive, clokeep-alive, close keep-alive\r\n" INSERT "\r\n"},
    {"words behind words", OK "Connection: foo keep-alive, clo close\r\n\r\n",
     OK "Connection: foo keep-alive, clo close\r\n" INSERT "\r\n"},
    {"two words", OK "Connection: keep-alive foo\r\nConnection: close foo\r\n\r\n",
     OK "Connection: keep-alive foo\r\nConnection: close foo\r\n" INSERT "\r\n"},
    {"names like connection", OK "Proxy-Connection: keep-alive\r\nConnections: close\r\nConnectio: close\r\n\r\n",
     OK "Proxy-Connection: keep-alive\r\nConnections: close\r\nConnectio: close\r\n" INSERT "\r\n"},
    {"Keep-Alive field", OK "Keep-Alive: timeout=5\r\nX: y\r\n\r\n", OK "X: y\r\n" INSERT "\r\n"},
    {"keep-alive fields",
     OK "Connection: keep-alive\r\nKEEP-ALIVE:timeout=5\r\nKeep-Alive: max=3\r\nKeep-Alivex: y\r\n\r\n",
     OK "Connection: close\r\nKeep-Alivex: y\r\n\r\n"},
    {"empty connection", OK "Connection:\r\nConnection: ,,\r\n\r\n",
     OK "Connection:\r\nConnection: ,,\r\n" INSERT "\r\n"},
    {"utf-8", OK "X: \xc3\xa4\tb\r\n\r\n", OK "X: \xc3\xa4\tb\r\n" INSERT "\r\n"},
    {"100 and 200", "HTTP/1.1 100 Continue\r\nConnection: keep-alive\r\n\r\n" OK "\r\n",
     "HTTP/1.1 100 Continue\r\nConnection: keep-alive\r\n\r\n" OK INSERT "\r\n"},
    {"close in 103 is not enough",
     "HTTP/1.1 103 E\r\nConnection: close\r\nKeep-Alive: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" OK "\r\n",
     "HTTP/1.1 103 E\r\nConnection: close\r\nKeep-Alive: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" OK INSERT "\r\n"},
    {"101", "HTTP/1.1 101 S\r\nConnection: keep-alive, Upgrade\r\nKeep-Alive: x\r\n\r\n", NULL},
    {"101 and what looks like a head", "HTTP/1.1 101 S\r\n\r\n" OK "\r\n", NULL},
    /* Odd heads are nobody's business. */
    {"bare lf", OK "Connection: keep-alive\nX: y\r\n\r\n", OK "Connection: close\nX: y\r\n\r\n"},
    {"bare lf behind status line", "HTTP/1.1 200 OK\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.1 200 OK\nConnection: close\r\n\r\n"},
    {"bare lf behind every line", "HTTP/1.1 200\nKeep-Alive: timeout=5\nX: y\n\n",
     "HTTP/1.1 200\nX: y\nConnection: close\r\n\n"},
    {"bare lf at the end", OK "Connection: keep-alive\r\n\n", OK "Connection: close\r\n\n"},
    {"bare cr", OK "Connection: keep-alive\r\nX: a\rb\r\n\r\n", NULL},
    {"bare cr at the end", OK "Connection: keep-alive\r\n\rX", NULL},
    {"fold", OK "Keep-Alive: timeout=5\r\n , max=3\r\n\r\n", NULL},
    {"fold of connection", OK "Connection: keep-alive,\r\n\tfoo\r\n\r\n", NULL},
    {"no colon", OK "Connection: keep-alive\r\nfoo\r\n\r\n", NULL},
    {"empty name", OK "Connection: keep-alive\r\n: x\r\n\r\n", NULL},
    {"space before colon", OK "Connection: keep-alive\r\nX : x\r\n\r\n", NULL},
    {"control in value", OK "Connection: keep-alive\r\nX: \x01\r\n\r\n", NULL},
    {"not http", "<html>\r\n\r\n", NULL},
    {"http/2.0", "HTTP/2.0 200 OK\r\n\r\n", NULL},
    {"http/1.7", "HTTP/1.7 200 OK\r\n\r\n", NULL},
    {"status 2x0", "HTTP/1.1 2x0 OK\r\n\r\n", NULL},
    {"status 20", "HTTP/1.1 20 OK\r\n\r\n", NULL},
    {"status 099", "HTTP/1.1 099 OK\r\n\r\n", NULL},
    {"no status", "HTTP/1.1\r\n\r\n", NULL},
};

static void check_vector(const struct vector *v, size_t wire_at_once)
{
    struct server s;
    const char *want = v->wire ? v->wire : v->program;
    server_begin(&s, v->program, strlen(v->program));
    while (!server_finished(&s))
        server_write_rest(&s, wire_at_once);
    if (s.wire_len != strlen(want) || memcmp(s.wire, want, s.wire_len) != 0)
        fail_msg("%s: want\n%s\ngot\n%.*s", v->name, want, (int)s.wire_len, s.wire);
    server_end(&s);
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        check_vector(&vectors[i], SIZE_MAX);
}

/* Whole heads in chunks cut at every place: what is not altered for the cut is still a valid rewriting. */
static void test_two_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t n = strlen(vectors[i].program);
        for (size_t cut = 0; vectors[i].wire && cut <= n; cut++) {
            struct server s;
            server_begin(&s, vectors[i].program, n);
            server_write(&s, (size_t[]){cut, n - cut}, 2, SIZE_MAX);
            assert_true(server_finished(&s));
            assert_null(server_complaint(&s));
            server_end(&s);
        }
    }
}

/* One vector for each line, and one for its end (varnish's writev): the same wire as from one chunk. */
static void test_line_ends_in_other_chunks(void **state)
{
    (void)state;
    static const char *const lines[] = {"HTTP/1.1 200 OK", "Connection: keep-alive", "Connection: a, Keep-Alive ",
                                        "X: y", ""};
    static const char wire[] = OK "Connection: close\r\nConnection: a, close \r\nX: y\r\n\r\n";
    size_t chunk[2 * COUNT(lines)];
    char program[128] = "";
    struct server s;
    for (size_t i = 0; i < COUNT(lines); i++) {
        strcat(strcat(program, lines[i]), "\r\n");
        chunk[2 * i] = strlen(lines[i]);
        chunk[2 * i + 1] = 2;
    }
    server_begin(&s, program, strlen(program));
    server_write(&s, chunk, COUNT(chunk), SIZE_MAX);
    assert_true(server_finished(&s));
    assert_int_equal(s.wire_len, sizeof wire - 1);
    assert_memory_equal(s.wire, wire, s.wire_len);
    server_end(&s);
}

/* Every short write there is, then the rest at once; and in two writes of the program. */
static void test_every_short_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t n = strlen(vectors[i].program);
        for (size_t sent = 0; vectors[i].wire && sent < n + 20; sent++) {
            for (size_t first = 1; first <= n; first += 1 + n / 9) {
                struct server s;
                server_begin(&s, vectors[i].program, n);
                server_write(&s, &first, 1, sent);
                while (!server_finished(&s))
                    server_write_rest(&s, SIZE_MAX);
                const char *complaint = server_complaint(&s);
                if (complaint)
                    fail_msg("%s, %zu of %zu sent: %s", vectors[i].name, sent, first, complaint);
                server_end(&s);
            }
        }
    }
}

/* A byte of the wire at a time gives the very wire that one write gives, once a line is whole. */
static void test_byte_by_byte_on_the_wire(void **state)
{
    (void)state;
    struct server s;
    static const char program[] = OK "Server: x\r\n\r\n";
    server_begin(&s, program, sizeof program - 1);
    while (!server_finished(&s))
        server_write_rest(&s, 1);
    assert_int_equal(s.wire_len, sizeof(OK "Server: x\r\n" INSERT "\r\n") - 1);
    assert_memory_equal(s.wire, OK "Server: x\r\n" INSERT "\r\n", s.wire_len);
    server_end(&s);
}

/* ---- random programs ----------------------------------------------------------------------------- */

static unsigned random_state = 1;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 12) % n;
}

static const char *const lines[] = {
    "Server: nginx\r\n",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "connection:Keep-Alive\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "CONNECTION: foo ,keep-alive,\tbar\r\n",
    "Keep-Alive: timeout=5\r\n",
    "keep-alive:x\r\n",
    "Proxy-Connection: keep-alive\r\n",
    "X:\r\n",
    "Content-Length: 10\r\n",
    "Connection: Upgrade, close\r\n",
    "Connection: ,\r\n",
    "Set-Cookie: connection: close\r\n",
    "Connection: closed\r\n",
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
};

static const char *const starts[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Not Found\r\n", "HTTP/1.1 304\r\n"};
static const char *const interims[] = {"HTTP/1.1 100 Continue\r\n", "HTTP/1.1 103 Early Hints\r\n"};

static void add(char *program, size_t *n, const char *text)
{
    strcpy(program + *n, text);
    *n += strlen(text);
}

static void add_head(char *program, size_t *n, const char *start)
{
    add(program, n, start);
    for (unsigned i = random_below(7); i > 0; i--)
        add(program, n, lines[random_below(COUNT(lines))]);
    add(program, n, "\r\n");
}

static size_t random_program(char *program)
{
    size_t n = 0;
    for (unsigned i = random_below(4) / 2; i > 0; i--)
        add_head(program, &n, interims[random_below(COUNT(interims))]);
    add_head(program, &n, starts[random_below(COUNT(starts))]);
    if (random_below(2))
        add(program, &n, "body\r\n\r\nConnection: keep-alive\r\n");
    return n;
}

static void random_write(struct server *s, unsigned eager)
{
    size_t len[6], count = 1 + random_below(6), all = 0;
    for (size_t i = 0; i < count; i++) {
        size_t rest = s->len - s->at - all;
        len[i] = random_below(4) ? random_below(40) : random_below(4) ? rest : 0;
        len[i] = len[i] < rest ? len[i] : rest;
        all += len[i];
    }
    server_write(s, len, count, random_below(eager) ? SIZE_MAX : random_below(50));
}

static void test_random_programs(void **state)
{
    (void)state;
    for (unsigned round = 0; round < repeats(30000); round++) {
        char program[2048];
        struct server s;
        unsigned eager = 1 + random_below(4);
        server_begin(&s, program, random_program(program));
        for (unsigned calls = 0; !server_finished(&s); calls++) {
            assert_true(calls < 10000);
            random_write(&s, eager);
        }
        const char *complaint = server_complaint(&s);
        if (complaint)
            fail_msg("round %u: %s\n%.*s\n->\n%.*s", round, complaint, (int)s.len, s.program, (int)s.wire_len, s.wire);
        server_end(&s);
    }
}

/* ---- the rest of the contract -------------------------------------------------------------------- */

static void test_plan_changes_nothing(void **state)
{
    (void)state;
    struct http1_close r = {0}, zero = {0};
    struct http1_close_plan plan;
    http1_close_plan(&plan, &r, &(struct http1_span){OK "\r\n", 19}, 1);
    assert_memory_equal(&r, &zero, sizeof r);
    assert_int_equal(http1_close_commit(&r, &plan, 0), 0);
    assert_memory_equal(&r, &zero, sizeof r);
}

static void test_stops_at_the_end_of_the_head(void **state)
{
    (void)state;
    struct http1_close r = {0};
    struct http1_close_plan plan;
    static const char program[] = OK "\r\nbody";
    http1_close_plan(&plan, &r, &(struct http1_span){program, sizeof program - 1}, 1);
    assert_int_equal(plan.taken, sizeof OK + 1);
    assert_int_equal(plan.wire, plan.taken + sizeof INSERT - 1);
    assert_true(plan.ends);
    assert_int_equal(http1_close_commit(&r, &plan, plan.wire), plan.taken);
    assert_true(r.done && r.unsent == 0);
    http1_close_plan(&plan, &r, &(struct http1_span){"body", 4}, 1);
    assert_true(plan.ends && plan.count == 0 && plan.taken == 0);
    http1_close_begin(&r);
    http1_close_plan(&plan, &r, &(struct http1_span){program, sizeof program - 1}, 1);
    assert_int_equal(plan.taken, sizeof OK + 1);
}

static void test_nothing_on_the_wire(void **state)
{
    (void)state;
    struct http1_close r = {0};
    struct http1_close_plan plan;
    http1_close_plan(&plan, &r, &(struct http1_span){OK, sizeof OK - 1}, 1);
    http1_close_commit(&r, &plan, plan.wire);
    http1_close_plan(&plan, &r, &(struct http1_span){"Keep-Alive: 5\r\n", 15}, 1);
    assert_int_equal(plan.wire, 0);
    assert_int_equal(plan.taken, 15);
    assert_int_equal(http1_close_commit(&r, &plan, 0), 15);
}

/* Cut in the middle of close: the rest is outstanding, and goes out first. */
static void test_owed(void **state)
{
    (void)state;
    struct http1_close r = {0};
    struct http1_close_plan plan;
    static const char program[] = OK "Connection: keep-alive\r\n\r\n";
    size_t before = sizeof(OK "Connection: ") - 1;
    struct http1_close other = {0};
    http1_close_plan(&plan, &r, &(struct http1_span){program, sizeof program - 1}, 1);
    assert_int_equal(http1_close_commit(&other, &plan, before), before);
    assert_int_equal(other.unsent, 0);
    assert_int_equal(http1_close_commit(&r, &plan, before + 2), before + 10);
    assert_int_equal(r.unsent, 3);
    assert_memory_equal(r.literal, "ose", 3);
    http1_close_plan(&plan, &r, &(struct http1_span){program + before + 10, 4}, 1);
    assert_int_equal(plan.wire, 7);
    assert_int_equal(http1_close_commit(&r, &plan, 1), 0);
    assert_int_equal(r.unsent, 2);
    assert_memory_equal(r.literal, "se", 2);
    http1_close_plan(&plan, &r, &(struct http1_span){program + before + 10, 4}, 1);
    assert_int_equal(http1_close_commit(&r, &plan, plan.wire), 4);
    assert_true(r.done && r.unsent == 0);
}

/* As many Connection fields as make pieces overflow: all bytes go, and close is still said. */
static void test_piece_overflow(void **state)
{
    (void)state;
    static const char *const line[] = {"X: y\r\n", "Connection: keep-alive, foo\r\n", "Keep-Alive: 1\r\n"};
    char program[8192];
    for (unsigned fields = 1; fields < 80; fields++) {
        for (unsigned mixed = 0; mixed < 3; mixed++) {
            struct server s;
            size_t n = 0;
            add(program, &n, OK);
            for (unsigned i = 0; i < fields; i++)
                add(program, &n, i % 2 ? line[mixed] : line[2 - mixed]);
            add(program, &n, "\r\n");
            server_begin(&s, program, n);
            server_write(&s, (size_t[]){20, n - 22, 2}, 3, SIZE_MAX);
            assert_true(server_finished(&s));
            assert_null(server_complaint(&s));
            server_end(&s);
        }
    }
}

/* More chunks than pieces: a short write, but nothing is lost. */
static void test_chunk_overflow(void **state)
{
    (void)state;
    static const char program[] = OK "Server: a-server-with-a-rather-long-name\r\nConnection: keep-alive\r\n\r\n";
    size_t ones[sizeof program];
    for (size_t i = 0; i < COUNT(ones); i++)
        ones[i] = 1;
    struct server s;
    server_begin(&s, program, sizeof program - 1);
    while (!server_finished(&s))
        server_write(&s, ones, s.len - s.at, SIZE_MAX);
    assert_null(server_complaint(&s));
    server_end(&s);
}

/* However the head and a long body are cut into chunks, close is said. */
static void test_many_chunks(void **state)
{
    (void)state;
    static const char program[] = OK "Keep-Alive: 1\r\nConnection: keep-alive\r\nX: y\r\n\r\nsome body of many chunks"
                                     "................................................................";
    for (size_t size = 1; size < 40; size++) {
        size_t len[sizeof program], count = 0;
        struct server s;
        for (size_t at = 0; at < sizeof program - 1; at += len[count++])
            len[count] = size < sizeof program - 1 - at ? size : sizeof program - 1 - at;
        server_begin(&s, program, sizeof program - 1);
        server_write(&s, len, count, SIZE_MAX);
        while (!server_finished(&s))
            server_write_rest(&s, SIZE_MAX);
        assert_null(server_complaint(&s));
        server_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_two_chunks),
        cmocka_unit_test(test_line_ends_in_other_chunks),
        cmocka_unit_test(test_every_short_write),
        cmocka_unit_test(test_byte_by_byte_on_the_wire),
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_plan_changes_nothing),
        cmocka_unit_test(test_stops_at_the_end_of_the_head),
        cmocka_unit_test(test_nothing_on_the_wire),
        cmocka_unit_test(test_owed),
        cmocka_unit_test(test_piece_overflow),
        cmocka_unit_test(test_chunk_overflow),
        cmocka_unit_test(test_many_chunks),
    };
    return cmocka_run_group_tests_name("http1_close", tests, NULL, NULL);
}
