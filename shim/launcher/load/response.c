/* response.c: see response.h. Framing as in RFC 9112 section 6.3. */
#include "launcher/load/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char pattern_byte(uint64_t offset)
{
    unsigned column = offset % 16;
    if (column == 15)
        return '\n';
    return "0123456789abcdef"[(offset / 16) >> (4 * (14 - column)) & 15];
}

void load_pattern(char *buf, uint64_t offset, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf[i] = pattern_byte(offset + i);
}

void response_begin(struct response *r, bool head, const struct load_body *expect)
{
    memset(r, 0, offsetof(struct response, line));
    r->head = head;
    r->expect = *expect;
}

static void bad(struct response *r, const char *why)
{
    r->state = RESPONSE_BAD;
    r->why = why;
}

static bool has_exact_length(const struct load_body *expect)
{
    return expect->kind == LOAD_BODY_TEXT || (expect->kind == LOAD_BODY_PATTERN && expect->length);
}

static void finish(struct response *r)
{
    bool counts = has_exact_length(&r->expect) && !r->head && r->status < 300;
    if (counts && r->body != r->expect.length)
        bad(r, "a body of another length than expected");
    else
        r->state = RESPONSE_DONE;
}

static void keep(const struct response *r, const char *data, size_t n)
{
    uint64_t room = r->body < r->expect.length ? r->expect.length - r->body : 0;
    if (room)
        memcpy(r->expect.keep + r->body, data, n < room ? n : (size_t)room);
}

static bool body_matches(const struct response *r, const char *data, size_t n)
{
    if (r->expect.kind == LOAD_BODY_KEEP)
        keep(r, data, n);
    if (r->expect.kind == LOAD_BODY_ANY || r->expect.kind == LOAD_BODY_KEEP || r->status >= 300)
        return true;
    if (has_exact_length(&r->expect) && r->body + n > r->expect.length)
        return false;
    if (r->expect.kind == LOAD_BODY_TEXT)
        return !memcmp(data, r->expect.text + r->body, n);
    for (size_t i = 0; i < n; i++)
        if (data[i] != pattern_byte(r->body + i))
            return false;
    return true;
}

static void status_line(struct response *r)
{
    const char *s = r->line;
    bool good = r->line_len >= 12 && !memcmp(s, "HTTP/1.", 7) && (s[7] == '0' || s[7] == '1') && s[8] == ' ';
    char *end;
    long status = good ? strtol(s + 9, &end, 10) : 0;
    if (!good || end != s + 12 || status < 100 || (*end && *end != ' '))
        return bad(r, "not a status line");
    r->status = (int)status;
    r->minor = s[7] - '0';
    r->state = RESPONSE_HEADER;
}

static bool has_token(const char *list, const char *token)
{
    size_t n = strlen(token);
    while (*list) {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, " \t,");
        if (len == n && !strncasecmp(list, token, n))
            return true;
        list += len;
    }
    return false;
}

static void content_length(struct response *r, const char *value)
{
    char *end;
    uint64_t length = strtoull(value, &end, 10);
    if (end == value || *value < '0' || *value > '9' || end[strspn(end, " \t")])
        return bad(r, "an unreadable Content-Length");
    if (r->has_length && r->left != length)
        return bad(r, "two different Content-Lengths");
    r->has_length = true;
    r->left = length;
}

static void header(struct response *r)
{
    char *colon = strchr(r->line, ':');
    if (!colon || colon == r->line || strcspn(r->line, " \t") < (size_t)(colon - r->line))
        return bad(r, "not a header line");
    *colon = 0;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (!strcasecmp(r->line, "Connection")) {
        r->close |= has_token(value, "close");
        r->keep_alive |= has_token(value, "keep-alive");
    } else if (!strcasecmp(r->line, "Content-Length")) {
        content_length(r, value);
    } else if (!strcasecmp(r->line, "Transfer-Encoding")) {
        r->chunked |= has_token(value, "chunked");
    }
}

static void head_ended(struct response *r)
{
    if (r->status < 200) { /* 100 Continue and its kind: the real one follows */
        struct load_body expect = r->expect;
        uint64_t bytes = r->bytes;
        response_begin(r, r->head, &expect);
        r->bytes = bytes;
    } else if (r->close && r->keep_alive) {
        bad(r, "Connection says both close and keep-alive");
    } else if (r->chunked && r->has_length) {
        bad(r, "both Content-Length and chunked");
    } else if (r->head || r->status == 204 || r->status == 304) {
        finish(r);
    } else if (r->chunked) {
        r->state = RESPONSE_CHUNK_SIZE;
    } else if (!r->has_length) {
        r->state = RESPONSE_BODY_EOF;
    } else if (r->left) {
        r->state = RESPONSE_BODY;
    } else {
        finish(r);
    }
}

static void chunk_size(struct response *r)
{
    char *end;
    r->left = strtoull(r->line, &end, 16);
    if (end == r->line || end[strspn(end, " \t")])
        bad(r, "an unreadable chunk size"); /* chunk extensions too: no server of the tests sends any */
    else
        r->state = r->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILER;
}

static void whole_line(struct response *r)
{
    switch (r->state) {
    case RESPONSE_STATUS_LINE: status_line(r); break;
    case RESPONSE_HEADER: r->line_len ? header(r) : head_ended(r); break;
    case RESPONSE_CHUNK_SIZE: chunk_size(r); break;
    case RESPONSE_CHUNK_END:
        r->line_len ? bad(r, "no line end after a chunk") : (void)(r->state = RESPONSE_CHUNK_SIZE);
        break;
    default: /* RESPONSE_TRAILER */
        if (!r->line_len)
            finish(r);
    }
    r->line_len = 0;
}

/* Gather one line, without its CRLF, then act on it. Returns the bytes taken. */
static size_t feed_line(struct response *r, const char *data, size_t n)
{
    const char *newline = memchr(data, '\n', n);
    size_t take = newline ? (size_t)(newline - data) : n;
    if (r->line_len + take >= sizeof r->line) {
        bad(r, "a line over 8 KiB");
        return take;
    }
    memcpy(r->line + r->line_len, data, take);
    r->line_len += take;
    if (!newline)
        return take;
    if (!r->line_len || r->line[r->line_len - 1] != '\r') {
        bad(r, "a line that does not end in CRLF");
        return take + 1;
    }
    r->line[--r->line_len] = 0;
    whole_line(r);
    return take + 1;
}

static size_t feed_body(struct response *r, const char *data, size_t n)
{
    size_t take = r->state == RESPONSE_BODY_EOF || n < r->left ? n : (size_t)r->left;
    if (!body_matches(r, data, take)) {
        bad(r, "a body of other bytes than expected");
        return take;
    }
    r->body += take;
    if (r->state == RESPONSE_BODY_EOF)
        return take;
    r->left -= take;
    if (!r->left && r->state == RESPONSE_BODY)
        finish(r);
    else if (!r->left)
        r->state = RESPONSE_CHUNK_END;
    return take;
}

size_t response_feed(struct response *r, const char *data, size_t n)
{
    size_t used = 0;
    while (used < n && r->state < RESPONSE_DONE) {
        bool body = r->state == RESPONSE_BODY || r->state == RESPONSE_BODY_EOF || r->state == RESPONSE_CHUNK_DATA;
        size_t took = body ? feed_body(r, data + used, n - used) : feed_line(r, data + used, n - used);
        r->bytes += took;
        used += took;
    }
    return used;
}

bool response_eof(struct response *r)
{
    if (r->state != RESPONSE_BODY_EOF)
        return false;
    r->close = true;
    finish(r);
    return true;
}

bool response_reusable(const struct response *r)
{
    return !r->close && (r->minor == 1 || r->keep_alive);
}
