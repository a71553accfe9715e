/* conn_log.h: LASTCALL_REPORT_CONNECTIONS: what becomes of each connection in a drain is noted where it happens
 * (core/conn_history.h), for the report. Any thread, any signal handler; costs a load and a branch in a drain when off,
 * and nothing in service. */
#ifndef LASTCALL_TRACK_CONN_LOG_H
#define LASTCALL_TRACK_CONN_LOG_H

#include "core/conn_history.h"
#include "core/conn.h"
#include "core/report_format.h"

struct conn_log {
    struct conn_history *table; /* NULL: off */
    uint32_t serial;            /* of this process, in it */
    uint32_t left_out;          /* connections without a track */
    uint32_t *missed;           /* where other processes read left_out; NULL: nowhere */
};
extern HIDDEN struct conn_log conn_log;

/* The drain begins: before any hook can see it. table: the group's, or NULL: alone, or the group was founded without
 * one; then the log is this process's own. serial: of this process in it. is_member: does a process of the group have
 * this serial? What others have left in a table that is half full is dropped. */
void conn_log_open(struct conn_history *table, uint32_t serial, uint32_t *missed, bool (*is_member)(uint32_t serial));
/* A fork's child: the drain was its parent's. */
void conn_log_after_fork(void);

static inline bool conn_log_on(void)
{
    return UNLIKELY(__atomic_load_n(&conn_log.table, __ATOMIC_ACQUIRE) != NULL);
}

void conn_log_put(struct conn *c, enum conn_history_state state);
void conn_log_put_new(struct conn *c, enum conn_history_state state, nsec_t at);

/* From now on c is in `state`. */
static inline void conn_log_note(struct conn *c, enum conn_history_state state)
{
    if (conn_log_on())
        conn_log_put(c, state);
}

/* c exists, in `state`, since `at`. The caller holds its descriptor. */
static inline void conn_log_new(struct conn *c, enum conn_history_state state, nsec_t at)
{
    if (conn_log_on())
        conn_log_put_new(c, state, at);
}

/* The scan has seen c, pinned. Drain's thread only, as are the others. */
void conn_log_look(struct conn *c, bool in_flight, nsec_t at);
void conn_log_aborted(const struct conn *c);
/* A member of our drain has died. */
void conn_log_died(uint32_t serial);
/* This process's part of the drain is over: note the last state of each open connection. */
void conn_log_end(void);
/* Call f for every connection of this member, which is process pid. */
void conn_log_each(uint32_t serial, int pid, void (*f)(const struct report_connection *c, void *arg), void *arg);
/* The connections of this member are reported: drop them. */
void conn_log_drop(uint32_t serial);

#endif
