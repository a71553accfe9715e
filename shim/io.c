/* io.c: the bytes of a connection: followed in service, and while draining ended with a farewell. */
#include "record.h"
#include "shim.h"

#include "sys/syscall.h"
#include "trace.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void shim_call_beside(struct conn *c)
{
    if ((__atomic_fetch_and(&c->calls_in, ~(uint32_t)CONN_UNTOUCHED, __ATOMIC_ACQ_REL) & CONN_UNTOUCHED) == 0) {
        conn_doubt(c, DOUBT_RACE);
        return;
    }
    __atomic_fetch_and(&c->calls_out, ~(uint32_t)CONN_UNTOUCHED, __ATOMIC_ACQ_REL);
    c->inherited = false;
    if (shim.newborn)
        shim_grow_up();
    else if (shim_draining())
        shim_wake(NULL); /* from now on it counts */
}

static void touched(struct conn *c)
{
    shim_touch(c);
    if (shim_draining())
        STORE(c->toucher_tid, (int)sys0(SYS_gettid));
}

static uint8_t stage_of(const struct conn *c)
{
    return __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
}

static void count_crossing(struct conn *c, uint64_t bytes)
{
    if (bytes == 0)
        return;
    __atomic_add_fetch(&c->crossed_bytes, bytes, __ATOMIC_RELAXED);
    STORE(c->must_linger, true);
    trace(TRACE_CROSSED, c->fd, bytes);
    if (!__atomic_exchange_n(&c->counted_crossed, true, __ATOMIC_RELAXED))
        __atomic_add_fetch(&shim.counts.crossed, 1, __ATOMIC_RELAXED);
}

/* ---- ending one connection ------------------------------------------------------------------------- */

void shim_watch(const struct conn *c)
{
    int ep = __atomic_load_n(&shim.epoll, __ATOMIC_ACQUIRE);
    struct epoll_event want = {EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = (uint64_t)c->generation << 32 | c->index}};
    if (ep >= 0)
        sys4(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, c->fd, &want);
}

/* The output is acknowledged, or we learn of it by an event of the pump's epoll set; so too of the end of a peer
 * that is still sending. */
static void await_ack(struct conn *c, nsec_t now)
{
    if (c->unix_ || sock_unsent(c->fd) == 0) {
        STORE(c->acked_at, now);
        __atomic_store_n(&c->acked, true, __ATOMIC_RELEASE);
        if (!LOAD(c->must_linger))
            return;
    }
    shim_watch(c);
}

void shim_end(struct conn *c, nsec_t now)
{
    uint8_t stage = stage_of(c);
    if (c->shared || stage >= CONN_ENDED)
        return;
    if (!__atomic_compare_exchange_n(&c->stage, &stage, CONN_ENDED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    STORE(c->since, now);
    STORE(c->must_linger, conn_request_open(c));
    sys2(SYS_shutdown, c->fd, SHUT_WR);
    trace(TRACE_ENDED, c->fd, 0);
    record(c, HISTORY_ENDED);
    __atomic_store_n(&shim.owed_at, now, __ATOMIC_RELEASE);
    await_ack(c, now);
}

/* ---- in ----------------------------------------------------------------------------------------------- */

/* The program reads from a connection that we have ended: what crossed is swallowed. */
static void swallow(struct conn *c, int fd)
{
    bool ended;
    count_crossing(c, sock_discard(fd, &ended));
    if (ended)
        STORE(c->must_linger, false);
}

bool shim_read_refused(struct conn *c, int fd)
{
    if (stage_of(c) != CONN_ENDED)
        return false;
    swallow(c, fd);
    return true;
}

static void follow_in(struct conn *c, size_t n, const struct rewrite_chunk *chunks, size_t count)
{
    if (count == 0)
        conn_received(c, NULL, n);
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t part = chunks[i].len < n ? chunks[i].len : n;
        conn_received(c, chunks[i].data, part);
        n -= part;
    }
}

/* After a read that found end of file or bytes while we drain. */
static ssize_t read_while_draining(struct conn *c, ssize_t n, bool was_in_flight)
{
    if (stage_of(c) == CONN_ENDED) {
        count_crossing(c, (uint64_t)n);
        return 0;
    }
    if (n > 0 && !was_in_flight && conn_in_flight(c)) {
        STORE(c->late, LOAD(c->late) || !LOAD(c->from_before));
        record(c, HISTORY_IN_FLIGHT);
    }
    if (n == 0 && stage_of(c) == CONN_EOF && !conn_in_flight(c) && !LOAD(c->opaque)) {
        __atomic_add_fetch(&shim.counts.idle_closed, 1, __ATOMIC_RELAXED);
        shim_end(c, shim_now());
    }
    shim_wake(c);
    return n;
}

ssize_t shim_read_end_any(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count)
{
    struct conn *c = call->c;
    bool draining = shim_draining(), was_in_flight = false;
    if (n <= 0) {
        shim_read_none(call);
    } else if (UNLIKELY(!conn_follow(&c->calls_in))) {
        conn_doubt(c, DOUBT_RACE);
        shim_read_none(call);
        return n;
    } else {
        bool here = shim_call_holds(call);
        if (here) {
            was_in_flight = draining && conn_in_flight(c);
            touched(c);
            follow_in(c, (size_t)n, chunks, count);
        }
        conn_followed(c, &c->calls_in, here);
    }
    if (draining && shim_call_holds(call))
        return read_while_draining(c, n, was_in_flight);
    return n;
}

/* ---- out ---------------------------------------------------------------------------------------------- */

static inline void write_none(struct shim_call *call)
{
    if (shim_call_holds(call))
        __atomic_sub_fetch(&call->c->calls_out, 1, __ATOMIC_RELAXED);
}

/* `done` responses are complete. If that was the last one owed and close was said, the end. */
static void response_done(struct conn *c, unsigned done)
{
    nsec_t now = shim_now();
    bool said = c->rewriting ? c->rewrite.said : c->out.facts.close;
    if (said && !c->out.facts.close) {
        __atomic_add_fetch(&shim.counts.farewells, 1, __ATOMIC_RELAXED);
        trace(TRACE_FAREWELL, c->fd, 0);
    }
    c->rewriting = false;
    STORE(c->since, now);
    __atomic_store_n(&shim.owed_at, now, __ATOMIC_RELEASE);
    if (LOAD(c->late))
        __atomic_add_fetch(&shim.counts.served_late, done, __ATOMIC_RELAXED);
    STORE(c->from_before, false);
    STORE(c->late, true); /* whatever comes now came after the signal */
    if (LOAD(c->opaque) || __atomic_load_n(&c->pending, __ATOMIC_ACQUIRE) > 0)
        return;
    if (said || stage_of(c) == CONN_EOF) {
        shim_end(c, now);
    } else {
        trace(TRACE_IDLE, c->fd, 0);
        shim_wake(NULL); /* an idle window begins that the pump does not know of */
    }
    if (stage_of(c) < CONN_ENDED)
        record(c, HISTORY_IDLE);
}

static unsigned follow_out(struct conn *c, size_t n, uint64_t wire, const struct rewrite_chunk *chunks, size_t count)
{
    unsigned done = 0;
    if (count == 0)
        return conn_sent(c, NULL, n, wire);
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t part = chunks[i].len < n ? chunks[i].len : n;
        done += conn_sent(c, chunks[i].data, part, wire);
        wire = 0;
        n -= part;
    }
    return done;
}

static void write_end(struct shim_call *call, size_t n, uint64_t wire, const struct rewrite_chunk *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(!conn_follow(&c->calls_out))) {
        conn_doubt(c, DOUBT_RACE);
        write_none(call);
        return;
    }
    bool here = shim_call_holds(call);
    if (LIKELY(here)) {
        touched(c);
        if (shim_draining()) /* before it can be seen idle: its window begins now, not with the response before */
            STORE(c->since, shim_now());
        unsigned done = follow_out(c, n, wire, chunks, count);
        if (shim_draining() && done > 0 && http1_between(&c->out))
            response_done(c, done);
    }
    conn_followed(c, &c->calls_out, here); /* over only now, as with reading */
    if (shim_draining() && here)
        shim_wake(c);
}

void shim_write_end_any(struct shim_call *call, ssize_t n, const struct rewrite_chunk *chunks, size_t count)
{
    if (UNLIKELY(n <= 0))
        write_none(call);
    else
        write_end(call, (size_t)n, (uint64_t)n, chunks, count);
}

/* ---- the farewell ------------------------------------------------------------------------------------- */

struct wire {
    struct rewrite_chunk *chunk;
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
static bool wire_add_range(struct wire *w, const struct rewrite_chunk *chunks, size_t count, size_t from, size_t to,
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
static size_t tail_of(const struct rewrite_chunk *chunks, size_t count, size_t from, struct rewrite_chunk *out,
                      size_t max)
{
    struct wire w = {out, 0, max, 0};
    size_t added = 0;
    wire_add_range(&w, chunks, count, from, SIZE_MAX, &added);
    return w.count;
}

/* Decide for the response that this write begins or goes on with. Returns the offset of the head (or of its
 * rest) to be rewritten; SIZE_MAX: none. Holder of the lock in calls_out. */
static size_t head_to_rewrite(struct conn *c, int fd, const struct rewrite_chunk *chunks, size_t count)
{
    if (c->rewriting)
        return c->rewrite.done ? SIZE_MAX : 0;
    if (http1_in_head(&c->out))
        return SIZE_MAX; /* its beginning has passed already */
    return conn_last_head(c, chunks, count, sock_unread(fd) > 0);
}

bool shim_farewell(struct shim_call *call, const struct rewrite_chunk *chunks, size_t count, struct farewell *f,
                   struct rewrite_chunk *wire, size_t max, size_t *wire_count)
{
    enum { HEAD_CHUNKS = 64 };
    struct rewrite_chunk head[HEAD_CHUNKS];
    struct conn *c = call->c;
    struct wire w = {wire, 0, max, 0};
    size_t added = 0;

    if (!shim.options.close_notice || LOAD(c->opaque) || !conn_follow(&c->calls_out))
        return false;
    size_t from = shim_call_holds(call) ? head_to_rewrite(c, c->fd, chunks, count) : SIZE_MAX;
    if (from != SIZE_MAX && !c->rewriting)
        rewrite_begin(&c->rewrite);
    conn_followed(c, &c->calls_out, 0);
    if (from == SIZE_MAX)
        return false;

    rewrite_plan(&f->plan, &c->rewrite, head, tail_of(chunks, count, from, head, HEAD_CHUNKS));
    f->before = from;
    wire_add_range(&w, chunks, count, 0, from, &added);
    for (unsigned i = 0; i < f->plan.count; i++)
        if (!wire_add(&w, f->plan.piece[i].data, f->plan.piece[i].len))
            return false;
    if (added != from)
        return false;
    f->total = from + f->plan.taken;
    /* A head in too many chunks is written short: what comes behind it must not overtake. */
    added = 0;
    if (f->plan.ends)
        wire_add_range(&w, chunks, count, f->total, SIZE_MAX, &added);
    f->total += added;
    f->wire_total = w.total;
    *wire_count = w.count;
    return true;
}

size_t shim_farewell_sent(struct shim_call *call, const struct farewell *f, size_t sent,
                          const struct rewrite_chunk *chunks, size_t count)
{
    struct conn *c = call->c;
    size_t accepted = sent;
    if (sent >= f->before && (sent > f->before || f->before == 0 || f->plan.wire == 0)) {
        size_t of_plan = sent - f->before < f->plan.wire ? sent - f->before : f->plan.wire;
        accepted = f->before + rewrite_commit(&c->rewrite, &f->plan, of_plan) + (sent - f->before - of_plan);
        c->rewriting = true;
    }
    write_end(call, accepted, sent, chunks, count);
    return accepted;
}

/* ---- the program closes ------------------------------------------------------------------------------- */

/* An epoll registration belongs to the open file, and goes with the last that holds it. At its close that may be we: who
 * keeps the socket for a while, or just a system call of ours that is at it (the survey's, the walk through /proc). So it is
 * taken out before: else the program would hear of a connection that it has freed. False: it may be in a set still. */
static bool leaves_epoll(const struct conn *c, int fd)
{
    if (c->epoll_fd == -2)
        return false;
    long err = c->epoll_fd < 0 ? 0 : sys4(SYS_epoll_ctl, c->epoll_fd, EPOLL_CTL_DEL, fd, 0);
    return err == 0 || err == -ENOENT || err == -EBADF;
}

/* The program's descriptor goes, the socket stays with us until its output is acknowledged and its peer
 * has ended too (RFC 9112 9.6). */
static bool keep_lingering(struct conn *c, int fd)
{
    int kept = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, shim.fd_high);
    if (kept < 0)
        return false;
    int own = __atomic_load_n(&shim.epoll, __ATOMIC_ACQUIRE);
    if (own >= 0)
        sys4(SYS_epoll_ctl, own, EPOLL_CTL_DEL, fd, 0);
    c->fd = kept;
    return true;
}

/* Nothing unsent, nothing unread, the peer done (or gone): a close that resets nothing and loses nothing. Unsent output
 * would outlive the process, but not its network: PID 1 of a container takes that along. */
static bool closes_cleanly(const struct conn *c, int fd)
{
    struct sock_counts k;
    if (sock_unread(fd) != 0)
        return false;
    if (c->unix_)
        return true;
    if (sock_counts(fd, &k) != 0)
        return false;
    return k.state == SOCK_CLOSED_STATE || (k.state == SOCK_CLOSE_WAIT && sock_unsent(fd) == 0);
}

static bool linger(struct conn *c, int fd)
{
    nsec_t now = shim_now();
    bool ended;
    if (c->shared || c->stale)
        return false;
    bool alone = leaves_epoll(c, fd);
    if (sock_lingers(fd) || closes_cleanly(c, fd))
        return false;
    bool kept = alone && shim.epoll >= 0 && shim.phase != DRAIN_RELEASED && keep_lingering(c, fd);
    int on = kept ? c->fd : fd;
    sys2(SYS_shutdown, on, SHUT_WR);
    uint64_t unread = sock_discard(on, &ended);
    count_crossing(c, unread);
    STORE(c->must_linger, !ended && (LOAD(c->must_linger) || conn_request_open(c)));
    if (!kept)
        return false;
    STORE(c->since, now);
    __atomic_store_n(&shim.owed_at, now, __ATOMIC_RELEASE);
    __atomic_store_n(&c->stage, CONN_LINGERING, __ATOMIC_RELEASE);
    trace(TRACE_LINGER, fd, unread);
    record(c, HISTORY_LINGERING);
    struct epoll_event want = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                               {.u64 = (uint64_t)c->generation << 32 | c->index}};
    sys4(SYS_epoll_ctl, shim.epoll, EPOLL_CTL_ADD, c->fd, &want);
    return true;
}

void shim_closing(int fd)
{
    uint32_t slot = shim_settled_slot(fd);
    if (fd_slot_kind(slot) != FD_CONN || !shim_draining() || !shim_is_our_process()) {
        shim_forget(fd);
        return;
    }
    struct conn *c = pool_of_slot(&shim.pool, slot);
    conn_pin(c);
    bool kept = LOAD(c->aliases) == 1 && linger(c, fd);
    if (kept) {
        __atomic_store_n(&fd_slot[fd], 0, __ATOMIC_RELEASE);
        c->aliases = 0;
    }
    conn_unpin(c);
    if (kept)
        shim_wake(c);
    else
        shim_forget(fd);
}

void shim_shut(uint32_t slot)
{
    struct conn *c = pool_at(&shim.pool, fd_slot_index(slot));
    STORE(c->must_linger, conn_request_open(c));
    STORE(c->fin, true);
    if (!shim_draining())
        return;
    nsec_t now = shim_now();
    __atomic_store_n(&shim.owed_at, now, __ATOMIC_RELEASE);
    record(c, HISTORY_ENDED);
    conn_pin(c);
    await_ack(c, now);
    conn_unpin(c);
    shim_wake(NULL);
}

bool shim_has_ended(uint32_t slot)
{
    return stage_of(pool_of_slot(&shim.pool, slot)) == CONN_ENDED;
}
