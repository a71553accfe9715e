/* opaque.c: see opaque.h. */
#include "core/opaque.h"

/* ---- which protocol ------------------------------------------------------------------------------------ */

/* Do the n bytes of s and of `text` agree as far as both go? *whole: all of text is there. */
static bool agrees(const uint8_t *s, size_t n, const char *text, size_t len, bool *whole)
{
    *whole = n >= len;
    return memcmp(s, text, n < len ? n : len) == 0;
}

/* RFC 8446 5.1: a handshake record of version 3.x. */
static enum opaque_protocol match_tls(const uint8_t *s, size_t n)
{
    if (s[0] != 0x16)
        return OPAQUE_UNKNOWN;
    if (n < 3)
        return n == 2 && s[1] != 3 ? OPAQUE_UNKNOWN : OPAQUE_UNDECIDED;
    return s[1] == 3 && s[2] <= 4 ? OPAQUE_TLS : OPAQUE_UNKNOWN;
}

/* FCGI_BEGIN_REQUEST: version 1, type 1, a request number, and a body of 8 bytes. */
static enum opaque_protocol match_fastcgi(const uint8_t *s, size_t n)
{
    if (s[0] != 1 || (n > 1 && s[1] != 1))
        return OPAQUE_UNKNOWN;
    if (n < 6)
        return OPAQUE_UNDECIDED;
    return s[4] == 0 && s[5] == 8 ? OPAQUE_FASTCGI : OPAQUE_UNKNOWN;
}

/* uwsgi: a modifier (WSGI, PSGI, RACK, PHP), the size of the variables, a second modifier; then the first variable's
 * name, after its length, which is little-endian. */
static enum opaque_protocol match_uwsgi(const uint8_t *s, size_t n)
{
    if (s[0] != 0 && s[0] != 5 && s[0] != 7 && s[0] != 14)
        return OPAQUE_UNKNOWN;
    if (n < 9)
        return OPAQUE_UNDECIDED;
    for (size_t i = 6; i < 9; i++)
        if (s[i] < 'A' || s[i] > 'Z')
            return OPAQUE_UNKNOWN;
    return s[4] >= 3 && s[4] <= 64 && s[5] == 0 ? OPAQUE_ONE_REQUEST : OPAQUE_UNKNOWN;
}

/* SCGI: a netstring; its first header is CONTENT_LENGTH. */
static enum opaque_protocol match_scgi(const uint8_t *s, size_t n)
{
    size_t digits = 0;
    bool whole;
    while (digits < n && digits < 7 && s[digits] >= '0' && s[digits] <= '9')
        digits++;
    if (digits == n)
        return OPAQUE_UNDECIDED;
    if (digits == 0 || !agrees(s + digits, n - digits, ":CONTENT", 8, &whole))
        return OPAQUE_UNKNOWN;
    return whole ? OPAQUE_ONE_REQUEST : OPAQUE_UNDECIDED;
}

static enum opaque_protocol match_http2(const uint8_t *s, size_t n)
{
    bool whole;
    if (!agrees(s, n, "PRI * HTTP/2", 12, &whole))
        return OPAQUE_UNKNOWN;
    return whole ? OPAQUE_HTTP2 : OPAQUE_UNDECIDED;
}

enum opaque_protocol opaque_match(const uint8_t *first, size_t n)
{
    enum opaque_protocol (*const match[])(const uint8_t *, size_t) = {match_tls, match_fastcgi, match_uwsgi, match_scgi,
                                                                      match_http2};
    enum opaque_protocol best = n == 0 ? OPAQUE_UNDECIDED : OPAQUE_UNKNOWN;
    for (size_t i = 0; n > 0 && i < COUNT(match); i++) {
        enum opaque_protocol p = match[i](first, n);
        if (p != OPAQUE_UNKNOWN)
            best = p; /* no two agree beyond their first byte */
    }
    return best;
}

/* ---- records ------------------------------------------------------------------------------------------- */

static void say(struct opaque *o, enum opaque_speaker who)
{
    __atomic_store_n(&o->last, (uint8_t)who, __ATOMIC_RELEASE);
}

static bool in_record(const struct opaque_records *r)
{
    return LOAD(r->left) > 0 || LOAD(r->have) > 0;
}

/* The content type of encrypted records, of the handshake; and the largest record of an HTTP/2 client that may be
 * nothing but SETTINGS ACK, PING ACK or WINDOW_UPDATE: 26 bytes of frames, and 17 that AEAD and the inner type add. */
enum { TLS_HANDSHAKE = 22, TLS_APPLICATION = 23, TLS_SMALL = 43, TLS_TICKET_MIN = 100, TLS_TICKETS_MAX = 4 };

/* The server's Finished: the head of a message, a hash of SHA-256 or SHA-384, and 17 bytes as above. */
static bool is_finished_len(uint32_t len)
{
    return len == 4 + 32 + 17 || len == 4 + 48 + 17;
}

/* Go's crypto/tls sends its ticket in its first flight, after its Finished (sendServerFinished), and none later. (What
 * an HTTP/2 server may send there is shorter: SETTINGS.) */
static bool sent_ticket_early(const struct opaque *o)
{
    return is_finished_len(LOAD(o->flight[1])) && LOAD(o->flight[0]) >= TLS_TICKET_MIN;
}

static void tls_received(struct opaque *o, uint8_t type, uint32_t len)
{
    if (type == TLS_HANDSHAKE) {
        STORE(o->small, false);
        say(o, OPAQUE_CLIENT);
        return;
    }
    if (type != TLS_APPLICATION)
        return; /* a change of cipher, an alert: nothing that is answered */
    STORE(o->client_ciphered, true);
    if (__atomic_load_n(&o->server_ciphered, __ATOMIC_ACQUIRE) && !o->finished) {
        if (sent_ticket_early(o))
            STORE(o->tickets, TLS_TICKETS_MAX);
        __atomic_store_n(&o->finished, true, __ATOMIC_RELEASE);
        return;
    }
    /* A server that has spoken since the Finished has sent its tickets. */
    if (LOAD(o->tickets) > 0)
        STORE(o->tickets, TLS_TICKETS_MAX);
    STORE(o->small, o->may_be_h2 && len <= TLS_SMALL);
    say(o, OPAQUE_CLIENT);
}

/* RFC 8446 4.6.1: after the client's Finished the server sends tickets, which answer nothing: none or one, or several
 * of one length. A response taken for a ticket holds the drain until the deadline; a ticket taken for a response loses
 * the request. */
static bool is_ticket(struct opaque *o, uint32_t len)
{
    uint8_t tickets = LOAD(o->tickets);
    if (!__atomic_load_n(&o->finished, __ATOMIC_ACQUIRE) || tickets >= TLS_TICKETS_MAX ||
        (tickets > 0 && len != o->ticket_len))
        return false;
    o->ticket_len = (uint16_t)len;
    STORE(o->tickets, tickets + 1);
    return true;
}

static void tls_sent(struct opaque *o, uint8_t type, uint32_t len)
{
    if (type == TLS_APPLICATION) {
        if (is_ticket(o, len))
            return;
        if (!LOAD(o->client_ciphered)) {
            STORE(o->flight[1], LOAD(o->flight[0]));
            STORE(o->flight[0], len);
            __atomic_store_n(&o->server_ciphered, true, __ATOMIC_RELEASE);
        }
    }
    say(o, OPAQUE_SERVER);
}

/* ---- FastCGI (its specification, section 8: FCGI_Header) ------------------------------------------------- */

enum { FCGI_BEGIN_REQUEST = 1, FCGI_END_REQUEST = 3 };

static void open_change(struct opaque *o, int by)
{
    uint32_t open = LOAD(o->open);
    while ((by > 0 || open > 0) && !__atomic_compare_exchange_n(&o->open, &open, open + (uint32_t)by, false,
                                                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
}

/* ---- HTTP/2 (RFC 9113) ---------------------------------------------------------------------------------- */

enum { H2_DATA, H2_HEADERS, H2_RST_STREAM = 3, H2_END_STREAM = 1, H2_PREFACE = 24 };

static uint32_t number(const uint8_t *s, unsigned bytes)
{
    uint32_t n = 0;
    while (bytes-- > 0)
        n = n << 8 | *s++;
    return n;
}

/* A stream opens with the first HEADERS of a number higher than all before (section 5.1.1). */
static void h2_open(struct opaque *o, uint32_t id)
{
    if (id <= o->newest)
        return;
    o->newest = id;
    for (unsigned i = 0; i < OPAQUE_STREAMS; i++)
        if (LOAD(o->stream[i]) == 0) {
            STORE(o->stream[i], id);
            open_change(o, 1);
            return;
        }
    STORE(o->crowded, true);
}

static void h2_close(struct opaque *o, uint32_t id)
{
    for (unsigned i = 0; i < OPAQUE_STREAMS; i++) {
        uint32_t there = id;
        if (__atomic_compare_exchange_n(&o->stream[i], &there, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            open_change(o, -1);
            return;
        }
    }
}

static void h2_frame(struct opaque *o, const uint8_t *head, bool from_client)
{
    uint32_t id = number(head + 5, 4) & 0x7fffffff;
    uint8_t type = head[3];
    if (from_client && type == H2_HEADERS)
        h2_open(o, id);
    if (type == H2_RST_STREAM || (!from_client && type <= H2_HEADERS && (head[4] & H2_END_STREAM)))
        h2_close(o, id);
}

/* ---- both directions ------------------------------------------------------------------------------------ */

static unsigned head_size(const struct opaque *o)
{
    uint8_t protocol = LOAD(o->protocol);
    return protocol == OPAQUE_TLS ? 5 : protocol == OPAQUE_FASTCGI ? 8 : 9;
}

/* A record's head is whole. Returns the length of its body. */
static uint32_t take_head(struct opaque *o, const uint8_t *head, bool from_client)
{
    uint32_t len;
    switch (LOAD(o->protocol)) {
    case OPAQUE_TLS:
        len = number(head + 3, 2);
        if (from_client)
            tls_received(o, head[0], len);
        else
            tls_sent(o, head[0], len);
        return len;
    case OPAQUE_FASTCGI:
        if (from_client && head[1] == FCGI_BEGIN_REQUEST)
            open_change(o, 1);
        if (!from_client && head[1] == FCGI_END_REQUEST)
            open_change(o, -1);
        return number(head + 4, 2) + head[6];
    default: h2_frame(o, head, from_client); return number(head, 3);
    }
}

/* The ClientHello lists h2 first (RFC 7301 3.1: extension 16, two lengths, then the names). */
static void look_for_h2(struct opaque *o, const uint8_t *s, size_t n)
{
    for (; n > 0 && !o->may_be_h2; n--, s++) {
        o->hello = o->hello << 8 | *s;
        o->may_be_h2 = (o->hello & 0xff00000000ffffff) == 0x1000000000026832;
    }
}

static void follow(struct opaque *o, struct opaque_records *r, const uint8_t *s, size_t n, bool from_client)
{
    const unsigned size = head_size(o);
    while (n > 0) {
        uint32_t *rest = r->skip > 0 ? &r->skip : &r->left;
        if (*rest > 0) {
            size_t part = *rest < n ? *rest : n;
            if (from_client && LOAD(o->protocol) == OPAQUE_TLS && r->head[0] == TLS_HANDSHAKE)
                look_for_h2(o, s, part);
            STORE(*rest, *rest - (uint32_t)part);
            s += part;
            n -= part;
            continue;
        }
        r->head[r->have] = *s++;
        n--;
        if (r->have + 1u < size) {
            STORE(r->have, r->have + 1);
            continue;
        }
        STORE(r->left, take_head(o, r->head, from_client));
        STORE(r->have, 0);
    }
}

static bool has_records(const struct opaque *o)
{
    uint8_t p = LOAD(o->protocol);
    return p == OPAQUE_TLS || p == OPAQUE_FASTCGI || p == OPAQUE_HTTP2;
}

/* What passed cannot be told: from now on only who spoke last. */
static void lose_track(struct opaque *o)
{
    STORE(o->protocol, OPAQUE_UNKNOWN);
}

void opaque_begin_unknown(struct opaque *o, enum opaque_speaker last)
{
    STORE(o->protocol, OPAQUE_UNKNOWN);
    say(o, last);
}

/* The client's first bytes. Returns how many of the n were kept: all, or the protocol is decided. */
static size_t take_first(struct opaque *o, const uint8_t *s, size_t n)
{
    size_t room = sizeof o->first - o->first_len, took = n < room ? n : room;
    memcpy(o->first + o->first_len, s, took);
    o->first_len = (uint8_t)(o->first_len + took);
    enum opaque_protocol p = opaque_match(o->first, o->first_len);
    if (p == OPAQUE_UNDECIDED && o->first_len == sizeof o->first)
        p = OPAQUE_UNKNOWN;
    o->in.skip = p == OPAQUE_HTTP2 ? H2_PREFACE : 0;
    STORE(o->protocol, p);
    if (has_records(o))
        follow(o, &o->in, o->first, o->first_len, true);
    return took;
}

void opaque_received(struct opaque *o, const void *data, size_t n)
{
    const uint8_t *s = data;
    if (!s && LOAD(o->protocol) != OPAQUE_ONE_REQUEST)
        lose_track(o);
    if (LOAD(o->protocol) == OPAQUE_UNDECIDED) {
        size_t took = take_first(o, s, n);
        s += took;
        n -= took;
    }
    if (has_records(o))
        follow(o, &o->in, s, n, true);
    else
        say(o, OPAQUE_CLIENT);
}

void opaque_sent(struct opaque *o, const void *data, size_t n)
{
    if (has_records(o) && !data)
        lose_track(o);
    if (has_records(o))
        follow(o, &o->out, data, n, false);
    else
        say(o, OPAQUE_SERVER);
}

enum opaque_state opaque_state(const struct opaque *o)
{
    uint8_t last = __atomic_load_n(&o->last, __ATOMIC_ACQUIRE);
    switch (LOAD(o->protocol)) {
    case OPAQUE_ONE_REQUEST: return OPAQUE_IN_FLIGHT;
    case OPAQUE_FASTCGI:
    case OPAQUE_HTTP2:
        if (__atomic_load_n(&o->open, __ATOMIC_ACQUIRE) > 0 || LOAD(o->crowded))
            return OPAQUE_IN_FLIGHT;
        return in_record(&o->in) || in_record(&o->out) ? OPAQUE_IN_FLIGHT : OPAQUE_ANSWERED;
    case OPAQUE_TLS:
        if (in_record(&o->in) || in_record(&o->out))
            return OPAQUE_IN_FLIGHT;
        if (last == OPAQUE_CLIENT)
            return LOAD(o->small) ? OPAQUE_BUSY : OPAQUE_IN_FLIGHT;
        return OPAQUE_ANSWERED;
    default: return last == OPAQUE_CLIENT ? OPAQUE_IN_FLIGHT : OPAQUE_ANSWERED;
    }
}
