/* http1.c: framing of HTTP/1.x.
 *
 * Two ways through a head with one outcome. Lines that lie whole in the caller's buffer are taken at once, sixteen
 * bytes a step and without a copy (take_lines). A line that this refuses, because the buffer ends in it or because
 * it is odd in any way, goes byte by byte through the states below (take_byte), which alone decide what is bad. So a
 * head means the same wherever the buffers end. */
#include "core/http1.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    HEAD_MAX = 65536,      /* bytes of a head, and of a trailer section */
    CHUNK_LINE_MAX = 1024, /* bytes of a chunk-size line with its extensions */
    METHOD_MAX = 32,
    EMPTY_LINES_MAX = 2,
    LENGTH_DIGITS_MAX = 18, /* of a Content-Length: nothing overflows, 10^18 bytes are enough */
    CHUNK_DIGITS_MAX = 16,  /* of a chunk size */
};

/* What the next byte is expected to be. */
enum state {
    START,         /* the first byte of a message */
    START_LF,      /* LF of an empty line before a request line */
    METHOD,        /* rest of the method, then SP */
    TARGET_FIRST,  /* first byte of the request target */
    TARGET,        /* rest of it, then SP */
    VERSION,       /* "HTTP/1." and 0 or 1 */
    REQUEST_CR,    /* CR behind the version */
    STATUS_SP,     /* SP behind the version */
    STATUS,        /* three digits */
    STATUS_END,    /* SP, or CR if there is no reason phrase at all */
    REASON,        /* reason phrase, then CR */
    LINE_LF,       /* LF of a start line */
    FIELD,         /* first byte of a field line, or CR of the empty line */
    NAME,          /* rest of a field name, then the colon */
    VALUE,         /* field value, then CR */
    VALUE_LF,      /* LF of a field line */
    END_LF,        /* LF of the empty line that ends the head or the trailers */
    COUNTED,       /* `left` bytes of body */
    UNTIL_CLOSE,   /* body without end */
    CHUNK_FIRST,   /* first digit of a chunk size */
    CHUNK_SIZE,    /* its other digits, then an extension or CR */
    CHUNK_EXT,     /* chunk extension, then CR */
    CHUNK_LF,      /* LF of the chunk-size line */
    CHUNK_DATA,    /* `left` bytes of a chunk */
    CHUNK_DATA_CR, /* CR behind them */
    CHUNK_DATA_LF, /* LF behind them */
    DONE_DUE,      /* nothing: a message without body is over at the next call */
    TUNNEL,        /* no more HTTP */
    BAD,           /* not HTTP that all parsers read alike */
};

/* Fields that say how a message is framed or what becomes of the connection. */
enum field { OTHER, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT };

/* Where we are in the value of such a field: each is a list of words. */
enum part { GAP, WORD, AFTER };

/* What a word meant. */
enum meaning { MEANS_NOTHING, TAKEN, WRONG };

_Static_assert((int)START == (int)HTTP1_START && (int)START_LF == (int)HTTP1_LAST_BETWEEN &&
                   (int)COUNTED == (int)HTTP1_COUNTED && (int)DONE_DUE == (int)HTTP1_DONE_DUE,
               "http1.h has functions that look at them");

struct bytes { /* still to be taken */
    const uint8_t *at, *end;
};

/* ---- bytes --------------------------------------------------------------------------------------- */

bool http1_is_tchar(uint8_t c)
{
    /* ALPHA, DIGIT and !#$%&'*+-.^_`|~ */
    static const uint64_t set[4] = {0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0, 0};
    return set[c >> 6] >> (c & 63) & 1;
}

bool http1_is_text(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

/* __builtin: -ffreestanding would make a call of each plain memcpy. */
static uint64_t load64(const void *s)
{
    uint64_t word;
    __builtin_memcpy(&word, s, sizeof word);
    return word;
}

static uint32_t load32(const void *s)
{
    uint32_t word;
    __builtin_memcpy(&word, s, sizeof word);
    return word;
}

/* Are the 8 bytes from s on exactly these? */
#define IS8(s, literal) (load64(s) == load64("" literal))

static inline bool is_crlf(const uint8_t *s)
{
    uint16_t pair, crlf;
    __builtin_memcpy(&pair, s, sizeof pair);
    __builtin_memcpy(&crlf, "\r\n", sizeof crlf);
    return pair == crlf;
}

/* Are s and `lower` the same n >= 4 bytes but for case? Only where s holds no control bytes: the bit
 * that makes a letter small also makes CR a hyphen. `lower` is small letters, digits and hyphens. */
static inline bool same_word(const uint8_t *s, const char *lower, size_t n)
{
    const uint64_t small = 0x2020202020202020;
    if (n < 8)
        return (load32(s) | (uint32_t)small) == load32(lower) &&
               (load32(s + (n - 4)) | (uint32_t)small) == load32(lower + (n - 4));
    for (size_t i = 0; i + 8 < n; i += 8)
        if ((load64(s + i) | small) != load64(lower + i))
            return false;
    return (load64(s + (n - 8)) | small) == load64(lower + (n - 8));
}

/* The place of the lowest bit; mask is not 0. */
static inline size_t lowest(uint32_t mask)
{
#if defined(__SSE2__)
    size_t place; /* the compiler would widen its own 32 bits once more */
    __asm__("rep bsfl %1, %k0" : "=r"(place) : "r"(mask) : "cc");
    return place;
#else
    return (size_t)__builtin_ctz(mask);
#endif
}

/* Bit i of these: does byte i of the 16 from s on belong to a class? Bits above 15 are 0. */
#if defined(__SSE2__)

/* All but SP and VCHAR. */
static inline uint32_t special16(const uint8_t *s)
{
    /* 0x20..0x7e wrapped to 0..0x5e, then moved up to just below the sign bit: others have it set. */
    __m128i x = _mm_loadu_si128((const __m128i *)s);
    x = _mm_sub_epi8(x, _mm_set1_epi8(0x20));
    return (uint32_t)_mm_movemask_epi8(_mm_adds_epu8(x, _mm_set1_epi8(0x21)));
}

/* All but VCHAR. */
static inline uint32_t invisible16(const uint8_t *s)
{
    __m128i x = _mm_loadu_si128((const __m128i *)s);
    x = _mm_sub_epi8(x, _mm_set1_epi8(0x21));
    return (uint32_t)_mm_movemask_epi8(_mm_adds_epu8(x, _mm_set1_epi8(0x22)));
}

/* Letters and hyphens, which nearly all names are made of. */
static inline uint32_t letters16(const uint8_t *s)
{
    /* Small letters moved to the top of the signed range: all other bytes are below them. */
    __m128i x = _mm_loadu_si128((const __m128i *)s);
    __m128i hyphen = _mm_cmpeq_epi8(x, _mm_set1_epi8('-'));
    __m128i top = _mm_add_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8(0x7f - 'z'));
    __m128i letter = _mm_cmpgt_epi8(top, _mm_set1_epi8('a' - 1 + 0x7f - 'z'));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(hyphen, letter));
}

#else

static uint32_t special16(const uint8_t *s)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (uint32_t)(s[i] < ' ' || s[i] >= 0x7f) << i;
    return mask;
}

static uint32_t invisible16(const uint8_t *s)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (uint32_t)(s[i] <= ' ' || s[i] >= 0x7f) << i;
    return mask;
}

static uint32_t letters16(const uint8_t *s)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (uint32_t)(s[i] == '-' || (s[i] | 0x20u) - 'a' <= 'z' - 'a') << i;
    return mask;
}

#endif

/* ---- what fields mean, for both ways ------------------------------------------------------------- */

/* A line that begins with one of these letters cannot be a field that matters, whatever it holds: only its end is
 * looked for. Servers differ in what they do with `Foo : x` or a line without a colon, not in where it ends. All other
 * lines, those that begin with blanks (obs-fold) among them, must have a good name: nobody shall take for
 * Content-Length what we do not. In responses Expect says nothing. */
/* clang-format off */
static const bool dull[2][256] = {
    [HTTP1_REQUEST] = {
        ['A' ... 'B'] = true, ['D'] = true, ['F' ... 'S'] = true, ['U' ... 'Z'] = true, /* not C, E, T */
        ['a' ... 'b'] = true, ['d'] = true, ['f' ... 's'] = true, ['u' ... 'z'] = true,
    },
    [HTTP1_RESPONSE] = {
        ['A' ... 'B'] = true, ['D' ... 'S'] = true, ['U' ... 'Z'] = true, /* not C, T */
        ['a' ... 'b'] = true, ['d' ... 's'] = true, ['u' ... 'z'] = true,
    },
};
/* clang-format on */

static inline enum field field_named(const struct http1 *p, const uint8_t *name, size_t n)
{
    if (n == 10)
        return same_word(name, "connection", 10) ? CONNECTION : OTHER;
    if (n == 14)
        return same_word(name, "content-length", 14) ? CONTENT_LENGTH : OTHER;
    if (n == 17)
        return same_word(name, "transfer-encoding", 17) ? TRANSFER_ENCODING : OTHER;
    if (n == 6)
        return p->kind == HTTP1_REQUEST && same_word(name, "expect", 6) ? EXPECT : OTHER;
    return OTHER;
}

static inline enum meaning take_connection_word(struct http1 *p, const uint8_t *word, size_t n)
{
    if (n == 10 && same_word(word, "keep-alive", n))
        p->facts.keep_alive = true;
    else if (n == 5 && same_word(word, "close", n))
        p->facts.close = true;
    else if (n == 7 && same_word(word, "upgrade", n))
        p->facts.upgrade = true;
    else
        return MEANS_NOTHING;
    return TAKEN;
}

/* A second length is bad even if it is the same one: RFC 9110 8.6 lets a recipient choose. */
static inline enum meaning take_length(struct http1 *p, const uint8_t *word, size_t n)
{
    uint64_t length = 0;
    if (p->facts.has_length || n > LENGTH_DIGITS_MAX)
        return WRONG;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = word[i] - (unsigned)'0';
        if (digit > 9)
            return MEANS_NOTHING;
        length = length * 10 + digit;
    }
    p->facts.content_length = length;
    p->facts.has_length = true;
    return TAKEN;
}

/* n > 0 bytes. If the line was truncated, those past the size of p->word are missing and n says one too many:
 * no word that means something is as long. */
static inline enum meaning take_word(struct http1 *p, enum field field, const uint8_t *word, size_t n)
{
    switch (field) {
    case CONNECTION: return take_connection_word(p, word, n);
    case CONTENT_LENGTH: return take_length(p, word, n);
    case TRANSFER_ENCODING:
        if (p->facts.chunked || n != 7 || !same_word(word, "chunked", n))
            return WRONG;
        p->facts.chunked = true;
        return TAKEN;
    case EXPECT:
        if (n != 12 || !same_word(word, "100-continue", n))
            return MEANS_NOTHING;
        p->facts.expect_continue = true;
        return TAKEN;
    default: return MEANS_NOTHING;
    }
}

static bool is_list(enum field field)
{
    return field == CONNECTION || field == EXPECT;
}

static bool end_word(struct http1 *p)
{
    enum meaning m = take_word(p, p->field, p->word, p->word_len);
    return m == TAKEN || (m == MEANS_NOTHING && is_list(p->field));
}

static void keep_byte(struct http1 *p, uint8_t c)
{
    if (p->word_len < sizeof p->word)
        p->word[p->word_len] = c;
    if (p->word_len <= sizeof p->word)
        p->word_len++;
}

/* One byte of the value of a field that matters. False if it may not be there. */
static bool take_value_byte(struct http1 *p, uint8_t c)
{
    if (p->part == GAP) {
        if (c == ' ' || c == '\t')
            return true;
        if (c == ',')
            return is_list(p->field);
        p->part = WORD;
        p->word_len = 0;
        if (!http1_is_tchar(c))
            return false;
    }
    if (p->part == WORD) {
        if (http1_is_tchar(c)) {
            keep_byte(p, c);
            return true;
        }
        if (!end_word(p))
            return false;
        p->part = AFTER;
    }
    if (c == ',' && is_list(p->field)) {
        p->part = GAP;
        return true;
    }
    /* HTAB behind a length or coding is legal, but http_parser (node) rejects it or, worse, reads a
     * response with "chunked HTAB" until close. */
    return c == ' ' || (c == '\t' && is_list(p->field));
}

/* A value has ended: its last word, and was there one where there must be? */
static bool end_value(struct http1 *p)
{
    if (p->part == WORD && !end_word(p))
        return false;
    if (p->field == CONTENT_LENGTH)
        return p->facts.has_length && p->part != GAP;
    if (p->field == TRANSFER_ENCODING)
        return p->facts.chunked && p->part != GAP;
    return true;
}

/* A whole value, if it is as nearly always SP and one word we know. If not, p is as it was. */
static inline bool take_value(struct http1 *p, enum field field, const uint8_t *s, const uint8_t *eol)
{
    return *s == ' ' && eol - s > 1 && take_word(p, field, s + 1, (size_t)(eol - s) - 1) == TAKEN;
}

/* ---- what start lines mean ----------------------------------------------------------------------- */

static void begin_message(struct http1 *p)
{
    __builtin_memset(&p->facts, 0, sizeof p->facts);
    p->left = 0;
    p->head_len = 0;
    p->trailers = false;
    p->count = 0;
}

static void keep_method(struct http1 *p, uint8_t c)
{
    if (p->facts.method_len < HTTP1_METHOD_MAX)
        p->facts.method[p->facts.method_len++] = (char)c;
}

/* Case matters: RFC 9110 9.1. */
static inline void end_method(struct http1 *p)
{
    p->facts.is_head = load64(p->facts.method) == load64("HEAD\0\0\0");
    p->facts.is_connect = load64(p->facts.method) == load64("CONNECT");
}

/* ---- the end of a head --------------------------------------------------------------------------- */

static enum http1_event go_bad(struct http1 *p)
{
    p->state = BAD;
    return HTTP1_BAD;
}

static enum http1_event end_message(struct http1 *p)
{
    http1_end_message(p);
    return HTTP1_DONE;
}

static INLINE enum http1_event expect_body(struct http1 *p)
{
    struct http1_facts *f = &p->facts;
    p->left = f->content_length;
    if (f->chunked)
        p->state = CHUNK_FIRST;
    else if (f->has_length)
        p->state = p->left ? COUNTED : DONE_DUE;
    else if (f->until_close)
        p->state = UNTIL_CLOSE;
    else
        p->state = DONE_DUE;
    return HTTP1_HEAD;
}

static INLINE enum http1_event end_request_head(struct http1 *p)
{
    struct http1_facts *f = &p->facts;
    /* A CONNECT has no content (RFC 9110 9.3.6): some servers skip what others take for the tunnel. */
    if (f->is_connect && (f->chunked || f->content_length))
        return go_bad(p);
    if (f->minor == 0)
        f->expect_continue = false; /* RFC 9110 10.1.1 */
    return expect_body(p);
}

/* RFC 9112 6.3. */
static NOINLINE enum http1_event end_other_response_head(struct http1 *p)
{
    struct http1_facts *f = &p->facts;
    if (f->status == 101 || (p->answers_connect && f->status / 100 == 2)) {
        p->state = TUNNEL;
        return HTTP1_TUNNEL;
    }
    bool interim = f->status / 100 == 1;
    /* Neither may announce a body (RFC 9110 8.6, RFC 9112 6.1); some clients would wait for it. An
     * explicit length of 0 after 204 is common and harmless. */
    if ((interim || f->status == 204) && (f->chunked || f->content_length))
        return go_bad(p);
    if (interim) {
        p->state = START;
        return HTTP1_INTERIM;
    }
    if (p->answers_head || f->status == 204 || f->status == 304) {
        p->state = DONE_DUE;
        return HTTP1_HEAD;
    }
    f->until_close = !f->chunked && !f->has_length;
    return expect_body(p);
}

static INLINE enum http1_event end_response_head(struct http1 *p)
{
    struct http1_facts *f = &p->facts;
    if (UNLIKELY(f->status != 200 || p->answers_head || p->answers_connect))
        return end_other_response_head(p);
    f->until_close = !f->chunked && !f->has_length;
    return expect_body(p);
}

static INLINE enum http1_event end_head(struct http1 *p, enum http1_kind kind)
{
    const struct http1_facts *f = &p->facts;
    /* RFC 9112 6.1: both, or chunked in HTTP/1.0, is how requests are smuggled. */
    if (f->chunked && (f->has_length || f->minor == 0))
        return go_bad(p);
    return kind == HTTP1_REQUEST ? end_request_head(p) : end_response_head(p);
}

/* The same where it is not worth a copy of it. */
static NOINLINE enum http1_event end_split_head(struct http1 *p)
{
    return end_head(p, (enum http1_kind)p->kind);
}

/* ---- whole lines --------------------------------------------------------------------------------- */

/* Here `last` is 16 bytes before the end of the buffer: 16 bytes may be read from any place before it, and
 * behind each of them there is another one. */

/* The special bytes from s on, if s is no longer before `last`. The place of the last CRLF that can be
 * stands out always, so that a search ends there. */
static inline uint32_t special_at_end(const uint8_t *s, const uint8_t *last)
{
    ptrdiff_t there = last + 16 - s;
    return there < 2 ? 0 : special16(last) >> (16 - there) | 1u << (there - 2);
}

/* The CR of the CRLF that ends the line, if it is there and all bytes before it are text. */
static INLINE const uint8_t *find_eol(const uint8_t *s, const uint8_t *last)
{
    for (;;) {
        uint32_t mask;
        if (LIKELY(s < last)) {
            mask = special16(s);
            if (mask == 0) {
                s += 16;
                continue;
            }
        } else if ((mask = special_at_end(s, last)) == 0) {
            return NULL;
        }
        s += lowest(mask);
        if (LIKELY(is_crlf(s)))
            return s;
        if (!http1_is_text(*s++))
            return NULL;
    }
}

/* The SP that ends the request target, if it is there with a version and CRLF behind it. */
static inline const uint8_t *find_space(const uint8_t *s, const uint8_t *last)
{
    while (LIKELY(s < last)) {
        uint32_t mask = invisible16(s);
        if (mask == 0) {
            s += 16;
            continue;
        }
        s += lowest(mask);
        if (LIKELY(*s == ' '))
            return s <= last + 16 - sizeof " HTTP/1.1\r\n" + 1 ? s : NULL;
        if (*s++ < 0x80)
            return NULL;
    }
    return NULL;
}

/* "HTTP/1.0" or "HTTP/1.1". */
static inline bool take_version(struct http1 *p, const uint8_t *s)
{
    if (LIKELY(IS8(s, "HTTP/1.1"))) {
        p->facts.minor = 1;
        return true;
    }
    p->facts.minor = s[7] == '1';
    return load64(s) == load64("HTTP/1.1") || load64(s) == load64("HTTP/1.0");
}

/* These three take a line if it is whole and as such lines usually are, and return the first byte
 * behind it. If not, NULL, and nothing is left behind that the slow way would stumble on. */

static inline const uint8_t *take_request_line(struct http1 *p, const uint8_t *s, const uint8_t *last)
{
    const uint8_t *target = s + 4;
    if (LIKELY(load32(s) == load32("GET "))) {
        __builtin_memcpy(p->facts.method, "GET", 4);
        p->facts.method_len = 3;
    } else {
        size_t n = lowest(~letters16(s));
        if (n == 0 || n > HTTP1_METHOD_MAX || s[n] != ' ')
            return NULL;
        __builtin_memcpy(p->facts.method, s, n);
        p->facts.method_len = (uint8_t)n;
        end_method(p);
        target = s + n + 1;
    }
    const uint8_t *space = find_space(target, last);
    if (!space || space == target || !take_version(p, space + 1) || !is_crlf(space + 9))
        return NULL;
    return space + 11;
}

static inline const uint8_t *take_status_line(struct http1 *p, const uint8_t *s, const uint8_t *last)
{
    if (LIKELY(IS8(s, "HTTP/1.1") && IS8(s + 8, " 200 OK\r") && s[16] == '\n')) {
        p->facts.minor = 1;
        STORE(p->facts.status, 200);
        return s + 17;
    }
    unsigned hundreds = s[9] - (unsigned)'0', tens = s[10] - (unsigned)'0';
    unsigned ones = s[11] - (unsigned)'0';
    if (!take_version(p, s) || s[8] != ' ' || (s[12] != ' ' && s[12] != '\r'))
        return NULL;
    if (hundreds - 1 > 8 || tens > 9 || ones > 9)
        return NULL;
    STORE(p->facts.status, (uint16_t)(hundreds * 100 + tens * 10 + ones));
    const uint8_t *eol = find_eol(s + 12, last);
    return eol ? eol + 2 : NULL;
}

/* Length of a name that has more than letters and hyphens, or is long, or near the end of the buffer;
 * 0 if it is no name or no colon follows. */
static NOINLINE size_t measure_name(const uint8_t *s, const uint8_t *last)
{
    const uint8_t *colon = s, *end = last + 16;
    while (colon < end && http1_is_tchar(*colon))
        colon++;
    return colon < end && *colon == ':' ? (size_t)(colon - s) : 0;
}

/* "Content-Length: ", then digits and CRLF. */
static inline const uint8_t *take_length_line(struct http1 *p, const uint8_t *s, const uint8_t *end)
{
    uint64_t length = 0;
    const uint8_t *digit = s + 16, *most = digit + LENGTH_DIGITS_MAX;
    if (UNLIKELY(most + 2 > end))
        return NULL;
    for (s = digit; s != most && (unsigned)*s - '0' <= 9; s++)
        length = length * 10 + (*s - (unsigned)'0');
    if (s == digit || !is_crlf(s) || p->facts.has_length)
        return NULL;
    p->facts.content_length = length;
    p->facts.has_length = true;
    return s + 2;
}

/* A field line as nearly all servers write it. NULL: it is another one. Here s < last. */
static INLINE const uint8_t *take_known_line(struct http1 *p, const uint8_t *s, const uint8_t *last)
{
    if (IS8(s, "Content-")) {
        if (IS8(s + 8, "Length: "))
            return take_length_line(p, s, last + 16);
        if (IS8(s + 5, "nt-Type:")) {
            const uint8_t *eol = find_eol(s + 13, last);
            return eol ? eol + 2 : NULL;
        }
    } else if (IS8(s, "Connecti") && IS8(s + 8, "on: keep") && s + 24 <= last + 16 && IS8(s + 16, "-alive\r\n")) {
        p->facts.keep_alive = true;
        return s + 24;
    }
    return NULL;
}

/* Any other line that is not dull. */
static NOINLINE const uint8_t *take_named_line(struct http1 *p, const uint8_t *s, const uint8_t *last)
{
    size_t n = LIKELY(s < last) ? lowest(~letters16(s)) : 0;
    if (UNLIKELY(n == 0 || s[n] != ':') && (n = measure_name(s, last)) == 0)
        return NULL;
    enum field field = field_named(p, s, n);
    const uint8_t *eol = find_eol(s + n + 1, last);
    if (UNLIKELY(!eol) || (field != OTHER && !take_value(p, field, s + n + 1, eol)))
        return NULL;
    return eol + 2;
}

/* A field line as nearly all are; NULL if it is not, or if there is none. */
static INLINE const uint8_t *take_usual_line(struct http1 *p, const uint8_t *s, const uint8_t *last,
                                             const bool *is_dull)
{
    if (LIKELY(s < last)) {
        if (LIKELY(is_dull[*s])) {
            const uint8_t *eol = find_eol(s, last);
            return LIKELY(eol) ? eol + 2 : NULL;
        }
        return take_known_line(p, s, last);
    }
    return NULL;
}

/* Take as many whole lines of a head as there are, from the start of a line on. `kind` is p->kind, and a constant. */
static INLINE enum http1_event take_lines_of(struct http1 *p, enum http1_kind kind, bool start, struct bytes *v)
{
    const uint8_t *s = v->at, *end = v->end, *next;
    uint64_t most = HEAD_MAX - (start ? 0 : p->head_len);
    if (UNLIKELY((uint64_t)(end - s) > most))
        end = s + most;
    if (UNLIKELY(end - s <= 16 || (start && kind == HTTP1_REQUEST && *s <= '\r'))) /* an empty line: CR or LF */
        return HTTP1_MORE;
    const uint8_t *last = end - 16;
    if (start) {
        begin_message(p);
        s = kind == HTTP1_REQUEST ? take_request_line(p, s, last) : take_status_line(p, s, last);
        if (UNLIKELY(!s))
            return HTTP1_MORE;
    }
    enum http1_event event = HTTP1_MORE;
    for (;; s = next) {
        if (LIKELY((next = take_usual_line(p, s, last, dull[kind])) != NULL))
            continue;
        if (LIKELY(end - s >= 2 && is_crlf(s))) {
            s += 2;
            event = end_head(p, kind);
            break;
        }
        if (!(next = take_named_line(p, s, last))) {
            p->state = FIELD;
            break;
        }
    }
    p->head_len = (start ? 0 : p->head_len) + (uint64_t)(s - v->at);
    v->at = s;
    return event;
}

/* From the start of a message on; the two ways that nearly all bytes go. */
static INLINE enum http1_event take_head(struct http1 *p, struct bytes *v)
{
    return p->kind == HTTP1_REQUEST ? take_lines_of(p, HTTP1_REQUEST, true, v)
                                    : take_lines_of(p, HTTP1_RESPONSE, true, v);
}

/* From a later line on. */
static NOINLINE enum http1_event take_more_lines(struct http1 *p, struct bytes *v)
{
    return take_lines_of(p, (enum http1_kind)p->kind, false, v);
}

/* ---- byte by byte -------------------------------------------------------------------------------- */

/* Each of these takes one byte in the states it names; false if the byte may not be there. */

static bool take_start_byte(struct http1 *p, uint8_t c)
{
    if (p->state == START_LF) {
        p->state = START;
        return c == '\n';
    }
    /* RFC 9112 2.2: empty lines before a request line are ignored, and begin nothing. */
    if (c == '\r' && p->kind == HTTP1_REQUEST) {
        p->state = START_LF;
        return p->count++ < EMPTY_LINES_MAX;
    }
    begin_message(p);
    p->word_len = 0;
    if (p->kind == HTTP1_RESPONSE) {
        p->state = VERSION;
        p->word_len = 1;
        return c == 'H';
    }
    p->state = METHOD;
    p->word_len = 1;
    keep_method(p, c);
    return http1_is_tchar(c);
}

static bool take_request_byte(struct http1 *p, uint8_t c)
{
    switch (p->state) {
    case METHOD:
        if (c == ' ') {
            end_method(p);
            p->state = TARGET_FIRST;
            return true;
        }
        keep_method(p, c);
        return http1_is_tchar(c) && ++p->word_len <= METHOD_MAX;
    case TARGET_FIRST: p->state = TARGET; return c > ' ' && c != 0x7f;
    case TARGET:
        if (c == ' ') {
            p->state = VERSION;
            p->word_len = 0;
            return true;
        }
        return c > ' ' && c != 0x7f;
    default: /* REQUEST_CR */ p->state = LINE_LF; return c == '\r';
    }
}

static bool take_version_byte(struct http1 *p, uint8_t c)
{
    static const char version[] = "HTTP/1.";
    if (p->word_len < sizeof version - 1)
        return c == (uint8_t)version[p->word_len++];
    p->facts.minor = c == '1';
    p->state = p->kind == HTTP1_REQUEST ? REQUEST_CR : STATUS_SP;
    return c == '0' || c == '1';
}

static bool take_status_byte(struct http1 *p, uint8_t c)
{
    switch (p->state) {
    case STATUS_SP:
        p->state = STATUS;
        p->count = 0;
        return c == ' ';
    case STATUS:
        if (c < '0' || c > '9' || (p->count == 0 && c == '0'))
            return false;
        STORE(p->facts.status, (uint16_t)(p->facts.status * 10 + (c - '0')));
        if (++p->count == 3)
            p->state = STATUS_END;
        return true;
    case STATUS_END: p->state = c == '\r' ? LINE_LF : REASON; return c == '\r' || c == ' ';
    default: /* REASON */
        if (c == '\r')
            p->state = LINE_LF;
        return c == '\r' || http1_is_text(c);
    }
}

static bool end_name(struct http1 *p)
{
    p->field = p->word_len <= sizeof p->word ? field_named(p, p->word, p->word_len) : OTHER;
    p->part = GAP;
    p->state = VALUE;
    if (!p->trailers)
        return true;
    /* RFC 9110 6.5.1: no framing in trailers; some recipients merge them into the head. */
    bool framing = p->field == CONTENT_LENGTH || p->field == TRANSFER_ENCODING;
    p->field = OTHER;
    return !framing;
}

static bool take_field_byte(struct http1 *p, uint8_t c)
{
    switch (p->state) {
    case FIELD:
        p->state = c == '\r' ? END_LF : NAME;
        p->word_len = 0;
        keep_byte(p, c);
        if (dull[p->kind][c]) {
            p->field = OTHER;
            p->part = GAP;
            p->state = VALUE;
        }
        return c == '\r' || http1_is_tchar(c);
    case NAME:
        if (c == ':')
            return end_name(p);
        keep_byte(p, c);
        return http1_is_tchar(c);
    case VALUE:
        if (c == '\r') {
            p->state = VALUE_LF;
            return true;
        }
        return http1_is_text(c) && (p->field == OTHER || take_value_byte(p, c));
    default: /* VALUE_LF */ p->state = FIELD; return c == '\n' && end_value(p);
    }
}

static bool take_chunk_digit(struct http1 *p, uint8_t c)
{
    unsigned digit = c - (unsigned)'0';
    if (digit > 9) {
        digit = (c | 0x20u) - 'a';
        if (digit > 5)
            return false;
        digit += 10;
    }
    if (p->left >> 56)
        return false; /* beyond 2^60 - 1: servers disagree on where overflow begins */
    p->left = p->left << 4 | digit;
    p->state = CHUNK_SIZE;
    return true;
}

static bool take_chunk_byte(struct http1 *p, uint8_t c)
{
    switch (p->state) {
    case CHUNK_FIRST:
        p->left = 0;
        p->extra = 1;
        return take_chunk_digit(p, c);
    case CHUNK_SIZE:
        if (c != ';' && c != '\r')
            return ++p->extra <= CHUNK_DIGITS_MAX && take_chunk_digit(p, c);
        p->state = c == ';' ? CHUNK_EXT : CHUNK_LF;
        return true;
    case CHUNK_EXT:
        if (c == '\r')
            p->state = CHUNK_LF;
        return c == '\r' || (http1_is_text(c) && ++p->extra < CHUNK_LINE_MAX);
    case CHUNK_LF:
        p->extra = 0;
        p->trailers = p->left == 0;
        p->state = p->trailers ? FIELD : CHUNK_DATA;
        return c == '\n';
    case CHUNK_DATA_CR: p->state = CHUNK_DATA_LF; return c == '\r';
    default: /* CHUNK_DATA_LF */ p->state = CHUNK_FIRST; return c == '\n';
    }
}

/* Heads and trailers are bounded, or a peer could keep the parser here for ever. */
static bool count_head_byte(struct http1 *p)
{
    return p->trailers ? ++p->extra <= HEAD_MAX : ++p->head_len <= HEAD_MAX;
}

static enum http1_event take_head_byte(struct http1 *p, uint8_t c)
{
    bool good;
    switch (p->state) {
    case METHOD:
    case TARGET_FIRST:
    case TARGET:
    case REQUEST_CR: good = take_request_byte(p, c); break;
    case VERSION: good = take_version_byte(p, c); break;
    case STATUS_SP:
    case STATUS:
    case STATUS_END:
    case REASON: good = take_status_byte(p, c); break;
    case LINE_LF:
        p->state = FIELD;
        good = c == '\n';
        break;
    case END_LF:
        if (c == '\n' && count_head_byte(p))
            return p->trailers ? end_message(p) : end_split_head(p);
        good = false;
        break;
    default: good = take_field_byte(p, c); break;
    }
    return good && count_head_byte(p) ? HTTP1_MORE : go_bad(p);
}

/* May a line of a head end here? */
static bool line_may_end(const struct http1 *p)
{
    switch (p->state) {
    case START: return p->kind == HTTP1_REQUEST;
    case REQUEST_CR:
    case STATUS_END:
    case REASON:
    case FIELD:
    case VALUE: return !p->trailers;
    default: return false;
    }
}

static NOINLINE enum http1_event take_byte(struct http1 *p, uint8_t c)
{
    /* RFC 9112 2.2: a single LF ends a line of a head as CRLF does: take the CR that is not there first. In chunks and
     * trailers a single LF stays bad, since recipients differ in what they make of it. */
    if (UNLIKELY(c == '\n') && line_may_end(p)) {
        if (take_byte(p, '\r') == HTTP1_BAD)
            return HTTP1_BAD;
        p->head_len -= p->head_len > 0;
    }
    if (p->state >= CHUNK_FIRST)
        return take_chunk_byte(p, c) ? HTTP1_MORE : go_bad(p);
    if (p->state > START_LF)
        return take_head_byte(p, c);
    if (!take_start_byte(p, c))
        return go_bad(p);
    if (p->state > START_LF)
        p->head_len = 1;
    return HTTP1_MORE;
}

/* ---- bodies -------------------------------------------------------------------------------------- */

/* n bytes of a body, n <= left unless it lasts until close. */
static enum http1_event pass_body(struct http1 *p, uint64_t n)
{
    if (p->state == UNTIL_CLOSE)
        return HTTP1_MORE;
    p->left -= n;
    if (p->left)
        return HTTP1_MORE;
    if (p->state == COUNTED)
        return end_message(p);
    p->state = CHUNK_DATA_CR;
    return HTTP1_MORE;
}

static bool in_plain_body(const struct http1 *p)
{
    return p->state == COUNTED || p->state == UNTIL_CLOSE || p->state == CHUNK_DATA;
}

static enum http1_event take_body(struct http1 *p, struct bytes *v)
{
    uint64_t n = (uint64_t)(v->end - v->at);
    if (p->state != UNTIL_CLOSE && n > p->left)
        n = p->left;
    v->at += n;
    return pass_body(p, n);
}

/* ---- the entry ------------------------------------------------------------------------------------ */

void http1_init(struct http1 *p, enum http1_kind kind)
{
    __builtin_memset(p, 0, sizeof *p);
    p->kind = (uint8_t)kind;
}

/* What is to be said without a byte more. */
static enum http1_event standing_event(struct http1 *p)
{
    if (LIKELY(p->state < DONE_DUE))
        return HTTP1_MORE;
    if (p->state == DONE_DUE)
        return end_message(p);
    return p->state == TUNNEL ? HTTP1_TUNNEL : HTTP1_BAD;
}

/* Any bytes, up to the next event. */
static NOINLINE enum http1_event take_bytes(struct http1 *p, struct bytes *v)
{
    enum http1_event e = HTTP1_MORE;
    while (e == HTTP1_MORE && v->at < v->end) {
        if (p->state == FIELD && !p->trailers)
            e = take_more_lines(p, v);
        else if (in_plain_body(p))
            e = take_body(p, v);
        if (e == HTTP1_MORE && v->at < v->end)
            e = take_byte(p, *v->at++);
    }
    return e;
}

size_t http1_feed(struct http1 *p, const void *data, size_t n, enum http1_event *event)
{
    struct bytes v = {data, (const uint8_t *)data + n};
    enum http1_event e = HTTP1_MORE;
    if (LIKELY(p->state == START))
        e = take_head(p, &v);
    else
        e = standing_event(p);
    if (e == HTTP1_MORE && v.at < v.end)
        e = take_bytes(p, &v);
    *event = e;
    return (size_t)(v.at - (const uint8_t *)data);
}

bool http1_skip(struct http1 *p, uint64_t n, enum http1_event *event)
{
    *event = standing_event(p);
    if (n == 0)
        return *event != HTTP1_BAD;
    if (!in_plain_body(p) || (p->state != UNTIL_CLOSE && n > p->left)) {
        *event = go_bad(p);
        return false;
    }
    *event = pass_body(p, n);
    return true;
}

bool http1_in_head(const struct http1 *p)
{
    return p->state > START_LF && p->state <= END_LF && !p->trailers;
}

bool http1_is_bad(const struct http1 *p)
{
    return p->state == BAD;
}
