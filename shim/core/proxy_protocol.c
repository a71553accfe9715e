/* proxy_protocol.c: see proxy_protocol.h. */
#include "core/proxy_protocol.h"

/* Version 1 is a line of at most 107 bytes, CRLF included (section 2.1). Version 2 is a signature, a byte of version
 * and command, a byte of family, the length of the rest (section 2.2). */
enum { V1_MAX = 107, V2_SIGNATURE = 12, V2_HEAD = 16 };
static const uint8_t signature[V2_SIGNATURE] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool is_proxy(const char *method)
{
    const char *want = "PROXY";
    while (*want && *want == *method)
        want++, method++;
    return *want == *method;
}

bool proxy_protocol_begin(struct proxy_protocol *p, uint64_t offset, uint8_t bad, const char *method)
{
    *p = (struct proxy_protocol){0};
    if (offset == 4 && bad == 0)
        p->version = 2; /* http1 has passed over two empty lines */
    else if (offset < V1_MAX - 1 && is_proxy(method))
        p->version = 1; /* for http1 a request line without a version */
    p->at = (uint32_t)offset + 1;
    return p->version != 0;
}

static bool take_v1(struct proxy_protocol *p, uint8_t c, bool *done)
{
    *done = c == '\n';
    return ++p->at <= V1_MAX && (c == '\r' || c == '\n' || (c >= ' ' && c < 0x7f));
}

static bool take_v2(struct proxy_protocol *p, uint8_t c, bool *done)
{
    uint32_t at = p->at++;
    if (at < V2_SIGNATURE)
        return c == signature[at];
    if (at == V2_SIGNATURE)
        return c >> 4 == 2 && (c & 15) <= 1;
    if (at == V2_HEAD - 2)
        p->size = (uint32_t)c << 8;
    if (at == V2_HEAD - 1)
        p->size = V2_HEAD + (p->size | c);
    *done = p->at >= V2_HEAD && p->at == p->size;
    return true;
}

size_t proxy_protocol_feed(struct proxy_protocol *p, const uint8_t *data, size_t n, enum proxy_protocol_result *result)
{
    bool done = false, good = true;
    size_t i = 0;
    while (i < n && good && !done) {
        good = p->version == 1 ? take_v1(p, data[i], &done) : take_v2(p, data[i], &done);
        i++;
    }
    *result = !good ? PROXY_PROTOCOL_BAD : done ? PROXY_PROTOCOL_DONE : PROXY_PROTOCOL_MORE;
    return i;
}
