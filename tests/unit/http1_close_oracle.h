/* http1_close_oracle.h: a program that writes a response through http1_close.c, the wire it makes, and a
 * reference that judges the wire without sharing a line with http1_close.c. For the unit test and the fuzzer. */
#ifndef LASTCALL_TEST_HTTP1_CLOSE_ORACLE_H
#define LASTCALL_TEST_HTTP1_CLOSE_ORACLE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http1_close.h"

struct server {
    const char *program; /* all that the program wants to write */
    size_t len, at;      /* at: what it was told is done */
    char *wire;
    size_t wire_len;
    struct http1_close r;
};

#define SERVER_CHECK(x)                                             \
    do {                                                            \
        if (!(x)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
            abort();                                                \
        }                                                           \
    } while (0)

static inline void server_begin(struct server *s, const char *program, size_t len)
{
    memset(s, 0, sizeof *s);
    s->program = program;
    s->len = len;
    s->wire = malloc(2 * len + 64);
}

static inline void server_end(struct server *s)
{
    free(s->wire);
}

static inline bool server_finished(const struct server *s)
{
    return s->at == s->len;
}

static inline size_t server_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What the kernel takes: the first `sent` bytes of the plan. */
static inline void server_send(struct server *s, const struct http1_close_plan *plan, size_t sent)
{
    for (unsigned i = 0; i < plan->count && sent > 0; i++) {
        size_t n = server_least(sent, plan->piece[i].len);
        if (n > 0)
            memcpy(s->wire + s->wire_len, plan->piece[i].data, n);
        s->wire_len += n;
        sent -= n;
    }
    SERVER_CHECK(sent == 0);
}

static inline void server_check_plan(const struct http1_close_plan *plan, size_t given, size_t count)
{
    size_t wire = 0, source = 0;
    SERVER_CHECK(plan->count <= HTTP1_CLOSE_PIECES);
    for (unsigned i = 0; i < plan->count; i++) {
        wire += plan->piece[i].len;
        source += plan->piece[i].source;
    }
    SERVER_CHECK(wire == plan->wire && source == plan->taken && plan->taken <= given);
    SERVER_CHECK(plan->ends || plan->taken == given || count > HTTP1_CLOSE_SPANS);
}

/* Whatever the head is like: a piece is the program's own bytes, or stands for keep-alive, for a whole Keep-Alive line,
 * or for nothing, and is nothing else than what we may say. */
static inline void server_check_pieces(const struct server *s, const struct http1_close_plan *plan)
{
    const char *at = s->program + s->at;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct http1_close_piece *piece = &plan->piece[i];
        if (piece->len == piece->source) {
            SERVER_CHECK(memcmp(piece->data, at, piece->len) == 0);
        } else {
            SERVER_CHECK(!piece->len || memmem("Connection: close\r\n", 19, piece->data, piece->len));
            SERVER_CHECK(!piece->source || strncasecmp(at, "keep-alive", 10) == 0);
            SERVER_CHECK(!piece->len || !piece->source || piece->source == 10);
            SERVER_CHECK(piece->len || at[piece->source - 1] == '\n');
        }
        at += piece->source;
    }
}

/* The program writes `count` chunks of these lengths from where it is; the kernel takes at most `most`
 * bytes. The chunks live no longer than the call. Bytes behind the head are the caller's business. */
static inline void server_write(struct server *s, const size_t *len, size_t count, size_t most)
{
    struct http1_span *chunks = calloc(count + 1, sizeof *chunks);
    size_t given = 0;
    for (size_t i = 0; i < count; i++) {
        char *copy = malloc(len[i] + 1);
        memcpy(copy, s->program + s->at + given, len[i]);
        chunks[i] = (struct http1_span){copy, len[i]};
        given += len[i];
    }
    if (s->r.done) {
        size_t n = server_least(given, most);
        memcpy(s->wire + s->wire_len, s->program + s->at, n);
        s->wire_len += n;
        s->at += n;
    } else {
        struct http1_close_plan plan;
        http1_close_plan(&plan, &s->r, chunks, count);
        server_check_plan(&plan, given, count);
        server_check_pieces(s, &plan);
        size_t sent = server_least(plan.wire, most);
        server_send(s, &plan, sent);
        size_t done = http1_close_commit(&s->r, &plan, sent);
        SERVER_CHECK(done <= plan.taken);
        SERVER_CHECK(sent < plan.wire || (done == plan.taken && s->r.unsent == 0 && s->r.done == plan.ends));
        SERVER_CHECK(!s->r.done || s->r.unsent == 0);
        SERVER_CHECK(!s->r.unsent || s->at + done < s->len); /* unsent bytes have bytes behind them */
        s->at += done;
    }
    for (size_t i = 0; i < count; i++)
        free((void *)chunks[i].data);
    free(chunks);
}

static inline void server_write_rest(struct server *s, size_t most)
{
    size_t rest = s->len - s->at;
    server_write(s, &rest, 1, most);
}

/* ---- the reference: lines of well-formed heads --------------------------------------------------- */

struct oracle_line {
    const char *s;
    size_t n; /* with CRLF */
};

/* The next line of [*at, end), and behind it; n = 0 if there is none. */
static inline struct oracle_line oracle_next(const char **at, const char *end)
{
    struct oracle_line line = {*at, 0};
    const char *lf = memchr(*at, '\n', (size_t)(end - *at));
    if (lf)
        line.n = (size_t)(lf + 1 - *at);
    *at += line.n;
    return line;
}

static inline bool oracle_named(struct oracle_line line, const char *name)
{
    size_t n = strlen(name);
    return line.n > n && strncasecmp(line.s, name, n) == 0 && line.s[n] == ':';
}

static inline bool oracle_same(struct oracle_line a, struct oracle_line b)
{
    return a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
}

/* Cuts the next member off a list; false at its end. */
static inline bool oracle_member(struct oracle_line *list, struct oracle_line *member)
{
    if (list->n == 0)
        return false;
    const char *comma = memchr(list->s, ',', list->n);
    size_t n = comma ? (size_t)(comma - list->s) : list->n;
    *member = (struct oracle_line){list->s, n};
    list->s += comma ? n + 1 : n;
    list->n -= comma ? n + 1 : n;
    while (member->n && strchr(" \t\r\n", member->s[0]))
        member->s++, member->n--;
    while (member->n && strchr(" \t\r\n", member->s[member->n - 1]))
        member->n--;
    return true;
}

static inline bool oracle_is(struct oracle_line member, const char *word)
{
    return member.n == strlen(word) && strncasecmp(member.s, word, member.n) == 0;
}

static inline struct oracle_line oracle_value(struct oracle_line line)
{
    size_t name = (size_t)((const char *)memchr(line.s, ':', line.n) - line.s) + 1;
    return (struct oracle_line){line.s + name, line.n - name};
}

/* Is the wire's Connection line the program's, but for keep-alive that may have become close? */
static inline bool oracle_connection(struct oracle_line program, struct oracle_line wire, bool *close)
{
    if (!oracle_named(wire, "connection"))
        return false;
    struct oracle_line p = oracle_value(program), w = oracle_value(wire), a, b;
    bool more;
    while ((more = oracle_member(&p, &a)) == oracle_member(&w, &b) && more) {
        if (!oracle_same(a, b) && !(oracle_is(a, "keep-alive") && oracle_is(b, "close")))
            return false;
        *close = *close || oracle_is(b, "close");
    }
    return p.n == 0 && w.n == 0;
}

/* One head of the program against one head of the wire; both are moved behind their heads. */
static inline const char *oracle_head(const char **p, const char *p_end, const char **w, const char *w_end)
{
    struct oracle_line a = oracle_next(p, p_end), b = oracle_next(w, w_end);
    const struct oracle_line insert = {"Connection: close\r\n", 19};
    bool untouched = a.n > 9 && a.s[9] == '1', close = false;
    if (!oracle_same(a, b))
        return "the status line is not the same";
    for (a = oracle_next(p, p_end); a.n > 2; a = oracle_next(p, p_end)) {
        const char *back = *w;
        b = oracle_next(w, w_end);
        if (!untouched && oracle_named(a, "keep-alive")) {
            if (!oracle_same(a, b))
                *w = back; /* left out */
        } else if (!untouched && oracle_named(a, "connection")) {
            if (!oracle_connection(a, b, &close))
                return "a Connection line is neither the same nor rewritten";
        } else if (!oracle_same(a, b)) {
            return "a line is not the same";
        }
    }
    b = oracle_next(w, w_end);
    if (!untouched && !close) {
        if (!oracle_same(b, insert))
            return "close is not said";
        b = oracle_next(w, w_end);
    }
    return oracle_same(a, b) ? NULL : "the end of the head is not the same";
}

/* NULL if the wire is a right rewriting of the program, which must be well-formed and complete. */
static inline const char *server_complaint(const struct server *s)
{
    const char *p = s->program, *p_end = p + s->len, *w = s->wire, *w_end = w + s->wire_len;
    bool interim;
    if (!s->r.done || s->r.unsent)
        return "the head is not done";
    do {
        interim = s->len - (size_t)(p - s->program) > 11 && p[9] == '1' && memcmp(p + 9, "101", 3) != 0;
        const char *complaint = oracle_head(&p, p_end, &w, w_end);
        if (complaint)
            return complaint;
    } while (interim);
    struct oracle_line body = {p, (size_t)(p_end - p)}, wire_body = {w, (size_t)(w_end - w)};
    return oracle_same(body, wire_body) ? NULL : "the body is not the same";
}

#endif
