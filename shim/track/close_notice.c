/* close_notice.c: see close_notice.h. */
#include "track/close_notice.h"

#include "process/config.h"
#include "sys/net.h"
#include "track/connections.h"

struct wire {
    struct http1_span *chunk;
    size_t count, max, total;
};

static bool wire_add(struct wire *w, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (w->count == w->max)
        return false;
    w->chunk[w->count].data = data;
    w->chunk[w->count].len = len;
    w->count++;
    w->total += len;
    return true;
}

/* Add the program's bytes from..to (offsets over all chunks); false: no room for all of them. */
static bool wire_add_range(struct wire *w, const struct http1_span *chunks, size_t count, size_t from, size_t to,
                           size_t *added)
{
    size_t at = 0;
    for (size_t i = 0; i < count && at < to; at += chunks[i].len, i++) {
        size_t begin = from > at ? from - at : 0;
        size_t end = to - at < chunks[i].len ? to - at : chunks[i].len;
        if (begin >= end)
            continue;
        if (!wire_add(w, (const char *)chunks[i].data + begin, end - begin))
            return false;
        *added += end - begin;
    }
    return true;
}

/* The chunks from offset `from` on, as a list of at most max. */
static size_t tail_of(const struct http1_span *chunks, size_t count, size_t from, struct http1_span *out, size_t max)
{
    struct wire w = {out, 0, max, 0};
    size_t added = 0;
    wire_add_range(&w, chunks, count, from, SIZE_MAX, &added);
    return w.count;
}

/* Decide for the response that this write begins or goes on with. Returns the offset of the head (or of its
 * rest) to be rewritten; SIZE_MAX: none. Holder of the lock in calls_out. */
static size_t head_to_rewrite(struct conn *c, int fd, const struct http1_span *chunks, size_t count)
{
    if (c->close_notice.on)
        return c->close_notice.rewrite.done ? SIZE_MAX : 0;
    if (http1_in_head(&c->out))
        return SIZE_MAX; /* its beginning has passed already */
    return conn_last_head(c, chunks, count, sock_unread(fd) > 0);
}

bool close_notice_plan(struct io_call *call, const struct http1_span *chunks, size_t count, struct close_notice *f,
                       struct http1_span *wire, size_t max, size_t *wire_count)
{
    enum { HEAD_CHUNKS = 64 };
    struct http1_span head[HEAD_CHUNKS];
    struct conn *c = call->c;
    struct wire w = {wire, 0, max, 0};
    size_t added = 0;

    if (!config.close_notice || conn_is_opaque(c) || !conn_follow(&c->calls_out))
        return false;
    size_t from = io_holds(call) ? head_to_rewrite(c, c->fd, chunks, count) : SIZE_MAX;
    if (from != SIZE_MAX && !c->close_notice.on)
        http1_close_begin(&c->close_notice.rewrite);
    f->rewrite = c->close_notice.rewrite;
    conn_followed(c, &c->calls_out, 0);
    if (from == SIZE_MAX)
        return false;

    http1_close_plan(&f->plan, &f->rewrite, head, tail_of(chunks, count, from, head, HEAD_CHUNKS));
    f->before = from;
    wire_add_range(&w, chunks, count, 0, from, &added);
    for (unsigned i = 0; i < f->plan.count; i++)
        if (!wire_add(&w, f->plan.piece[i].data, f->plan.piece[i].len))
            return false;
    if (added != from)
        return false;
    f->total = from + f->plan.taken;
    /* A head in too many chunks is written short: the bytes that follow must not overtake it. */
    added = 0;
    if (f->plan.ends)
        wire_add_range(&w, chunks, count, f->total, SIZE_MAX, &added);
    f->total += added;
    f->wire_total = w.total;
    *wire_count = w.count;
    return true;
}

/* Another thread may have closed the connection during the write, and its entry may be another connection's by now: its
 * lock keeps the entry as it is while it is looked at. */
static void note_rewrite(const struct io_call *call, const struct http1_close *rewrite)
{
    struct conn *c = call->c;
    if (!conn_follow(&c->calls_out))
        return; /* a write beside this one: io_write_done makes the connection opaque */
    if (io_holds(call)) {
        c->close_notice.rewrite = *rewrite;
        c->close_notice.on = true;
    }
    conn_followed(c, &c->calls_out, 0);
}

size_t close_notice_sent(struct io_call *call, const struct close_notice *f, size_t sent,
                         const struct http1_span *chunks, size_t count)
{
    struct http1_close rewrite = f->rewrite;
    size_t accepted = sent;
    if (sent >= f->before && (sent > f->before || f->before == 0 || f->plan.wire == 0)) {
        size_t of_plan = sent - f->before < f->plan.wire ? sent - f->before : f->plan.wire;
        accepted = f->before + http1_close_commit(&rewrite, &f->plan, of_plan) + (sent - f->before - of_plan);
        note_rewrite(call, &rewrite);
    }
    io_write_done(call, accepted, sent, chunks, count);
    return accepted;
}
