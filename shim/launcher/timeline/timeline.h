/* timeline.h: one drain as its report tells of it, for the picture that `lastcall timeline` draws. */
#ifndef LASTCALL_LAUNCHER_TIMELINE_TIMELINE_H
#define LASTCALL_LAUNCHER_TIMELINE_TIMELINE_H

#include "core/conn_history.h"

#include <stdio.h>

enum { TIMELINE_CONNECTIONS = 20000, TIMELINE_CHANGES = 64, TIMELINE_PROCESSES = 1024 };

/* Ten years: no time in a report is later. Times are microseconds from the signal. */
#define TIMELINE_LATEST (UINT64_C(10) * 366 * 24 * 3600 * 1000000)

struct timeline_change {
    uint64_t at;
    unsigned state; /* enum conn_history_state, not CONN_HISTORY_NONE */
};

struct timeline_connection {
    int pid;
    const char *peer, *method; /* "" if not known; anything may be in them */
    uint64_t in_bytes, out_bytes;
    uint64_t left_out; /* changes */
    bool aborted;
    unsigned changes; /* at least one; their times do not fall */
    const struct timeline_change *change;
};

struct timeline_process {
    int pid;
    const char *how;
};

struct timeline {
    void *owner; /* of the strings and arrays */
    int pid;
    const char *signal, *end, *version; /* "" if not said */
    uint64_t wall_ms;
    uint64_t duration, exit_delay;
    uint64_t accept_stopped, accept_stop_at, deadline; /* 0: not closed, not hidden (or not told), none (or not told) */
    uint64_t in_flight, served_after_signal, idle_closed, aborted, opaque;
    bool recorded;       /* the report has a history of each connection; else only the aborted ones */
    uint64_t left_out;   /* connections that the report leaves out */
    unsigned unreadable; /* connections that could not be read */
    struct timeline_connection *connection;
    unsigned connections;
    struct timeline_process *process;
    unsigned processes; /* 0: one, which is `pid` */
};

/* Read drain number `wanted` (from 1; 0: the last) from a file of reports, one JSON object a line. Other lines are
 * skipped; an unreadable report is described to `warn`, one sentence a call. False: there is no such drain; `warn`
 * was told why. */
struct timeline_reader {
    const char *name; /* of the file, for the sentences */
    unsigned wanted;
    void (*warn)(const char *sentence);
};
bool timeline_read(struct timeline *t, FILE *in, const struct timeline_reader *how);
void timeline_free(struct timeline *t);

/* Draw the timeline. title: replaces the sentence that says how the drain went, or NULL. False: no memory; errors of
 * the file are for ferror to say. */
enum timeline_format { TIMELINE_SVG, TIMELINE_HTML };
bool timeline_draw(FILE *out, const struct timeline *t, enum timeline_format format, const char *title);

#endif
