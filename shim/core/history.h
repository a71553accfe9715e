/* history.h: what became of each connection in a drain: its states, with their times. A table in memory that the processes
 * of a group share, so that the one report of the drain can tell of all, also of those that have died.
 *
 * Pure: the memory and the time are the caller's. Lock-free; any process, any thread, any signal handler. Bounded: what there
 * is no room for is counted. What another process has written is never trusted to be in range. */
#ifndef LASTCALL_HISTORY_H
#define LASTCALL_HISTORY_H

#include "base.h"

enum history_state {
    HISTORY_NONE,
    HISTORY_IDLE,      /* no request outstanding: it may still speak */
    HISTORY_IN_FLIGHT, /* a request has begun to arrive, and its response is not complete */
    HISTORY_OPAQUE,    /* bytes that we cannot read */
    HISTORY_EOF,       /* virtual EOF given: the program is expected to close */
    HISTORY_MANY,      /* idle and in flight by turns, too often to be told one by one */
    HISTORY_ENDED,     /* half-closed: its output and the peer's end are waited for */
    HISTORY_LINGERING, /* closed by the program, kept for the same */
    HISTORY_CLOSED,
    HISTORY_STATES
};

enum { HISTORY_TRACKS = 16384, HISTORY_CHANGES = 24, HISTORY_PEER = 64, HISTORY_METHOD = 12 };

/* One connection. */
struct history_track {
    uint32_t serial; /* of the member whose it is; 0: free */
    uint32_t count;  /* changes noted so far: may be more than there is room for */
    uint32_t left_out;
    uint32_t cut;                                    /* not 0: its request was */
    char peer[HISTORY_PEER], method[HISTORY_METHOD]; /* NUL-terminated, method cut to fit */
    uint64_t in_bytes, out_bytes;
    uint64_t change[HISTORY_CHANGES]; /* history_word() */
};

struct history {
    uint32_t taken; /* tracks that are not free */
    uint32_t hint;  /* where to look for one */
    uint32_t top;   /* tracks from here on were never used */
    struct history_track track[HISTORY_TRACKS];
};

/* Take a track for a connection of the member with this serial. 0: no room; else its number, from 1. */
uint32_t history_take(struct history *h, uint32_t serial);

/* Track `number` if it is this member's, or NULL. */
struct history_track *history_at(struct history *h, uint32_t number, uint32_t serial);

/* It is in `state` since at_us, microseconds from the signal. The state it is in already changes nothing. */
void history_note(struct history_track *t, enum history_state state, uint64_t at_us);

/* The member has died: what it had open is closed with it, and what was in flight is cut. */
void history_died(struct history *h, uint32_t serial, uint64_t at_us);

/* Give back every track of this member. */
void history_drop(struct history *h, uint32_t serial);

/* Its changes in their order, without those that took no time: fills states and at_us, HISTORY_CHANGES each. Returns
 * their number. */
unsigned history_read(const struct history_track *t, uint8_t *states, uint64_t *at_us);

/* So many tracks are worth a look. */
uint32_t history_top(const struct history *h);

/* "in_flight"; "unknown". */
const char *history_state_name(unsigned state);

#endif
