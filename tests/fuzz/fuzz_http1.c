/* fuzz_http1.c: http1 against http_parser, and against itself cut into pieces.
 *
 * Input: one byte of options, then the stream. What http1_skip takes must be what http1_feed makes of the same bytes,
 * and what it says in the end it says for ever. What http1 calls bad is not compared: it is meant to be the stricter
 * one. Up to there heads, ends of messages, body lengths and facts must be the same, and http_parser must not have
 * found an error. Exceptions, which cannot change a boundary:
 *   - http_parser knows a list of methods and judges URLs; http1 takes any token and any target;
 *   - http_parser judges the names of fields that http1 knows not to matter by their first letter;
 *   - after `close` http_parser wants no more bytes (HPE_CLOSED_CONNECTION);
 *   - http_parser takes Transfer-Encoding-X for half a Transfer-Encoding (a bug: it looks no further than
 *     the last letter of the name), and Proxy-Connection for Connection; such streams are not compared;
 *   - http_parser leaves it to its caller that HEAD and 304 have no body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <http_parser.h>

#include "core/http1.h"

enum { OPT_RESPONSE = 1, OPT_HEAD = 2, OPT_CONNECT = 4, EVENTS_MAX = 256 };

struct event {
    size_t at; /* bytes of the stream up to and with the one that made it */
    char what; /* H head, D done, T tunnel, B bad */
    uint64_t body;
    struct http1_facts facts;
};

struct trace {
    struct event event[EVENTS_MAX];
    size_t count;
    uint64_t body; /* of the message under way */
    bool full;
};

static void add_event(struct trace *t, char what, size_t at, const struct http1_facts *facts)
{
    if (t->count == EVENTS_MAX) {
        t->full = true;
        return;
    }
    struct event *e = &t->event[t->count++];
    memset(e, 0, sizeof *e);
    e->at = at;
    e->what = what;
    e->body = t->body;
    if (what == 'H' || what == 'T')
        memcpy(&e->facts, facts, sizeof *facts);
}

static void die(const char *why, const struct trace *ours, const struct trace *theirs)
{
    fprintf(stderr, "%s\n", why);
    for (int k = 0; k < 2; k++) {
        const struct trace *t = k ? theirs : ours;
        for (size_t i = 0; t && i < t->count; i++)
            fprintf(stderr, "%c@%zu(%llu) ", t->event[i].what, t->event[i].at, (unsigned long long)t->event[i].body);
        fprintf(stderr, "\n");
    }
    abort();
}

/* ---- what must hold at any byte ------------------------------------------------------------------------ */

#define HOLDS(x) ((x) ? (void)0 : (fprintf(stderr, "does not hold: %s\n", #x), abort()))

/* Bytes that pass unseen, where they may: the same as if they were read. */
static void skip_like_feed(const struct http1 *p, const uint8_t *s, size_t n)
{
    struct http1 seen = *p, unseen = *p;
    enum http1_event fed, skipped;
    if (!http1_skip(&unseen, n, &skipped)) {
        HOLDS(skipped == HTTP1_BAD && http1_is_bad(&unseen));
        return;
    }
    if (n == 0)
        return;
    size_t taken = http1_feed(&seen, s, n, &fed);
    HOLDS(taken == n && fed == skipped && seen.state == unseen.state && seen.left == unseen.left);
    HOLDS(!http1_in_head(p));
}

static void stays_so(const struct http1 *p, enum http1_event end)
{
    struct http1 again = *p;
    enum http1_event event;
    HOLDS(http1_is_bad(p) == (end == HTTP1_BAD));
    HOLDS(http1_feed(&again, "GET ", 4, &event) == 0 && event == end);
    HOLDS(!http1_skip(&again, 4, &event) && event == HTTP1_BAD);
}

/* ---- ours ---------------------------------------------------------------------------------------- */

/* Feeds a piece in an allocation of its own, so that ASan sees both ends. */
static bool feed_piece(struct http1 *p, const uint8_t *data, size_t from, size_t to, struct trace *t)
{
    uint8_t *copy = malloc(to - from), *s;
    bool more = true;
    memcpy(copy, data + from, to - from);
    for (s = copy; more;) {
        enum http1_event event;
        skip_like_feed(p, s, to - from);
        uint64_t left = p->left;
        size_t taken = http1_feed(p, s, to - from, &event);
        if (taken == 1 && p->left < left)
            t->body++;
        if (taken > to - from)
            abort();
        s += taken;
        from += taken;
        if (event == HTTP1_MORE) {
            if (from != to)
                abort();
            break;
        }
        char what = "-HHDTB"[event];
        add_event(t, what, from, &p->facts);
        if (event == HTTP1_INTERIM)
            add_event(t, 'D', from, NULL);
        if (event == HTTP1_DONE)
            t->body = 0;
        more = event != HTTP1_BAD && event != HTTP1_TUNNEL;
        if (!more)
            stays_so(p, event);
    }
    HOLDS(!http1_in_head(p) || !http1_between(p));
    free(copy);
    return more;
}

/* In random pieces; byte by byte if seed is 0: then body bytes are counted. */
static void run_ours(struct trace *t, uint8_t options, const uint8_t *data, size_t n, unsigned seed)
{
    bool bytes = seed == 0;
    struct http1 p;
    http1_init(&p, options & OPT_RESPONSE ? HTTP1_RESPONSE : HTTP1_REQUEST);
    http1_expect(&p, options & OPT_HEAD, options & OPT_CONNECT);
    t->count = 0;
    t->full = false;
    t->body = 0;
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = seed % 2 ? n : 1 + (seed >> 8) % (seed >> 4 & 1 ? 3 : 60);
        seed = seed * 1103515245 + 12345;
        piece = bytes ? 1 : piece < n - at ? piece : n - at;
        if (!feed_piece(&p, data, at, at + piece, t))
            break;
    }
}

/* ---- theirs -------------------------------------------------------------------------------------- */

struct theirs {
    http_parser parser;
    struct trace trace;
    size_t at;
    uint8_t options;
    bool answered; /* the options' HEAD or CONNECT has been */
};

static int on_headers_complete(http_parser *parser)
{
    struct theirs *x = parser->data;
    struct http1_facts f;
    memset(&f, 0, sizeof f);
    f.minor = (uint8_t)parser->http_minor;
    f.status = (uint16_t)(x->options & OPT_RESPONSE ? parser->status_code : 0);
    f.close = parser->flags & F_CONNECTION_CLOSE;
    f.keep_alive = parser->flags & F_CONNECTION_KEEP_ALIVE;
    f.upgrade = parser->flags & F_CONNECTION_UPGRADE;
    f.chunked = parser->flags & F_CHUNKED;
    f.has_length = parser->flags & F_CONTENTLENGTH;
    if (f.has_length)
        f.content_length = parser->content_length;
    add_event(&x->trace, 'H', x->at, &f);
    bool response = x->options & OPT_RESPONSE;
    bool head = response && !x->answered && x->options & OPT_HEAD;
    return response && parser->status_code >= 200 && (head || parser->status_code == 304);
}

static int on_message_begin(http_parser *parser)
{
    ((struct theirs *)parser->data)->trace.body = 0;
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t n)
{
    (void)at;
    ((struct theirs *)parser->data)->trace.body += n;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct theirs *x = parser->data;
    add_event(&x->trace, 'D', x->at, NULL);
    if (!(x->options & OPT_RESPONSE) || parser->status_code >= 200)
        x->answered = true;
    return 0;
}

static bool is_known_difference(enum http_errno error)
{
    switch (error) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_URL:
    case HPE_INVALID_HEADER_TOKEN:
    case HPE_CLOSED_CONNECTION: return true;
    default: return false;
    }
}

/* Up to byte n; a byte at a time, so that callbacks know where they are. */
static enum http_errno run_theirs(struct theirs *x, const uint8_t *data, size_t n)
{
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_message_begin = on_message_begin;
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    http_parser_init(&x->parser, x->options & OPT_RESPONSE ? HTTP_RESPONSE : HTTP_REQUEST);
    x->parser.data = x;
    for (x->at = 1; x->at <= n; x->at++) {
        http_parser_execute(&x->parser, &settings, (const char *)data + x->at - 1, 1);
        if (HTTP_PARSER_ERRNO(&x->parser) != HPE_OK)
            return HTTP_PARSER_ERRNO(&x->parser);
    }
    return HPE_OK;
}

/* ---- comparing ----------------------------------------------------------------------------------- */

/* What both read. Of a Connection field with empty members http_parser does not see all the others. */
static bool same_facts(const struct http1_facts *ours, const struct http1_facts *theirs)
{
    return ours->minor == theirs->minor && ours->status == theirs->status && ours->close >= theirs->close &&
           ours->keep_alive >= theirs->keep_alive && ours->upgrade >= theirs->upgrade &&
           ours->chunked == theirs->chunked && ours->has_length == theirs->has_length &&
           ours->content_length == theirs->content_length;
}

static bool same_event(const struct event *ours, const struct event *theirs)
{
    if (ours->at != theirs->at || ours->what != theirs->what)
        return false;
    if (ours->what == 'D' && ours->body != theirs->body)
        return false;
    return ours->what != 'H' || same_facts(&ours->facts, &theirs->facts);
}

/* One of the two names that http_parser takes for another. */
static bool has_mistaken_name(const uint8_t *data, size_t n)
{
    static const char coding[] = "transfer-encoding", proxy[] = "proxy-connection";
    for (size_t i = 0; i + sizeof proxy - 1 <= n; i++) {
        const char *at = (const char *)data + i;
        if (strncasecmp(at, proxy, sizeof proxy - 1) == 0)
            return true;
        if (i + sizeof coding - 1 < n && strncasecmp(at, coding, sizeof coding - 1) == 0 &&
            http1_is_tchar(data[i + sizeof coding - 1]))
            return true;
    }
    return false;
}

static void compare_with_theirs(const struct trace *ours, uint8_t options, const uint8_t *data, size_t n)
{
    static struct theirs x;
    memset(&x, 0, sizeof x);
    x.options = options;
    size_t count = ours->count;
    if (count > 0 && (ours->event[count - 1].what == 'B' || ours->event[count - 1].what == 'T'))
        n = ours->event[--count].at - 1; /* what is behind is not compared */
    /* http1 may need more bytes of a bad message than http_parser to see that it is. */
    size_t accepted = count > 0 ? ours->event[count - 1].at : 0;
    enum http_errno error = run_theirs(&x, data, n);
    if (error != HPE_OK && x.at <= accepted && !is_known_difference(error))
        die(http_errno_description(error), ours, &x.trace);
    for (size_t i = 0; i < count || i < x.trace.count; i++) {
        if (i >= x.trace.count && error != HPE_OK)
            return;
        if (i >= count || i >= x.trace.count || !same_event(&ours->event[i], &x.trace.event[i]))
            die("not the same as http_parser", ours, &x.trace);
    }
}

static bool all_facts_same(const struct http1_facts *a, const struct http1_facts *b)
{
    return same_facts(a, b) && same_facts(b, a) && strcmp(a->method, b->method) == 0 &&
           a->method_len == b->method_len && a->until_close == b->until_close &&
           a->expect_continue == b->expect_continue && a->is_head == b->is_head && a->is_connect == b->is_connect;
}

static void compare_with_pieces(const struct trace *bytes, const struct trace *pieces)
{
    bool same = bytes->count == pieces->count;
    for (size_t i = 0; same && i < bytes->count; i++) {
        const struct event *a = &bytes->event[i], *b = &pieces->event[i];
        same = a->what == b->what && a->at == b->at && all_facts_same(&a->facts, &b->facts);
    }
    if (!same)
        die("not the same in pieces", bytes, pieces);
}

static void judge(uint8_t options, const uint8_t *data, size_t n)
{
    static struct trace bytes, pieces;
    run_ours(&bytes, options, data, n, 0);
    for (unsigned seed = 1; seed < 8; seed++) { /* an odd one: the first piece is all */
        run_ours(&pieces, options, data, n, (seed * 40503u << 4) | seed % 2);
        compare_with_pieces(&bytes, &pieces);
    }
    if (!bytes.full && !has_mistaken_name(data, n))
        compare_with_theirs(&bytes, options, data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n >= 2)
        judge(data[0], data + 1, n - 1);
    return 0;
}
