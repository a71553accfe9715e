/* conn.c: see conn.h. */
#include "core/conn.h"

#include "core/conn_spoken.h"

/* Flags of a run in the ring: what the response's framing depends on (RFC 9112 section 6.3). */
enum { RUN_HEAD = 1, RUN_CONNECT = 2, RUN_FLAGS = 3, RUN_SHIFT = 2 };

void conn_init(struct conn *c, int fd, uint16_t listener, bool unix_)
{
    uint32_t index = c->index, generation = c->generation;
    memset(c, 0, sizeof *c);
    c->index = index;
    c->generation = generation + 1;
    c->fd = fd;
    STORE(c->listener, listener);
    c->unix_ = unix_;
    c->aliases = 1;
    c->io.epoll_fd = -1;
    c->io.channel = -1;
    http1_init(&c->in, HTTP1_REQUEST);
    http1_init(&c->out, HTTP1_RESPONSE);
}

/* c->opaque is as it shall be: others may look at it. */
static void publish_opaque(struct conn *c, enum opaque_reason why)
{
    uint8_t none = OPAQUE_NOT;
    __atomic_compare_exchange_n(&c->opaque_reason, &none, (uint8_t)why, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static void set_opaque(struct conn *c, enum opaque_reason why, enum opaque_speaker last)
{
    if (conn_is_opaque(c))
        return;
    opaque_begin_unknown(&c->opaque, last);
    publish_opaque(c, why);
}

void conn_set_opaque(struct conn *c, enum opaque_reason why)
{
    enum opaque_speaker last = OPAQUE_NOBODY; /* bytes have passed that no hook has seen */
    if (why == OPAQUE_CONCURRENT_IO)
        last = conn_in_flight(c) ? OPAQUE_CLIENT : OPAQUE_SERVER;
    set_opaque(c, why, last);
}

void conn_follow_opaque_in(struct conn *c, const void *data, size_t n)
{
    opaque_received(&c->opaque, data, n);
}

void conn_follow_opaque_out(struct conn *c, const void *data, size_t n)
{
    if (UNLIKELY(c->message.first_out == FIRST_NOTHING))
        conn_spoken_note_server(c, data, n);
    opaque_sent(&c->opaque, data, n);
}

/* ---- ownership ---------------------------------------------------------------------------------- */

static void change(struct conn *c, const uint8_t *to)
{
    uint8_t now = LOAD(c->ownership);
    while (now != to[now] &&
           !__atomic_compare_exchange_n(&c->ownership, &now, to[now], true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* To what, from OWN, SHARED, SENT, ABANDONED, INHERITED, INHERITED_SENT. */
void conn_share(struct conn *c)
{
    static const uint8_t to[] = {CONN_SHARED,    CONN_SHARED,    CONN_SENT,
                                 CONN_ABANDONED, CONN_INHERITED, CONN_INHERITED_SENT};
    change(c, to);
}

void conn_send(struct conn *c)
{
    static const uint8_t to[] = {CONN_SENT, CONN_SENT, CONN_SENT, CONN_SENT, CONN_INHERITED_SENT, CONN_INHERITED_SENT};
    change(c, to);
}

void conn_abandon(struct conn *c)
{
    static const uint8_t to[] = {CONN_OWN,       CONN_SHARED,    CONN_ABANDONED,
                                 CONN_ABANDONED, CONN_INHERITED, CONN_INHERITED_SENT};
    change(c, to);
}

void conn_inherit(struct conn *c)
{
    static const uint8_t to[] = {CONN_INHERITED,      CONN_INHERITED, CONN_INHERITED_SENT,
                                 CONN_INHERITED_SENT, CONN_INHERITED, CONN_INHERITED_SENT};
    change(c, to);
}

void conn_use(struct conn *c)
{
    static const uint8_t to[] = {CONN_OWN, CONN_SHARED, CONN_SENT, CONN_SENT, CONN_SHARED, CONN_SENT};
    change(c, to);
}

void conn_own(struct conn *c)
{
    static const uint8_t to[] = {CONN_OWN, CONN_OWN, CONN_SENT, CONN_ABANDONED, CONN_OWN, CONN_INHERITED_SENT};
    change(c, to);
}

/* ---- the ring: one writer (in), one reader (out) ------------------------------------------------ */

static uint8_t run_flags(const struct http1_facts *f)
{
    return (uint8_t)((f->is_head ? RUN_HEAD : 0) | (f->is_connect ? RUN_CONNECT : 0));
}

/* Queue one run; false if the ring is full. */
static inline bool ring_push_run(struct conn *c, uint8_t flags, unsigned run)
{
    uint16_t head = c->ring.head;
    if ((uint16_t)(head - __atomic_load_n(&c->ring.tail, __ATOMIC_ACQUIRE)) >= CONN_RING)
        return false;
    c->ring.run[head % CONN_RING] = (uint8_t)(run << RUN_SHIFT | flags);
    __atomic_add_fetch(&c->ring.pending, run, __ATOMIC_RELAXED);
    __atomic_store_n(&c->ring.head, (uint16_t)(head + 1), __ATOMIC_RELEASE);
    return true;
}

/* Queue `count` > 0 requests alike; false if the ring is full. */
static bool ring_push(struct conn *c, uint8_t flags, unsigned count)
{
    do {
        unsigned run = count < CONN_RUN_MAX ? count : CONN_RUN_MAX;
        if (!ring_push_run(c, flags, run))
            return false;
        count -= run;
    } while (UNLIKELY(count > 0));
    return true;
}

/* The flags of the request that the next response answers; false if none is known. */
static inline bool ring_peek(const struct conn *c, uint8_t *flags)
{
    if (c->ring.tail == __atomic_load_n(&c->ring.head, __ATOMIC_ACQUIRE))
        return false;
    *flags = c->ring.run[c->ring.tail % CONN_RING] & RUN_FLAGS;
    return true;
}

static inline void ring_pop(struct conn *c)
{
    uint8_t flags;
    if (!ring_peek(c, &flags))
        return;
    if (c->ring.left == 0)
        c->ring.left = c->ring.run[c->ring.tail % CONN_RING] >> RUN_SHIFT;
    if (--c->ring.left == 0)
        __atomic_store_n(&c->ring.tail, (uint16_t)(c->ring.tail + 1), __ATOMIC_RELEASE);
    __atomic_sub_fetch(&c->ring.pending, 1, __ATOMIC_RELEASE);
}

/* ---- both ways ---------------------------------------------------------------------------------- */

/* http1_feed for n > 0 bytes, but if they end with a head, then HTTP1_DONE comes at once where no body follows
 * it. *head: was there a head? */
static inline size_t feed(struct http1 *p, const char *data, size_t n, enum http1_event *event, bool *head)
{
    size_t took = http1_feed(p, data, n, event);
    *head = *event == HTTP1_HEAD;
    if (*head && took == n && http1_ends_here(p))
        *event = HTTP1_DONE;
    return took;
}

/* ---- in ----------------------------------------------------------------------------------------- */

/* What the client sent before the byte at offset `at` of its first message, as far as http1 keeps it: digits, or the
 * beginning of HTTP/2's preface, look like a method. NULL: it cannot be told. */
static const char *first_bytes(const struct conn *c, uint64_t at)
{
    static const char preface[] = "PRI * HTTP/";
    const struct http1_facts *f = &c->in.facts;
    if (c->ring.head != 0 || at >= OPAQUE_FIRST)
        return NULL;
    if (at == 0)
        return "";
    if (at + 1 == f->method_len) /* the refused byte was kept too */
        return f->method;
    return at == sizeof preface - 1 && memcmp(f->method, "PRI", 4) == 0 ? preface : NULL;
}

/* http1 has refused the byte before data[0], at `offset` of the connection; n bytes follow it. */
static void follow_refused(struct conn *c, const uint8_t *data, size_t n, uint64_t offset, size_t here)
{
    uint64_t at = offset - c->proxy.len;
    const char *first = offset >= c->proxy.len ? first_bytes(c, at) : NULL;
    if (conn_is_opaque(c))
        return;
    conn_spoken_note_client(c, data, n, here);
    if (!first) {
        set_opaque(c, OPAQUE_REQUEST, OPAQUE_CLIENT);
        return;
    }
    opaque_received(&c->opaque, first, (size_t)at);
    opaque_received(&c->opaque, data - 1, n + 1);
    publish_opaque(c, OPAQUE_REQUEST);
}

/* n bytes that begin in a load balancer's header. */
static void follow_proxy_header(struct conn *c, const char *data, size_t n)
{
    enum proxy_protocol_result result;
    size_t took = proxy_protocol_feed(&c->proxy.header, (const uint8_t *)data, n, &result);
    if (result == PROXY_PROTOCOL_MORE)
        return;
    c->proxy.header.version = 0;
    if (result == PROXY_PROTOCOL_BAD) {
        set_opaque(c, OPAQUE_REQUEST, OPAQUE_CLIENT);
        return;
    }
    c->proxy.len = (uint32_t)(c->read_bytes - (n - took));
    c->message.in = 0;
    http1_init(&c->in, HTTP1_REQUEST);
    if (n > took)
        conn_follow_requests(c, data + took, n - took);
}

/* n bytes that http1 does not take: the last one before data[0] is the one that it has refused, if this is the call in
 * which it has (now); `here` bytes of this call were before data[0]. */
static void follow_no_http1(struct conn *c, const char *data, size_t n, bool now, size_t here)
{
    uint64_t offset = c->read_bytes - n - 1;
    if (now && c->proxy.len == 0 &&
        proxy_protocol_begin(&c->proxy.header, offset, (uint8_t)data[-1], c->in.facts.method)) {
        if (n > 0)
            follow_proxy_header(c, data, n);
    } else if (c->proxy.header.version != 0) {
        follow_proxy_header(c, data, n);
    } else {
        follow_refused(c, (const uint8_t *)data, n, offset, here);
    }
}

/* The first http1_feed of a read took `took` bytes and made `event`; and so on. */
static NOINLINE void follow_more_requests(struct conn *c, const char *data, size_t n, size_t took,
                                          enum http1_event event)
{
    unsigned run = 0;
    uint8_t flags = 0;
    bool room = true, head = event == HTTP1_HEAD;
    const char *begin = data;
    for (;;) {
        c->message.in += took;
        data += took;
        n -= took;
        if (head) {
            if (run > 0 && run_flags(&c->in.facts) != flags) {
                room = room && ring_push(c, flags, run);
                run = 0;
            }
            flags = run_flags(&c->in.facts);
            run++;
        } else if (event == HTTP1_BAD) {
            follow_no_http1(c, data, n, took > 0, (size_t)(data - begin));
            break;
        }
        if (n == 0)
            break;
        if (http1_between(&c->in))
            c->message.in = 0;
        took = feed(&c->in, data, n, &event, &head);
    }
    if (run > 0)
        room = ring_push(c, flags, run) && room;
    if (!room)
        set_opaque(c, OPAQUE_DEPTH, OPAQUE_CLIENT);
}

void conn_follow_requests(struct conn *c, const void *data, size_t n)
{
    enum http1_event event;
    if (http1_between(&c->in))
        c->message.in = 0;
    size_t took = http1_feed(&c->in, data, n, &event);
    if (UNLIKELY(event != HTTP1_HEAD || took != n)) {
        follow_more_requests(c, data, n, took, event);
        return;
    }
    /* Nearly always: the bytes end with a head. */
    c->message.in += n;
    uint8_t flags = run_flags(&c->in.facts);
    http1_ends_here(&c->in);
    if (!ring_push_run(c, flags, 1))
        set_opaque(c, OPAQUE_DEPTH, OPAQUE_CLIENT);
}

void conn_skip_requests(struct conn *c, size_t n)
{
    enum http1_event event;
    if (!http1_skip(&c->in, n, &event))
        set_opaque(c, OPAQUE_UNSEEN, OPAQUE_CLIENT);
    else
        c->message.in += n;
}

/* ---- out ---------------------------------------------------------------------------------------- */

/* Tell the response parser which request the next response answers. */
static INLINE void expect_next(const struct conn *c, struct http1 *out)
{
    uint8_t flags;
    if (ring_peek(c, &flags))
        http1_expect(out, flags & RUN_HEAD, flags & RUN_CONNECT);
}

/* As with requests. */
static NOINLINE unsigned follow_more_responses(struct conn *c, const char *data, size_t n, size_t took,
                                               enum http1_event event)
{
    unsigned done = 0;
    bool head;
    const char *begin = data;
    if (event == HTTP1_HEAD && took == n && http1_ends_here(&c->out))
        event = HTTP1_DONE;
    for (;;) {
        c->message.out += took;
        data += took;
        n -= took;
        if (event == HTTP1_DONE) {
            ring_pop(c);
            done++;
        } else if (event == HTTP1_BAD || event == HTTP1_TUNNEL) {
            conn_spoken_note_no_response(c, begin, n, (size_t)(data - begin));
            set_opaque(c, event == HTTP1_BAD ? OPAQUE_RESPONSE : OPAQUE_TUNNEL, OPAQUE_SERVER);
            break;
        }
        if (n == 0)
            break;
        if (http1_between(&c->out)) {
            expect_next(c, &c->out);
            c->message.out = 0;
        }
        took = feed(&c->out, data, n, &event, &head);
    }
    return done;
}

unsigned conn_follow_responses(struct conn *c, const void *data, size_t n)
{
    enum http1_event event;
    if (http1_between(&c->out)) {
        expect_next(c, &c->out);
        c->message.out = 0;
    }
    size_t took = http1_feed(&c->out, data, n, &event);
    if (took != n || event != HTTP1_HEAD || c->out.left == 0)
        return follow_more_responses(c, data, n, took, event);
    c->message.out += n; /* a head has come, its body is still to come */
    return 0;
}

static NOINLINE unsigned skip_more_responses(struct conn *c, size_t n)
{
    enum http1_event event;
    if (!http1_skip(&c->out, n, &event)) {
        set_opaque(c, OPAQUE_UNSEEN, OPAQUE_SERVER);
        return 0;
    }
    c->message.out += n;
    if (event != HTTP1_DONE)
        return 0;
    ring_pop(c);
    return 1;
}

unsigned conn_skip_responses(struct conn *c, size_t n)
{
    if (UNLIKELY(!http1_skip_rest(&c->out, n)))
        return skip_more_responses(c, n);
    c->message.out += n;
    ring_pop(c);
    return 1;
}

/* ---- questions ---------------------------------------------------------------------------------- */

bool conn_request_open(const struct conn *c)
{
    return !conn_is_opaque(c) && !http1_between(&c->in);
}

bool conn_in_flight(const struct conn *c)
{
    if (LOAD(c->fin) || conn_is_opaque(c))
        return false;
    return __atomic_load_n(&c->ring.pending, __ATOMIC_ACQUIRE) > 0 || conn_request_open(c) || !http1_between(&c->out);
}

bool conn_opaque_unseen(const struct conn *c)
{
    return LOAD(c->opaque_reason) == OPAQUE_COUNTS || LOAD(c->opaque.last) == OPAQUE_NOBODY;
}

enum opaque_state conn_opaque_state(const struct conn *c)
{
    return LOAD(c->opaque_reason) == OPAQUE_COUNTS ? OPAQUE_ANSWERED : opaque_state(&c->opaque);
}

bool conn_is_waited_for(const struct conn *c)
{
    if (conn_is_opaque(c))
        return !LOAD(c->fin) && conn_opaque_state(c) == OPAQUE_IN_FLIGHT;
    return conn_in_flight(c);
}

bool conn_may_shut_read(const struct conn *c)
{
    uint8_t protocol = LOAD(c->opaque.protocol);
    return !conn_is_opaque(c) || LOAD(c->opaque_reason) == OPAQUE_TUNNEL || protocol == OPAQUE_FASTCGI ||
           protocol == OPAQUE_HTTP2;
}

/* Is the response that begins now the last outstanding one, if `answered` more were complete before it? */
static bool is_last(const struct conn *c, unsigned answered, bool more)
{
    uint32_t pending = __atomic_load_n(&c->ring.pending, __ATOMIC_ACQUIRE);
    if (http1_in_head(&c->in))
        return pending <= answered; /* an early answer (400, 408, 431) to the head that has begun */
    return pending <= answered + 1 && !(more && http1_between(&c->in));
}

size_t conn_last_head(const struct conn *c, const struct http1_span *chunks, size_t count, bool more)
{
    struct http1 out = c->out;
    unsigned answered = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const char *data = chunks[i].data;
        size_t left = chunks[i].len;
        while (left > 0) {
            enum http1_event event;
            bool head;
            if (http1_between(&out)) {
                if (is_last(c, answered, more))
                    return at;
                /* A HEAD or CONNECT further down the queue would be framed otherwise; then the copy
                 * goes wrong and the worst is that no close option is said. */
                expect_next(c, &out);
            }
            size_t took = feed(&out, data, left, &event, &head);
            data += took;
            left -= took;
            at += took;
            if (event == HTTP1_DONE)
                answered++;
            else if (event == HTTP1_BAD || event == HTTP1_TUNNEL)
                return SIZE_MAX;
        }
    }
    return SIZE_MAX;
}

const char *conn_method(const struct conn *c)
{
    return conn_is_opaque(c) || c->in.facts.method_len == 0 ? "" : c->in.facts.method;
}

bool conn_is_valid(const struct conn *c)
{
    uint16_t runs = (uint16_t)(c->ring.head - c->ring.tail);
    if (runs > CONN_RING || c->ring.left > CONN_RUN_MAX || c->stage > CONN_LINGERING)
        return false;
    return conn_is_opaque(c) || (runs == 0) == (c->ring.pending == 0);
}
