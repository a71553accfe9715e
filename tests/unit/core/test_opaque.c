/* test_opaque.c: connections whose messages are not read: protocols by their first bytes, and what is outstanding after
 * each step of a conversation. Every conversation runs in whole records, and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/opaque.h"

/* ---- first bytes --------------------------------------------------------------------------------------- */

static const struct first {
    const char *name, *bytes;
    size_t len;
    enum opaque_protocol protocol;
} firsts[] = {
#define F(name, bytes, protocol)                \
    {                                           \
        name, bytes, sizeof bytes - 1, protocol \
    }
    F("tls 1.0 hello", "\x16\x03\x01\x02\x00\x01", OPAQUE_TLS),
    F("one byte of tls", "\x16", OPAQUE_UNDECIDED),
    F("type 22, version 5", "\x16\x05\x01", OPAQUE_UNKNOWN),
    F("fastcgi", "\x01\x01\x00\x01\x00\x08\x00\x00", OPAQUE_FASTCGI),
    F("half of fastcgi", "\x01\x01\x00", OPAQUE_UNDECIDED),
    F("fastcgi, another body", "\x01\x01\x00\x01\x00\x09\x00\x00", OPAQUE_UNKNOWN),
    F("uwsgi", "\x00\x60\x01\x00\x0c\x00QUERY_STRING", OPAQUE_ONE_REQUEST),
    F("psgi", "\x05\x60\x01\x00\x0e\x00REQUEST_METHOD", OPAQUE_ONE_REQUEST),
    F("half of uwsgi", "\x00\x60\x01\x00", OPAQUE_UNDECIDED),
    F("postgres", "\x00\x00\x00\x54\x00\x03\x00\x00user", OPAQUE_UNKNOWN),
    F("dns", "\x00\x1d\x12\x34\x01\x20\x00\x01\x00\x00", OPAQUE_UNKNOWN),
    F("scgi", "70:CONTENT_LENGTH\0", OPAQUE_ONE_REQUEST),
    F("digits", "70", OPAQUE_UNDECIDED),
    F("another netstring", "5:hello,", OPAQUE_UNKNOWN),
    F("http/2", "PRI * HTTP/2.0\r\n", OPAQUE_HTTP2),
    F("redis", "*1\r\n$4\r\nPING\r\n", OPAQUE_UNKNOWN),
    F("memcached", "get x\r\n", OPAQUE_UNKNOWN),
    F("ssh", "SSH-2.0-OpenSSH\r\n", OPAQUE_UNKNOWN),
    F("nothing", "", OPAQUE_UNDECIDED),
};

static void test_first_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(firsts); i++) {
        enum opaque_protocol p = opaque_match((const uint8_t *)firsts[i].bytes, firsts[i].len);
        if (p != firsts[i].protocol)
            fail_msg("%s: %d", firsts[i].name, p);
    }
}

/* ---- conversations ------------------------------------------------------------------------------------- */

/* A step of a conversation: C or S speaks a record of this type and length, less `missing` bytes at its end; then the
 * state is `state`. */
struct step {
    char who;
    uint8_t type;
    uint16_t len, missing;
    enum opaque_state state;
    uint8_t flags;   /* HTTP/2 */
    uint32_t stream; /* HTTP/2 */
};

static const struct talk {
    const char *name;
    enum opaque_protocol protocol;
    bool h2; /* the ClientHello offers it */
    struct step step[12];
} talks[] = {
    {"tls 1.3, the request behind the tickets",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 20, 1, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 20, 1, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 69, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 250, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 250, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"tls 1.3, the request before the tickets",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 69, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 300, 0, OPAQUE_ANSWERED, 0, 0}}},
    {"tls 1.3, one ticket",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 69, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 300, 0, OPAQUE_ANSWERED, 0, 0}}},
    {"tls 1.3, the ticket in the first flight (Go)",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 40, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 96, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 150, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_ANSWERED, 0, 0}}},
    {"tls 1.3, the same, SHA-384, and HTTP/2 offered",
     OPAQUE_TLS,
     true,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 40, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 96, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 69, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 150, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_ANSWERED, 0, 0}}},
    {"tls 1.3, HTTP/2's SETTINGS in the first flight, tickets later",
     OPAQUE_TLS,
     true,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 40, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 96, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 62, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"tls 1.3, extensions as long as a Finished",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 96, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 53, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"tls 1.2",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 3000, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 22, 70, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 20, 1, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 22, 40, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 200, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 20, 1, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 22, 40, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 100, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"an upload that pauses in a record",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 3000, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 5000, 10, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"an answer that pauses in a record",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 5000, 10, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"the client closes",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 3000, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 21, 26, 0, OPAQUE_ANSWERED, 0, 0}}},
    {"a small record of an h2 client",
     OPAQUE_TLS,
     true,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 120, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 23, 900, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 69, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 250, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 23, 600, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 26, 0, OPAQUE_BUSY, 0, 0},
      {'C', 23, 44, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"a small record of another client",
     OPAQUE_TLS,
     false,
     {{'C', 22, 500, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 22, 3000, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 23, 22, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"fastcgi, two at a time",
     OPAQUE_FASTCGI,
     false,
     {{'C', 1, 8, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 4, 300, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 5, 0, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 1, 8, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 6, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 3, 8, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 6, 100, 5, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"fastcgi, one after the other",
     OPAQUE_FASTCGI,
     false,
     {{'C', 1, 8, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'C', 5, 0, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 6, 100, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 3, 8, 0, OPAQUE_ANSWERED, 0, 0},
      {'S', 3, 8, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 1, 8, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"http/2, streams that cross",
     OPAQUE_HTTP2,
     false,
     {{'C', 4, 18, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 1, 30, 0, OPAQUE_IN_FLIGHT, 5, 1},
      {'S', 4, 0, 0, OPAQUE_IN_FLIGHT, 1, 0},
      {'C', 1, 30, 0, OPAQUE_IN_FLIGHT, 5, 3},
      {'S', 1, 20, 0, OPAQUE_IN_FLIGHT, 4, 3},
      {'S', 0, 20, 0, OPAQUE_IN_FLIGHT, 1, 3},
      {'C', 4, 0, 0, OPAQUE_IN_FLIGHT, 1, 0},
      {'S', 1, 20, 0, OPAQUE_IN_FLIGHT, 4, 1},
      {'S', 0, 0, 0, OPAQUE_ANSWERED, 1, 1},
      {'C', 8, 4, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 1, 9, 0, OPAQUE_ANSWERED, 5, 1},
      {'C', 1, 9, 3, OPAQUE_IN_FLIGHT, 5, 5}}},
    {"http/2, streams that are reset",
     OPAQUE_HTTP2,
     false,
     {{'C', 1, 30, 0, OPAQUE_IN_FLIGHT, 4, 1},
      {'C', 3, 4, 0, OPAQUE_ANSWERED, 0, 1},
      {'S', 1, 20, 0, OPAQUE_ANSWERED, 5, 1},
      {'C', 1, 30, 0, OPAQUE_IN_FLIGHT, 4, 7},
      {'S', 3, 4, 0, OPAQUE_ANSWERED, 0, 7}}},
    {"scgi",
     OPAQUE_ONE_REQUEST,
     false,
     {{'C', 0, 0, 0, OPAQUE_IN_FLIGHT, 0, 0}, {'S', 0, 20, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
    {"unknown",
     OPAQUE_UNKNOWN,
     false,
     {{'C', 0, 20, 0, OPAQUE_IN_FLIGHT, 0, 0},
      {'S', 0, 20, 0, OPAQUE_ANSWERED, 0, 0},
      {'C', 0, 20, 0, OPAQUE_IN_FLIGHT, 0, 0}}},
};

static size_t head_of(uint8_t *out, const struct talk *t, const struct step *s)
{
    const uint8_t tls[] = {s->type, 3, 3, (uint8_t)(s->len >> 8), (uint8_t)s->len};
    const uint8_t fcgi[] = {1, s->type, 0, 1, (uint8_t)(s->len >> 8), (uint8_t)s->len, 0, 0};
    const uint8_t h2[] = {0, (uint8_t)(s->len >> 8), (uint8_t)s->len, s->type, s->flags, 0, 0, 0, (uint8_t)s->stream};
    switch (t->protocol) {
    case OPAQUE_TLS: memcpy(out, tls, sizeof tls); return sizeof tls;
    case OPAQUE_FASTCGI: memcpy(out, fcgi, sizeof fcgi); return sizeof fcgi;
    case OPAQUE_HTTP2: memcpy(out, h2, sizeof h2); return sizeof h2;
    default: return 0;
    }
}

/* The bytes of a step; the first one of a client begins with what its protocol begins with. */
static size_t bytes_of(uint8_t *out, const struct talk *t, const struct step *s, bool first)
{
    static const uint8_t offer[] = {0, 16, 0, 14, 0, 12, 2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    size_t n = 0;
    if (first && t->protocol == OPAQUE_HTTP2)
        n = (size_t)sprintf((char *)out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    if (first && t->protocol == OPAQUE_ONE_REQUEST)
        n = (size_t)sprintf((char *)out, "70:CONTENT_LENGTH");
    if (first && t->protocol == OPAQUE_UNKNOWN)
        n = (size_t)sprintf((char *)out, "*1 and so on, 16 bytes");
    n += head_of(out + n, t, s);
    memset(out + n, 0x55, s->len);
    if (first && t->h2)
        memcpy(out + n + 100, offer, sizeof offer);
    return n + s->len - s->missing;
}

static void say(struct opaque *o, char who, const uint8_t *data, size_t n, size_t piece)
{
    for (size_t at = 0, part; at < n; at += part) {
        part = piece && piece < n - at ? piece : n - at;
        uint8_t *copy = malloc(part); /* the sanitizer sees both ends */
        memcpy(copy, data + at, part);
        if (who == 'C')
            opaque_received(o, copy, part);
        else
            opaque_sent(o, copy, part);
        free(copy);
    }
}

static void test_conversations(void **state)
{
    static uint8_t bytes[8192];
    (void)state;
    for (size_t i = 0; i < COUNT(talks); i++)
        for (size_t piece = 0; piece < 8; piece++) {
            const struct talk *t = &talks[i];
            struct opaque o;
            memset(&o, 0, sizeof o);
            for (size_t k = 0; k < COUNT(t->step) && t->step[k].who; k++) {
                say(&o, t->step[k].who, bytes, bytes_of(bytes, t, &t->step[k], k == 0), piece);
                if (opaque_state(&o) != t->step[k].state)
                    fail_msg("%s, step %zu, pieces of %zu: %d", t->name, k, piece, opaque_state(&o));
            }
            if (o.protocol != t->protocol)
                fail_msg("%s: taken for %d", t->name, o.protocol);
        }
}

static void test_more_streams_than_fit(void **state)
{
    uint8_t frame[9] = {0, 0, 0, 1, 5};
    struct opaque o;
    (void)state;
    memset(&o, 0, sizeof o);
    opaque_received(&o, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    for (uint8_t id = 1; id <= 2 * OPAQUE_STREAMS + 1; id += 2) {
        frame[8] = id;
        opaque_received(&o, frame, sizeof frame);
    }
    for (uint8_t id = 1; id <= 2 * OPAQUE_STREAMS + 1; id += 2) {
        frame[8] = id;
        opaque_sent(&o, frame, sizeof frame);
    }
    assert_int_equal(o.open, 0);
    assert_int_equal(opaque_state(&o), OPAQUE_IN_FLIGHT); /* one of them was not noted */
}

/* Bytes that pass unseen: records cannot be followed any more, who spoke last can. */
static void test_unseen(void **state)
{
    struct opaque o;
    (void)state;
    memset(&o, 0, sizeof o);
    opaque_received(&o,
                    "\x16\x03\x01\x00\x01"
                    "x",
                    6);
    opaque_sent(&o, NULL, 100);
    assert_int_equal(o.protocol, OPAQUE_UNKNOWN);
    assert_int_equal(opaque_state(&o), OPAQUE_ANSWERED);
    opaque_received(&o, NULL, 1);
    assert_int_equal(opaque_state(&o), OPAQUE_IN_FLIGHT);
    opaque_begin_unknown(&o, OPAQUE_SERVER);
    assert_int_equal(opaque_state(&o), OPAQUE_ANSWERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_more_streams_than_fit),
        cmocka_unit_test(test_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
