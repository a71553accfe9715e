/* conn_history.h: what became of each connection in a drain: its states, with their times. A table in memory that the
 * processes of a group share, so that the one report of the drain can tell of all, also of those that have died.
 *
 * Pure: the memory and the time are the caller's. Lock-free; any process, any thread, any signal handler. Bounded: what
 * there is no room for is counted. What another process has written is never trusted to be in range. */
#ifndef LASTCALL_CONN_HISTORY_H
#define LASTCALL_CONN_HISTORY_H

#include "base.h"

enum conn_history_state {
    CONN_HISTORY_NONE,
    CONN_HISTORY_IDLE,        /* no request outstanding: the client may still send one */
    CONN_HISTORY_IN_FLIGHT,   /* a request has begun to arrive, and its response is not complete */
    CONN_HISTORY_OPAQUE,      /* bytes that we cannot read */
    CONN_HISTORY_CLOSING,     /* read shutdown: the program is expected to close */
    CONN_HISTORY_MANY,        /* idle and in flight by turns, too often to be told one by one */
    CONN_HISTORY_HALF_CLOSED, /* half-closed: its output and the peer's end are waited for */
    CONN_HISTORY_LINGERING,   /* closed by the program, kept for the same */
    CONN_HISTORY_CLOSED,
    CONN_HISTORY_STATES
};

enum { CONN_HISTORY_ENTRIES = 16384, CONN_HISTORY_CHANGES = 24, CONN_HISTORY_PEER = 64, CONN_HISTORY_METHOD = 12 };

/* One connection. */
struct conn_history_entry {
    uint32_t serial; /* of the member that holds the connection; 0: free */
    uint32_t count;  /* changes noted so far: may be more than there is room for */
    uint32_t left_out;
    uint32_t aborted;                                          /* not 0: its request was */
    char peer[CONN_HISTORY_PEER], method[CONN_HISTORY_METHOD]; /* NUL-terminated, method truncated to fit */
    uint64_t in_bytes, out_bytes;
    uint64_t change[CONN_HISTORY_CHANGES]; /* conn_history_word() */
};

struct conn_history {
    uint32_t taken; /* tracks that are not free */
    uint32_t hint;  /* where to look for one */
    uint32_t top;   /* tracks from here on were never used */
    struct conn_history_entry entry[CONN_HISTORY_ENTRIES];
};

/* Take a track for a connection of the member with this serial. 0: no room; else its number, from 1. */
uint32_t conn_history_take(struct conn_history *h, uint32_t serial);

/* Track `number` if it is this member's, or NULL. */
struct conn_history_entry *conn_history_at(struct conn_history *h, uint32_t number, uint32_t serial);

/* The connection is in `state` since at_us, microseconds from the signal. Noting the current state again changes
 * nothing. */
void conn_history_note(struct conn_history_entry *t, enum conn_history_state state, uint64_t at_us);

/* The member has died: its open connections are closed with it, and its requests in flight are aborted. */
void conn_history_died(struct conn_history *h, uint32_t serial, uint64_t at_us);

/* Give back every track of this member. */
void conn_history_drop(struct conn_history *h, uint32_t serial);

/* The changes of a connection by time, without those that took no time: fills states and at_us, CONN_HISTORY_CHANGES
 * each. Returns their number. */
unsigned conn_history_read(const struct conn_history_entry *t, uint8_t *states, uint64_t *at_us);

/* So many tracks are worth a look. */
uint32_t conn_history_top(const struct conn_history *h);

/* "in_flight"; "unknown". */
const char *conn_history_state_name(unsigned state);

#endif
