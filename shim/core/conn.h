/* conn.h: one accepted connection: what its two directions say, and how far its farewell has come.
 *
 * Pure. The bytes come from the hooks; the kernel facts and all acts are the choreographer's. Each
 * direction is followed by one thread at a time (calls_in, calls_out hold trylocks that the caller takes);
 * whoever finds one taken calls conn_doubt. */
#ifndef LASTCALL_CONN_H
#define LASTCALL_CONN_H

#include "core/http1.h"
#include "core/rewrite.h"

/* How a connection ends under a drain; only ever moves down this list. */
enum conn_stage {
    CONN_OPEN,      /* the program reads and writes as it likes */
    CONN_EOF,       /* virtual EOF: expected: the program reads end of file, or a last request comes */
    CONN_ENDED,     /* half-closed: the program reads EOF, what it writes is swallowed */
    CONN_LINGERING, /* the program has closed; the socket is ours, its output not acknowledged yet
                       or its peer still sending */
};

/* Why a connection is opaque. */
enum doubt {
    DOUBT_NONE,
    DOUBT_REQUEST,  /* what came is no HTTP/1.x that everybody reads alike */
    DOUBT_RESPONSE, /* so is what went out */
    DOUBT_TUNNEL,   /* 101, or 2xx to CONNECT */
    DOUBT_DEPTH,    /* more requests outstanding than the ring holds */
    DOUBT_UNSEEN,   /* bytes passed unseen (sendfile, splice) where they can not be body */
    DOUBT_RACE,     /* two threads at once in one direction */
    DOUBT_COUNTS,   /* the kernel counts other bytes: somebody else does its input or output */
    DOUBT_FOUND,    /* met in the middle of its life */
};

enum { CONN_RING = 64, CONN_RUN_MAX = 31 };

/* Bits of calls_in, calls_out: a lock, the bytes of one call are being followed; and a mark, this process has not touched
 * the connection since the fork that left it to it (in these words, so that no call has to look elsewhere for it). */
enum { CONN_LOCKED = 0x10000, CONN_UNTOUCHED = 0x1000000 };

struct conn {
    /* identity */
    int fd;              /* a live descriptor of it: the program's, or ours when lingering */
    uint32_t index;      /* in the pool */
    uint32_t generation; /* counts the uses of this pool entry */
    uint16_t aliases;    /* descriptors of the program on it */
    uint16_t listener;   /* index of the listener it came from */
    bool unix_;          /* AF_UNIX: no TCP_INFO */
    bool live;           /* in use */
    bool dead;           /* closed; freed by whoever leaves last */

    /* following the bytes */
    uint32_t calls_in, calls_out; /* calls in progress (a second one at a time is a doubt), and CONN_LOCKED */
    uint8_t pin;                  /* lock: the pump acts on fd, or the program closes it */
    bool opaque;                  /* bytes we do not, or no longer, understand */
    uint8_t doubt;                /* enum doubt: the first reason */
    bool shared;                  /* another process may hold it: no shutdown() of ours */
    bool sent;                    /* ... by SCM_RIGHTS: it may be under way still, and in nobody's table */
    bool held;                    /* ... and another process does: seen at the signal */
    uint64_t inode;               /* for that look */
    bool inherited;               /* ... and this process has not touched it since the fork */
    bool stale; /* closed where we could not see it: the number is another connection's now. Hands off */
    struct http1 in, out;
    uint8_t ring[CONN_RING];                /* requests to be answered, in runs: count << 2 | flags */
    uint16_t ring_head, ring_tail;          /* written by in, by out; free-running */
    uint8_t run_left;                       /* of the run at ring_tail */
    uint32_t pending;                       /* requests whose response is not complete */
    uint64_t read_bytes, written_bytes;     /* on the wire, by the program's calls that we saw */
    uint64_t request_bytes, response_bytes; /* of the message that is current or was last */
    uintptr_t toucher;                      /* thread pointer of the thread that last moved bytes */
    int toucher_tid;                        /* the same, known only while draining; else 0 */
    int epoll_fd;                           /* the epoll set that holds it; -1 none, -2 several or unknown */

    /* its end */
    uint8_t stage;                        /* enum conn_stage */
    bool rewriting;                       /* the head of the current response is rewritten: it says farewell */
    bool fin;                             /* the program has shut down its writing: no response can follow */
    bool acked;                           /* ENDED, LINGERING: all output acknowledged */
    bool must_linger;                     /* the peer is still sending: wait for its end before ours */
    bool counted_crossed, counted_opaque; /* for the report */
    bool from_before;                     /* its request was in flight at the signal */
    bool late;                            /* its request came after the signal */
    bool verified;                        /* its counts were compared with the kernel's */
    uint32_t track;                       /* its number in the history of the drain; 0: none (record.h) */
    struct rewrite rewrite;
    nsec_t since;    /* last response complete, or accepted, or stage entered */
    nsec_t acked_at; /* since when all output is acknowledged, or all but our FIN; 0: not yet */
    uint64_t crossed_bytes;
};

/* A fresh connection, not live yet. index and generation stay. */
void conn_init(struct conn *c, int fd, uint16_t listener, bool unix_);

/* From here on others look at it: whoever sees that it is live sees all that was written before. */
static inline void conn_lives(struct conn *c)
{
    __atomic_store_n(&c->live, true, __ATOMIC_RELEASE);
}

static inline bool conn_is_alive(const struct conn *c)
{
    return __atomic_load_n(&c->live, __ATOMIC_ACQUIRE) && !LOAD(c->dead);
}

/* Something we cannot account for: from now on opaque. Any thread. */
void conn_doubt(struct conn *c, enum doubt why);

/* What the next two do for a connection that is not opaque. */
void conn_follow_requests(struct conn *c, const void *data, size_t n);
void conn_skip_requests(struct conn *c, size_t n);
unsigned conn_follow_responses(struct conn *c, const void *data, size_t n);
unsigned conn_skip_responses(struct conn *c, size_t n);

/* n bytes were read by the program, now or (data NULL) unseen. Holder of the lock in calls_in. */
static INLINE void conn_received(struct conn *c, const void *data, size_t n)
{
    STORE(c->read_bytes, c->read_bytes + n);
    if (UNLIKELY(LOAD(c->opaque)))
        return;
    if (LIKELY(data != NULL))
        conn_follow_requests(c, data, n);
    else
        conn_skip_requests(c, n);
}

/* n bytes of the program's own were accepted for sending; `wire` bytes went out for them. data NULL:
 * unseen. Holder of the lock in calls_out. Returns the number of responses completed by them. */
static INLINE unsigned conn_sent(struct conn *c, const void *data, size_t n, uint64_t wire)
{
    STORE(c->written_bytes, c->written_bytes + wire);
    if (UNLIKELY(LOAD(c->opaque)))
        return 0;
    return data ? conn_follow_responses(c, data, n) : conn_skip_responses(c, n);
}

/* A request has begun to arrive and its response is not complete. False for opaque connections. */
bool conn_in_flight(const struct conn *c);

/* Is a request half arrived (its head or body incomplete)? */
bool conn_request_open(const struct conn *c);

/* Where, in the next n bytes of the program, begins the head of the last response owed? Returns the
 * offset, or SIZE_MAX if no such head begins there. more: bytes of yet another request are waiting. */
size_t conn_last_head(const struct conn *c, const struct rewrite_chunk *chunks, size_t count, bool more);

/* The method of the request in flight, NUL-terminated; "" if not known. */
const char *conn_method(const struct conn *c);

/* Walks the invariants (tests, debug builds). */
bool conn_is_valid(const struct conn *c);

#endif
