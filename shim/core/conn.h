/* conn.h: one accepted connection: what its two directions say, and how far its close has come.
 *
 * Pure. The bytes come from the hooks; the kernel facts and all acts are the choreographer's. Each direction is
 * followed by one thread at a time (calls_in, calls_out hold trylocks that the caller takes); a thread that finds
 * the lock taken calls conn_set_opaque. */
#ifndef LASTCALL_CONN_H
#define LASTCALL_CONN_H

#include "core/http1.h"
#include "core/opaque.h"
#include "core/proxy_protocol.h"
#include "core/http1_close.h"
#include "core/spoken.h"

/* How a connection ends under a drain; only ever moves down this list. */
enum conn_stage {
    CONN_OPEN,        /* the program reads and writes as it likes */
    CONN_READ_SHUT,   /* read shutdown: the program reads end of file, or a last request comes */
    CONN_HALF_CLOSED, /* half-closed: the program reads EOF, what it writes is swallowed */
    CONN_LINGERING, /* closed by the program; lastcall holds the socket until output is acknowledged, peer has ended */
};

/* Why a connection is opaque: its bytes are not, or no longer, understood. The first reason stays. */
enum opaque_reason {
    OPAQUE_NOT,           /* it is understood */
    OPAQUE_REQUEST,       /* received bytes are not HTTP/1.x that all parsers read alike */
    OPAQUE_RESPONSE,      /* sent bytes are not */
    OPAQUE_TUNNEL,        /* 101, or 2xx to CONNECT */
    OPAQUE_DEPTH,         /* more requests outstanding than the ring holds */
    OPAQUE_UNSEEN,        /* bytes passed unseen (sendfile, splice) where they can not be body */
    OPAQUE_CONCURRENT_IO, /* two threads at once in one direction */
    OPAQUE_COUNTS,        /* the kernel counts other bytes: another process, or io_uring, does its input or output */
    OPAQUE_FOUND,         /* found by the sweep in the middle of the connection's life */
};

/* Which processes hold the socket. shutdown() acts on the socket in every process that holds it, so only a CONN_OWN
 * socket is shut down. */
enum conn_ownership {
    CONN_OWN,           /* this process alone */
    CONN_SHARED,        /* perhaps another process too: it has come by SCM_RIGHTS, or this process has forked */
    CONN_SENT,          /* sent by SCM_RIGHTS: it may be under way still, and in no process's table */
    CONN_ABANDONED,     /* sent to a process that has ended without it: no process will read it */
    CONN_INHERITED,     /* held since a fork and not used here: belongs to the process that first reads or writes it */
    CONN_INHERITED_SENT /* likewise, and the parent had sent it */
};

/* Why a call on a connection has more to do at its end than to follow the bytes. */
enum conn_attention {
    CONN_DEAD = 1,   /* closed; freed by the thread that leaves last */
    CONN_JUDGED = 2, /* what it says decides about its listener, which has not shown to be HTTP (core/spoken.h) */
};

/* What the report has said, or will say, of a connection. */
enum conn_report {
    CONN_COUNTED_LATE_DATA = 1, /* among those on which data came after our close decision */
    CONN_COUNTED_OPAQUE = 2,    /* among the opaque ones */
    CONN_FROM_BEFORE = 4,       /* its request was in flight at the signal */
    CONN_LATE = 8,              /* its request came after the signal */
    CONN_VERIFIED = 16,         /* its counts were compared with the kernel's */
    CONN_JUST_FOUND = 32,       /* the sweep has found it, and has not looked again whether it stays open */
};

enum { CONN_RING = 64, CONN_RUN_MAX = 31 };

/* Bits of calls_in, calls_out: a lock (the bytes of one call are being followed), and a mark (this process has not
 * used the connection since the fork that it came by). The mark is in these words so that no call has to look
 * elsewhere for it. */
enum { CONN_LOCKED = 0x10000, CONN_UNUSED = 0x1000000 };

/* Requests to be answered, in runs of equal ones: count << 2 | flags. */
struct conn_ring {
    uint8_t run[CONN_RING];
    uint16_t head, tail; /* written by in, by out; free-running */
    uint8_t left;        /* of the run at tail */
    uint32_t pending;    /* requests without a complete response */
};

struct conn {
    /* identity */
    int fd;              /* a live descriptor of the connection: the program's; lastcall's when lingering */
    uint32_t index;      /* in the pool */
    uint32_t generation; /* counts the uses of this pool entry */
    uint16_t aliases;    /* descriptors of the program for this connection */
    uint16_t listener;   /* index of the listener it came from */
    bool unix_;          /* AF_UNIX: no TCP_INFO */
    bool live;           /* in use */
    uint8_t attention;   /* bits: enum conn_attention */

    /* following the bytes */
    uint32_t calls_in, calls_out; /* calls in progress (a second one at a time: CONCURRENT_IO), and CONN_LOCKED */
    uint8_t pin;                  /* lock: the drain's thread acts on fd, or the program closes it */
    uint8_t opaque_reason;        /* enum opaque_reason */
    uint8_t ownership;            /* enum conn_ownership */
    uint64_t inode; /* of a shared one, while /proc is searched for its other holders (0: there is one); of
                       CONN_JUST_FOUND */
    bool stale;     /* closed by a call that no hook saw: fd may be another connection's by now, so fd is not used */
    struct http1 in, out;
    struct conn_ring ring;
    struct {
        struct proxy_protocol header; /* of a load balancer, while it comes */
        uint32_t len;                 /* length of the header once it is complete; the client's own bytes follow it */
    } proxy;
    struct opaque opaque;               /* an opaque connection: who spoke last */
    uint64_t read_bytes, written_bytes; /* on the wire, by the program's calls that we saw */
    struct {
        uint64_t in, out; /* bytes of the message that is current or was last */
        uint8_t first_in,
            first_out; /* enum spoken_first: of the client, the server, where http1 and opaque do not know it */
    } message;
    struct {
        uintptr_t thread; /* thread pointer of the thread that last moved bytes */
        int tid;          /* the same, known only while draining; else 0 */
        int epoll_fd;     /* the epoll set that holds it; -1 none, -2 several or unknown */
        int channel;      /* it was sent there, and its receiver has not answered; -1 none (compat/node_primary.h) */
    } io;

    /* its end */
    uint8_t stage;    /* enum conn_stage */
    bool fin;         /* the program has shut down its writing: no response can follow */
    bool acked;       /* HALF_CLOSED, LINGERING: all output acknowledged */
    bool must_linger; /* the peer is still sending: close only after the peer's end of file */
    struct {
        bool on; /* the head of the current response is rewritten: it carries the close notice */
        struct http1_close rewrite;
    } close_notice;
    struct {
        uint8_t said; /* bits: enum conn_report */
        uint32_t log; /* its number in the connection log of the drain; 0: none (track/conn_log.h) */
        uint64_t late_bytes;
    } report;
    nsec_t since;    /* last response complete, or accepted, or stage entered */
    nsec_t acked_at; /* since when all output is acknowledged, or all but our FIN; 0: not yet */
};

/* A fresh connection, not live yet. index and generation stay. */
void conn_init(struct conn *c, int fd, uint16_t listener, bool unix_);

/* The connection becomes visible to other threads: a thread that sees `live` also sees all that was written before. */
static inline void conn_lives(struct conn *c)
{
    __atomic_store_n(&c->live, true, __ATOMIC_RELEASE);
}

static inline bool conn_is_alive(const struct conn *c)
{
    return __atomic_load_n(&c->live, __ATOMIC_ACQUIRE) && (LOAD(c->attention) & CONN_DEAD) == 0;
}

/* The connection becomes opaque, unless it is so already, for a reason that its bytes do not show. Any thread. */
void conn_set_opaque(struct conn *c, enum opaque_reason why);
static inline bool conn_is_opaque(const struct conn *c)
{
    return __atomic_load_n(&c->opaque_reason, __ATOMIC_ACQUIRE) != OPAQUE_NOT;
}

/* ---- ownership: any thread; each of these is one transition ---- */
static inline bool conn_is_shared(const struct conn *c)
{
    return LOAD(c->ownership) != CONN_OWN;
}
static inline bool conn_is_sent(const struct conn *c)
{
    uint8_t ownership = LOAD(c->ownership);
    return ownership == CONN_SENT || ownership == CONN_INHERITED_SENT;
}
static inline bool conn_is_inherited(const struct conn *c)
{
    return LOAD(c->ownership) >= CONN_INHERITED;
}
static inline bool conn_is_abandoned(const struct conn *c)
{
    return LOAD(c->ownership) == CONN_ABANDONED;
}
void conn_share(struct conn *c);   /* another process may hold the connection from now on */
void conn_send(struct conn *c);    /* the connection was sent by SCM_RIGHTS */
void conn_abandon(struct conn *c); /* the process to which it was sent has ended without it, and it is not sent again */
void conn_inherit(struct conn *c); /* in a fork's child */
void conn_use(struct conn *c);     /* this process has used an inherited connection */
void conn_own(struct conn *c);     /* no other process holds it any more; not for a connection that was sent */

/* ---- the report's bits: any thread ---- */
static inline bool conn_report_has(const struct conn *c, enum conn_report bit)
{
    return (LOAD(c->report.said) & bit) != 0;
}
/* False: it was set already. */
static inline bool conn_report_set(struct conn *c, enum conn_report bit)
{
    return (__atomic_fetch_or(&c->report.said, bit, __ATOMIC_RELAXED) & bit) == 0;
}
static inline void conn_report_clear(struct conn *c, enum conn_report bit)
{
    __atomic_fetch_and(&c->report.said, ~bit, __ATOMIC_RELAXED);
}

/* What the next two do for a connection that is not opaque; and for one that is. */
void conn_follow_requests(struct conn *c, const void *data, size_t n);
void conn_skip_requests(struct conn *c, size_t n);
unsigned conn_follow_responses(struct conn *c, const void *data, size_t n);
unsigned conn_skip_responses(struct conn *c, size_t n);
void conn_follow_opaque_in(struct conn *c, const void *data, size_t n);
void conn_follow_opaque_out(struct conn *c, const void *data, size_t n);

/* n bytes were read by the program, now or (data NULL) unseen. Holder of the lock in calls_in. */
static INLINE void conn_received(struct conn *c, const void *data, size_t n)
{
    STORE(c->read_bytes, c->read_bytes + n);
    if (UNLIKELY(LOAD(c->opaque_reason) != OPAQUE_NOT))
        conn_follow_opaque_in(c, data, n);
    else if (LIKELY(data != NULL))
        conn_follow_requests(c, data, n);
    else
        conn_skip_requests(c, n);
}

/* n bytes of the program's own were accepted for sending; `wire` bytes went out for them. data NULL:
 * unseen. Holder of the lock in calls_out. Returns the number of responses completed by them. */
static INLINE unsigned conn_sent(struct conn *c, const void *data, size_t n, uint64_t wire)
{
    STORE(c->written_bytes, c->written_bytes + wire);
    if (UNLIKELY(LOAD(c->opaque_reason) != OPAQUE_NOT)) {
        conn_follow_opaque_out(c, data, n);
        return 0;
    }
    return data ? conn_follow_responses(c, data, n) : conn_skip_responses(c, n);
}

/* A request has begun to arrive and its response is not complete. False for opaque connections. */
bool conn_in_flight(const struct conn *c);

/* An opaque connection: what is outstanding, by its bytes. If the bytes pass where no hook sees them
 * (conn_opaque_unseen), the kernel has to be asked when each side last sent. */
enum opaque_state conn_opaque_state(const struct conn *c);
bool conn_opaque_unseen(const struct conn *c);

/* Does a client wait for the program, as far as the bytes tell: in flight, or opaque and the client spoke last? */
bool conn_is_waited_for(const struct conn *c);

/* Once the connection is quiet, may the program be made to read end of file? Not where silence may be a pause in a
 * response (TLS, unknown bytes): the program could take end of file for a client that has disconnected, and abort
 * the response. The program's own shutdown closes such a connection. */
bool conn_may_shut_read(const struct conn *c);

/* Is a request half arrived (its head or body incomplete)? */
bool conn_request_open(const struct conn *c);

/* The offset, in the next n bytes of the program, of the head of the last outstanding response; SIZE_MAX if no such
 * head begins there. more: bytes of yet another request are waiting. */
size_t conn_last_head(const struct conn *c, const struct http1_span *chunks, size_t count, bool more);

/* The method of the request in flight, NUL-terminated; "" if not known. */
const char *conn_method(const struct conn *c);

/* Walks the invariants (tests, debug builds). */
bool conn_is_valid(const struct conn *c);

#endif
