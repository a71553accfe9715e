/* io.c: see io.h. */
#include "track/io.h"

#include "process/clock.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/trace.h"
#include "sys/net.h"
#include "sys/syscall.h"
#include "track/close.h"
#include "track/conn_log.h"

/* After fork a connection belongs to the process that first uses it. */
static bool first_use_after_fork(struct conn *c)
{
    if ((__atomic_fetch_and(&c->calls_in, ~(uint32_t)CONN_UNUSED, __ATOMIC_ACQ_REL) & CONN_UNUSED) == 0)
        return false;
    __atomic_fetch_and(&c->calls_out, ~(uint32_t)CONN_UNUSED, __ATOMIC_ACQ_REL);
    conn_use(c);
    if (self_is_pre_exec())
        self_settle();
    else if (deferred_draining())
        wake_changed(NULL); /* from now on it counts */
    return true;
}

void io_beside(struct conn *c)
{
    if (!first_use_after_fork(c))
        conn_set_opaque(c, OPAQUE_CONCURRENT_IO);
}

static void note_thread(struct conn *c)
{
    io_note_thread(c);
    if (deferred_draining())
        STORE(c->io.tid, (int)sys0(SYS_gettid));
}

static uint8_t stage_of(const struct conn *c)
{
    return __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
}

bool io_is_half_closed(uint32_t slot)
{
    return stage_of(pool_of_slot(&connections, slot)) == CONN_HALF_CLOSED;
}

/* ---- in ----------------------------------------------------------------------------------------------- */

/* The program reads from a connection that lastcall has half-closed: late data is discarded. */
static void swallow(struct conn *c, int fd)
{
    bool ended;
    close_count_late(c, sock_discard(fd, &ended));
    if (ended)
        STORE(c->must_linger, false);
}

bool io_read_refused(struct conn *c, int fd)
{
    if (stage_of(c) != CONN_HALF_CLOSED)
        return false;
    swallow(c, fd);
    return true;
}

static void follow_in(struct conn *c, size_t n, const struct http1_span *chunks, size_t count)
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
    if (stage_of(c) == CONN_HALF_CLOSED) {
        close_count_late(c, (uint64_t)n);
        return 0;
    }
    if (n > 0 && conn_is_opaque(c))
        STORE(c->since, clock_now());
    if (n > 0 && !was_in_flight && conn_in_flight(c)) {
        if (!conn_report_has(c, CONN_FROM_BEFORE))
            conn_report_set(c, CONN_LATE);
        conn_log_note(c, CONN_HISTORY_IN_FLIGHT);
    }
    if (n == 0 && stage_of(c) == CONN_READ_SHUT && !conn_in_flight(c) && !conn_is_opaque(c)) {
        __atomic_add_fetch(&stats.counts.idle_closed, 1, __ATOMIC_RELAXED);
        close_half(c, clock_now());
    }
    wake_changed(c);
    return n;
}

ssize_t io_read_end_slowly(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count)
{
    struct conn *c = call->c;
    bool draining = deferred_draining(), was_in_flight = false;
    if (n <= 0) {
        io_read_none(call);
    } else if (UNLIKELY(!conn_follow(&c->calls_in))) {
        conn_set_opaque(c, OPAQUE_CONCURRENT_IO);
        io_read_none(call);
        return n;
    } else {
        bool here = io_holds(call);
        if (here) {
            was_in_flight = draining && conn_in_flight(c);
            note_thread(c);
            follow_in(c, (size_t)n, chunks, count);
        }
        conn_followed(c, &c->calls_in, here);
    }
    if (draining && io_holds(call))
        return read_while_draining(c, n, was_in_flight);
    return n;
}

/* ---- out ---------------------------------------------------------------------------------------------- */

static inline void write_none(struct io_call *call)
{
    if (io_holds(call))
        __atomic_sub_fetch(&call->c->calls_out, 1, __ATOMIC_RELAXED);
}

/* `done` responses are complete. If the last outstanding one is among them and has said close, the connection is
 * half-closed. */
static void response_done(struct conn *c, unsigned done)
{
    nsec_t now = clock_now();
    bool said = c->close_notice.on ? c->close_notice.rewrite.said : c->out.facts.close;
    if (said && !c->out.facts.close) {
        __atomic_add_fetch(&stats.counts.close_sent, 1, __ATOMIC_RELAXED);
        trace(TRACE_CLOSE_SENT, c->fd, 0);
    }
    c->close_notice.on = false;
    STORE(c->since, now);
    __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    if (conn_report_has(c, CONN_LATE))
        __atomic_add_fetch(&stats.counts.served_after_signal, done, __ATOMIC_RELAXED);
    conn_report_clear(c, CONN_FROM_BEFORE);
    conn_report_set(c, CONN_LATE); /* whatever comes now came after the signal */
    if (conn_is_opaque(c) || __atomic_load_n(&c->ring.pending, __ATOMIC_ACQUIRE) > 0)
        return;
    if (said || stage_of(c) == CONN_READ_SHUT) {
        close_half(c, now);
    } else {
        trace(TRACE_IDLE, c->fd, 0);
        wake_changed(NULL); /* the drain thread does not know of this new idle window */
    }
    if (stage_of(c) < CONN_HALF_CLOSED)
        conn_log_note(c, CONN_HISTORY_IDLE);
}

static unsigned follow_out(struct conn *c, size_t n, uint64_t wire, const struct http1_span *chunks, size_t count)
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

void io_write_done(struct io_call *call, size_t n, uint64_t wire, const struct http1_span *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(!conn_follow(&c->calls_out))) {
        conn_set_opaque(c, OPAQUE_CONCURRENT_IO);
        write_none(call);
        return;
    }
    bool here = io_holds(call);
    if (LIKELY(here)) {
        note_thread(c);
        if (deferred_draining()) /* before it can be seen idle: its window begins now, not with the response before */
            STORE(c->since, clock_now());
        unsigned done = follow_out(c, n, wire, chunks, count);
        if (deferred_draining() && done > 0 && http1_between(&c->out))
            response_done(c, done);
    }
    conn_followed(c, &c->calls_out, here); /* over only now, as with reading */
    if (deferred_draining() && here)
        wake_changed(c);
}

void io_write_end_slowly(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count)
{
    if (UNLIKELY(n <= 0))
        write_none(call);
    else
        io_write_done(call, (size_t)n, (uint64_t)n, chunks, count);
}
