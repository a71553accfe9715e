/* test_proxy_protocol.c: headers of the PROXY protocol behind http1's refusal, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/http1.h"
#include "core/proxy_protocol.h"

#define REQUEST "GET / HTTP/1.1\r\n\r\n"
#define V2      "\r\n\r\n\0\r\nQUIT\n"

static const struct vector {
    const char *name, *bytes;
    size_t len;
    long header; /* its length; -1: it is none */
} vectors[] = {
#define V(name, bytes, header)                                 \
    {                                                          \
        name, bytes REQUEST, sizeof(bytes REQUEST) - 1, header \
    }
    V("tcp4", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", 42),
    V("tcp6", "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", 38),
    V("unknown", "PROXY UNKNOWN\r\n", 15),
    V("unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", 35),
    V("v2 local", V2 "\x20\x00\x00\x00", 16),
    V("v2 tcp4",
      V2 "\x21\x11\x00\x0c"
         "abcdefghijkl",
      28),
    V("v2 with extensions",
      V2 "\x21\x11\x00\x13"
         "abcdefghijkl\x04\x00\x04wxyz",
      35),
    V("v2 of version 3",
      V2 "\x31\x11\x00\x0c"
         "abcdefghijkl",
      -1),
    V("another signature", "\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x00", -1),
    V("a control byte in v1", "PROXY TCP4 1.2.3.4\x01 5\r\n", -1),
    V("longer than a line may be",
      "PROXY TCP4 "
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n",
      -1),
};

/* Where the client's own bytes begin; -1: there is no such header. */
static long header_len(const char *bytes, size_t n, size_t piece)
{
    struct http1 h;
    struct proxy_protocol p;
    enum http1_event event = HTTP1_MORE;
    enum proxy_protocol_result result = PROXY_PROTOCOL_MORE;
    size_t at = 0;
    http1_init(&h, HTTP1_REQUEST);
    while (at < n && event == HTTP1_MORE)
        at += http1_feed(&h, bytes + at, piece < n - at ? piece : n - at, &event);
    if (event != HTTP1_BAD || !proxy_protocol_begin(&p, at - 1, (uint8_t)bytes[at - 1], h.facts.method))
        return -1;
    while (at < n && result == PROXY_PROTOCOL_MORE)
        at += proxy_protocol_feed(&p, (const uint8_t *)bytes + at, piece < n - at ? piece : n - at, &result);
    return result == PROXY_PROTOCOL_DONE ? (long)at : -1;
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        for (size_t piece = 1; piece <= vectors[i].len; piece++) {
            long header = header_len(vectors[i].bytes, vectors[i].len, piece);
            if (header != vectors[i].header)
                fail_msg("%s, pieces of %zu: %ld", vectors[i].name, piece, header);
        }
}

static void test_nothing_like_it(void **state)
{
    struct proxy_protocol p;
    (void)state;
    assert_false(proxy_protocol_begin(&p, 0, 0x16, ""));
    assert_false(proxy_protocol_begin(&p, 4, 1, ""));
    assert_false(proxy_protocol_begin(&p, 11, '1', "PROXYS"));
    assert_false(proxy_protocol_begin(&p, 200, '1', "PROXY"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_nothing_like_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
