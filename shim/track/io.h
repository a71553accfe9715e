/* io.h: the bytes of a connection, around the program's calls that move them: begin, the call, end. Any thread. */
#ifndef LASTCALL_TRACK_IO_H
#define LASTCALL_TRACK_IO_H

#include "process/deferred.h"
#include "process/eintr.h"
#include "process/wake.h"
#include "sys/syscall.h"
#include "track/connections.h"

#include <sys/types.h>

/* Has lastcall half-closed this connection? */
bool io_is_half_closed(uint32_t slot);

/* One call of the program that moves bytes. */
struct io_call {
    struct conn *c;
    uint32_t generation;
    unsigned runs; /* eintr_runs() before it */
};

static INLINE struct conn *io_begin(struct io_call *call, uint32_t slot)
{
    struct conn *c = pool_of_slot(&connections, slot);
    call->c = c;
    call->generation = LOAD(c->generation);
    call->runs = eintr_runs();
    return c;
}

/* Is the connection still the one that the call began with? Its entry may have been reused meanwhile. */
static INLINE bool io_holds(const struct io_call *call)
{
    return LIKELY(LOAD(call->c->generation) == call->generation);
}

/* A call beside another one in its direction (the connection becomes opaque); or this process's first after fork. */
void io_beside(struct conn *c);

/* While draining: is the connection half-closed? Then late data is discarded. */
bool io_read_refused(struct conn *c, int fd);

/* Begin reading. False: the connection is half-closed, the call's answer is 0 (end of file). */
static INLINE bool io_read_begin(struct io_call *call, int fd, uint32_t slot)
{
    struct conn *c = io_begin(call, slot);
    if (deferred_draining() && io_read_refused(c, fd))
        return false;
    if (UNLIKELY(__atomic_fetch_add(&c->calls_in, 1, __ATOMIC_RELAXED) != 0))
        io_beside(c);
    return true;
}

/* The current thread moves bytes of c. */
static INLINE void io_note_thread(struct conn *c)
{
    STORE(c->io.thread, arch_thread_pointer());
}

ssize_t io_read_end_slowly(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count);
/* The real call gave n; its bytes are in chunks (none: unseen). Returns what the program is told. Here the common
 * case; io_read_end_slowly is for all. */
static INLINE ssize_t io_read_end(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(n <= 0) || count != 1 || deferred_draining() || UNLIKELY(!conn_follow(&c->calls_in)))
        return io_read_end_slowly(call, n, chunks, count);
    if (UNLIKELY(!io_holds(call))) {
        conn_followed(c, &c->calls_in, 0);
        return n;
    }
    io_note_thread(c);
    conn_received(c, chunks->data, (size_t)n);
    conn_followed(c, &c->calls_in, 1); /* over only now, with its bytes counted */
    return n;
}

/* Abandon: the call did not move bytes of the stream (MSG_PEEK, an error, cancellation). */
static INLINE void io_read_none(struct io_call *call)
{
    if (io_holds(call))
        __atomic_sub_fetch(&call->c->calls_in, 1, __ATOMIC_RELAXED);
}

/* Begin writing. draining: deferred_draining(). False: the connection is half-closed, the bytes are swallowed. */
static INLINE bool io_write_begin(struct io_call *call, uint32_t slot, bool draining)
{
    struct conn *c = io_begin(call, slot);
    if (draining && io_is_half_closed(slot))
        return false;
    if (UNLIKELY(__atomic_fetch_add(&c->calls_out, 1, __ATOMIC_RELAXED) != 0))
        io_beside(c);
    return true;
}

void io_write_end_slowly(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count);
/* The real call gave n; its bytes are in chunks (none: unseen). As with reading. */
static INLINE void io_write_end(struct io_call *call, ssize_t n, const struct http1_span *chunks, size_t count)
{
    struct conn *c = call->c;
    if (UNLIKELY(n <= 0) || count > 1 || deferred_draining() || UNLIKELY(!conn_follow(&c->calls_out))) {
        io_write_end_slowly(call, n, chunks, count);
        return;
    }
    if (UNLIKELY(!io_holds(call))) {
        conn_followed(c, &c->calls_out, 0);
        return;
    }
    io_note_thread(c);
    conn_sent(c, count ? chunks->data : NULL, (size_t)n, (uint64_t)n);
    conn_followed(c, &c->calls_out, 1);
    if (deferred_draining()) /* a drain may have begun: its thread may have seen c as it was before the call */
        wake_changed(c);
}

/* A write of the program's is over: n bytes of its own were taken, `wire` bytes went out; `chunks` begin with the n. */
void io_write_done(struct io_call *call, size_t n, uint64_t wire, const struct http1_span *chunks, size_t count);

#endif
