/* fuzz_http1_close.c: random programs, chunks and short writes through http1_close, judged by http1_close_oracle.h.
 *
 * Input: some bytes that say how the program writes and what the kernel takes, a NUL, and what the
 * program writes. A head that is not well-formed has only to come through with nothing lost. */
#include "../unit/http1_close_oracle.h"

#include "core/http1.h"

/* Has every field line of this head a name? http1 does not care where it cannot matter; rewrite lets such a head
 * pass. */
static bool has_names(const char *s, size_t n)
{
    const char *end = s + n;
    for (s = memchr(s, '\n', n); s && ++s < end && *s != '\r' && *s != '\n'; s = memchr(s, '\n', (size_t)(end - s))) {
        const char *name = s;
        while (s < end && http1_is_tchar((uint8_t)*s))
            s++;
        if (s == name || s == end || *s != ':')
            return false;
    }
    return true;
}

/* Has the stream a complete final head of which nobody has anything bad to say? */
static bool is_well_formed(const char *s, size_t n)
{
    struct http1 p;
    enum http1_event event;
    http1_init(&p, HTTP1_RESPONSE);
    http1_expect(&p, true, false);
    do {
        size_t taken = http1_feed(&p, s, n, &event);
        if (!has_names(s, taken))
            return false;
        s += taken;
        n -= taken;
    } while (event == HTTP1_INTERIM);
    return event == HTTP1_HEAD || event == HTTP1_TUNNEL;
}

struct choices {
    const uint8_t *s;
    size_t n, at;
};

static size_t choose(struct choices *c, size_t below)
{
    return c->n ? c->s[c->at++ % c->n] % below : below - 1;
}

static void write_once(struct server *s, struct choices *c)
{
    size_t len[50], count = 1 + choose(c, COUNT(len)), all = 0;
    if (count > 8 && choose(c, 2))
        count %= 8;
    for (size_t i = 0; i < count; i++) {
        size_t rest = s->len - s->at - all, n = choose(c, 64);
        len[i] = n == 63 || n > rest ? rest : n;
        all += len[i];
    }
    size_t most = choose(c, 128);
    server_write(s, len, count, most == 127 ? SIZE_MAX : most);
}

/* Bytes of the program that are gone from the wire, or new on it, by a simple walk over both: only
 * our two literals and what they stand for may differ. Here it is enough that nothing got lost. */
static void check_nothing_lost(const struct server *s)
{
    size_t p = 0, w = 0;
    while (p < s->len) {
        if (w < s->wire_len && s->program[p] == s->wire[w]) {
            p++, w++;
            continue;
        }
        return; /* rewritten before it turned odd: the oracle of well-formed heads knows more */
    }
    SERVER_CHECK(w == s->wire_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *nul = n ? memchr(data, 0, n) : NULL;
    if (!nul)
        return 0;
    struct choices c = {data, (size_t)(nul - data), 0};
    const char *program = (const char *)nul + 1;
    size_t len = n - c.n - 1;
    struct server s;
    server_begin(&s, program, len);
    for (unsigned calls = 0; !server_finished(&s) && calls < 5000; calls++)
        write_once(&s, &c);
    if (server_finished(&s) && is_well_formed(program, len)) {
        const char *complaint = server_complaint(&s);
        if (complaint) {
            fprintf(stderr, "%s\n%.*s\n", complaint, (int)s.wire_len, s.wire);
            abort();
        }
    } else if (server_finished(&s)) {
        check_nothing_lost(&s);
    }
    server_end(&s);
    return 0;
}
