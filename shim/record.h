/* record.h: LASTCALL_REPORT_CONNECTIONS: what becomes of each connection in a drain is noted where it happens (core/history.h),
 * for the report. Any thread, any signal handler; costs a load and a branch in a drain when off, and nothing in service. */
#ifndef LASTCALL_RECORD_H
#define LASTCALL_RECORD_H

#include "core/history.h"
#include "shim.h"

struct record {
    struct history *table; /* NULL: off */
    uint32_t serial;       /* ours in it */
    uint32_t left_out;     /* connections without a track */
};
extern HIDDEN struct record recording;

/* The drain begins: before any hook can see it. */
void record_open(void);
/* A fork's child: the drain was its parent's. */
void record_forget(void);

static inline bool record_on(void)
{
    return UNLIKELY(__atomic_load_n(&recording.table, __ATOMIC_ACQUIRE) != NULL);
}

void record_put(struct conn *c, enum history_state state);
void record_put_new(struct conn *c, enum history_state state, nsec_t at);

/* From now on c is in `state`. */
static inline void record(struct conn *c, enum history_state state)
{
    if (record_on())
        record_put(c, state);
}

/* c exists, in `state`, since `at`. Whoever holds its descriptor. */
static inline void record_new(struct conn *c, enum history_state state, nsec_t at)
{
    if (record_on())
        record_put_new(c, state, at);
}

/* The survey has seen c, pinned. owed: it found a request in flight. Pump only, as are the others. */
void record_look(struct conn *c, bool in_flight, nsec_t at);
void record_cut(const struct conn *c);
/* A member of our drain has died. */
void record_died(uint32_t serial);
/* Our part is over: the last word on what is still open. */
void record_end(void);
/* Call f for every connection of this member, which is process pid. */
void record_each(uint32_t serial, int pid, void (*f)(const struct report_connection *c, void *arg), void *arg);
/* They have been told. */
void record_drop(uint32_t serial);

#endif
