/* http1_close.c: says `Connection: close` in a response head.
 *
 * One small machine (step) follows the head byte by byte, as it goes on the *wire*: a literal that is put in moves
 * the machine exactly as if the program had written it, and the state after any short write is found by stepping
 * over what was sent. Planning adds to it the three edits of the header. */
#include "core/http1_close.h"

#include "core/http1.h"

static const char CLOSE[] = "close";
static const char CLOSE_FIELD[] = "Connection: close\r\n";

/* What the next byte is expected to be. */
enum state {
    STATUS_LINE, /* "HTTP/1.x NNN" and SP or CR; `at` bytes of it have come */
    REASON,      /* the rest of the status line, up to CR */
    LINE_LF,     /* LF of a line */
    LINE,        /* first byte of a field line, or CR of the empty line */
    NAME,        /* rest of a field name, then the colon; `at` as long as it could be Connection */
    VALUE,       /* field value, then CR; in Connection, `at` says what of a word has come */
    END_LF,      /* LF of the empty line */
    ODD,         /* no head that we understand */
};

/* `at` in the value of a Connection field; 1..5: so many bytes of "close" and nothing else. */
enum { WORD_GAP = 0, WORD_CLOSE = 5, WORD_AFTER_CLOSE = 6, WORD_OTHER = 0xff };

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool starts_with(const uint8_t *s, size_t n, const char *text)
{
    for (; *text; s++, n--, text++)
        if (n == 0 || lower(*s) != (uint8_t)*text)
            return false;
    return true;
}

/* ---- the machine --------------------------------------------------------------------------------- */

static enum state step_status_line(struct http1_close *r, uint8_t c)
{
    static const char pattern[] = "HTTP/1.v nnn";
    if (r->at == sizeof pattern - 1)
        return r->status < 100 ? ODD : c == '\r' ? LINE_LF : c == ' ' ? REASON : ODD;
    char want = pattern[r->at++];
    if (want == 'n')
        r->status = (uint16_t)(r->status * 10 + (c - '0'));
    if (want == 'n' ? c >= '0' && c <= '9' : want == 'v' ? c == '0' || c == '1' : c == (uint8_t)want)
        return STATUS_LINE;
    return ODD;
}

static enum state step_name(struct http1_close *r, uint8_t c)
{
    static const char name[] = "connection";
    if (c == ':') {
        r->connection = r->at == sizeof name - 1;
        r->at = WORD_GAP;
        return VALUE;
    }
    r->at = r->at < sizeof name - 1 && lower(c) == (uint8_t)name[r->at] ? r->at + 1 : WORD_OTHER;
    return http1_is_tchar(c) ? NAME : ODD;
}

/* Words of a Connection field: is one of them exactly close? */
static void step_word(struct http1_close *r, uint8_t c)
{
    if (c == ',' || c == '\r') {
        r->said = r->said || r->at == WORD_CLOSE || r->at == WORD_AFTER_CLOSE;
        r->at = WORD_GAP;
    } else if (c == ' ' || c == '\t') {
        if (r->at == WORD_CLOSE || r->at == WORD_AFTER_CLOSE)
            r->at = WORD_AFTER_CLOSE;
        else if (r->at != WORD_GAP)
            r->at = WORD_OTHER;
    } else {
        r->at = r->at < WORD_CLOSE && lower(c) == (uint8_t)CLOSE[r->at] ? r->at + 1 : WORD_OTHER;
    }
}

/* A 1xx head is followed by another one; 101 ends HTTP. */
static enum state end_head(struct http1_close *r)
{
    if (r->status / 100 != 1 || r->status == 101)
        r->done = true;
    else
        http1_close_begin(r);
    return STATUS_LINE;
}

static enum state next_state(struct http1_close *r, uint8_t c)
{
    switch (r->state) {
    case STATUS_LINE: return step_status_line(r, c);
    case REASON: return c == '\r' ? LINE_LF : http1_is_text(c) ? REASON : ODD;
    case LINE_LF: return c == '\n' ? LINE : ODD;
    case LINE: r->at = 0; return c == '\r' ? END_LF : c == ':' ? ODD : step_name(r, c);
    case NAME: return step_name(r, c);
    case VALUE:
        if (r->connection)
            step_word(r, c);
        return c == '\r' ? LINE_LF : http1_is_text(c) ? VALUE : ODD;
    case END_LF: return c == '\n' ? end_head(r) : ODD;
    default: return ODD;
    }
}

/* One byte on the wire. After an odd byte the head is not edited any more. */
static void step(struct http1_close *r, uint8_t c)
{
    /* A single LF ends a line as CRLF does (RFC 9112 2.2): first the CR that is not there. */
    if (c == '\n' && r->state != LINE_LF && r->state != END_LF)
        r->state = (uint8_t)next_state(r, '\r');
    r->state = (uint8_t)next_state(r, c);
    if (r->state == ODD)
        r->done = true;
}

static void step_over(struct http1_close *r, const void *data, size_t n)
{
    for (const uint8_t *s = data; n > 0; s++, n--)
        step(r, *s);
}

/* ---- what to change ------------------------------------------------------------------------------ */

struct edit { /* put `len` bytes of `literal` in the place of `source` bytes of the program */
    const char *literal;
    size_t len, source;
};

static bool ends_word(int c)
{
    return c == ',' || c == '\r' || c == '\n';
}

/* Length of the word keep-alive if all of it is here, and what follows shows that it ends here; else 0. */
static size_t keep_alive_word(const uint8_t *s, size_t n, int next)
{
    const size_t word = sizeof "keep-alive" - 1;
    if (!starts_with(s, n, "keep-alive"))
        return 0;
    for (size_t i = word; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t')
            return ends_word(s[i]) ? word : 0;
    return ends_word(next) ? word : 0;
}

/* Length of the Keep-Alive field line that is whole here; else 0. */
static size_t keep_alive_line(const uint8_t *s, size_t n)
{
    if (!starts_with(s, n, "keep-alive:"))
        return 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\n')
            return i + 1;
    return 0;
}

/* Is an edit due before s[0]? `next`: the byte that follows the n bytes in another chunk; -1: it is not known. */
static bool edit_due(const struct http1_close *r, const uint8_t *s, size_t n, int next, struct edit *edit)
{
    *edit = (struct edit){NULL, 0, 0};
    if (r->status / 100 == 1)
        return false;
    if (r->state == VALUE && r->connection && r->at == WORD_GAP) {
        *edit = (struct edit){CLOSE, sizeof CLOSE - 1, keep_alive_word(s, n, next)};
        return edit->source > 0;
    }
    if (r->state != LINE)
        return false;
    if ((*s == '\r' || *s == '\n') && !r->said) {
        *edit = (struct edit){CLOSE_FIELD, sizeof CLOSE_FIELD - 1, 0};
        return true;
    }
    edit->source = keep_alive_line(s, n);
    return edit->source > 0;
}

/* ---- planning ------------------------------------------------------------------------------------ */

/* What of the chunks belongs to the head. */
struct extent {
    size_t chunks; /* that have bytes of it */
    size_t bytes;
    bool odd; /* the bytes are no head that is understood */
};

static struct extent look_ahead(const struct http1_close *r, const struct http1_span *chunks, size_t count)
{
    struct http1_close ahead = *r;
    struct extent head = {0, 0, false};
    if (count > HTTP1_CLOSE_SPANS)
        count = HTTP1_CLOSE_SPANS;
    for (; head.chunks < count && !ahead.done; head.chunks++) {
        const uint8_t *s = chunks[head.chunks].data;
        for (size_t i = 0; i < chunks[head.chunks].len && !ahead.done; i++, head.bytes++)
            step(&ahead, s[i]);
    }
    head.odd = ahead.state == ODD;
    return head;
}

static void add_piece(struct http1_close_plan *plan, const void *data, size_t len, size_t source)
{
    if (len == 0 && source == 0)
        return;
    plan->piece[plan->count++] = (struct http1_close_piece){data, len, source};
    plan->wire += len;
    plan->taken += source;
}

/* An edit needs a piece before it, one for itself and one after it, and there are `more` chunks. Room for the
 * insertion of close, the edit that matters, is never used up by others: with HTTP1_CLOSE_SPANS chunks and an unsent
 * piece it fits. */
static bool edit_fits(const struct http1_close_plan *plan, const struct edit *edit, size_t more)
{
    bool insertion = edit->source == 0;
    return plan->count + 3 + more + (insertion ? 0 : 2) <= HTTP1_CLOSE_PIECES;
}

/* The first byte in these chunks; -1: they have none. */
static int first_byte(const struct http1_span *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (chunks[i].len > 0)
            return *(const uint8_t *)chunks[i].data;
    return -1;
}

/* Plan n bytes of chunk[0]; `more` chunks follow. *r is the state on the wire before and after it. */
static void plan_chunk(struct http1_close_plan *plan, struct http1_close *r, const struct http1_span *chunk, size_t n,
                       size_t more)
{
    const uint8_t *s = chunk->data;
    int next = first_byte(chunk + 1, more);
    size_t from = 0, i = 0;
    while (i < n) {
        struct edit edit;
        if (!edit_due(r, s + i, n - i, next, &edit) || !edit_fits(plan, &edit, more)) {
            step(r, s[i++]);
            continue;
        }
        add_piece(plan, s + from, i - from, i - from);
        add_piece(plan, edit.literal, edit.len, edit.source);
        step_over(r, edit.literal, edit.len);
        from = i += edit.source;
    }
    add_piece(plan, s + from, n - from, n - from);
}

void http1_close_begin(struct http1_close *r)
{
    *r = (struct http1_close){0};
}

void http1_close_plan(struct http1_close_plan *plan, const struct http1_close *r, const struct http1_span *chunks,
                      size_t count)
{
    struct extent head = look_ahead(r, chunks, count);
    struct http1_close now = *r;

    plan->count = 0;
    plan->wire = plan->taken = 0;
    add_piece(plan, r->literal, r->unsent, 0);
    for (size_t i = 0, n; i < head.chunks; i++, head.bytes -= n) {
        n = chunks[i].len < head.bytes ? chunks[i].len : head.bytes;
        if (head.odd) {
            add_piece(plan, chunks[i].data, n, n);
            step_over(&now, chunks[i].data, n);
        } else {
            plan_chunk(plan, &now, &chunks[i], n, head.chunks - i - 1);
        }
    }
    plan->ends = now.done;
}

/* ---- committing ---------------------------------------------------------------------------------- */

static bool is_literal(const struct http1_close_piece *piece)
{
    return piece->len > 0 && piece->len != piece->source;
}

/* n bytes of a literal are out: the literal counts as written, its unsent rest goes out first next time. */
static size_t commit_literal(struct http1_close *r, const struct http1_close_piece *piece, size_t n)
{
    step_over(r, piece->data, piece->len);
    r->literal = (const char *)piece->data + n;
    r->unsent = (uint8_t)(piece->len - n);
    return piece->source;
}

size_t http1_close_commit(struct http1_close *r, const struct http1_close_plan *plan, size_t sent)
{
    size_t done = 0;
    unsigned i = 0;
    if (r->unsent) { /* the first piece: the machine is behind it already */
        size_t n = sent < r->unsent ? sent : r->unsent;
        r->literal += n;
        r->unsent = (uint8_t)(r->unsent - n);
        sent -= n;
        i = 1;
    }
    for (; i < plan->count && !r->unsent; i++) {
        const struct http1_close_piece *piece = &plan->piece[i];
        size_t n = sent < piece->len ? sent : piece->len;
        if (n == 0 && piece->len > 0)
            break;
        sent -= n;
        if (is_literal(piece)) {
            done += commit_literal(r, piece, n);
        } else if (piece->len > 0) {
            step_over(r, piece->data, n);
            done += n;
        } else {
            done += piece->source;
        }
        if (n < piece->len)
            break;
    }
    return done;
}
