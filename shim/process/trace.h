/* trace.h: LASTCALL_LOG=trace: each decision with its reason. Hooks may not log, so they leave a record in a ring,
 * and the drain thread writes it down. Any thread, any signal handler; costs a load and a branch when off. */
#ifndef LASTCALL_TRACE_H
#define LASTCALL_TRACE_H

#include "process/config.h"

enum trace {
    TRACE_CLOSE_SENT,  /* a response head left with Connection: close */
    TRACE_IDLE,        /* a response without close option is complete: the idle window begins */
    TRACE_READ_SHUT,   /* the idle window is over: read shutdown */
    TRACE_HALF_CLOSED, /* half-closed */
    TRACE_LINGER,      /* the program has closed; the socket stays until its output is acknowledged */
    TRACE_ACKED,       /* the output is acknowledged */
    TRACE_DROPPED,     /* the lingering socket is closed */
    TRACE_LATE_DATA,   /* bytes came after our close decision */
    TRACE_OPAQUE,      /* not understood any more: value says why (enum opaque_reason) */
    TRACE_HANDED,      /* no connection can come from the primary any more; value: so many have come */
    TRACE_KINDS
};

/* The size of the ring, and the zeroed memory for it (not in .bss: that would cost every exec a mapping). */
size_t trace_size(void);
void trace_open(void *memory);

void trace_put(enum trace what, int fd, uint64_t value);

static inline void trace(enum trace what, int fd, uint64_t value)
{
    if (UNLIKELY(config.log == LOG_TRACE))
        trace_put(what, fd, value);
}

/* Drain thread only: call f for each record since the last call, oldest first. Records that the ring had no room for
 * are lost. */
void trace_take(void (*f)(enum trace what, int fd, uint64_t value, nsec_t at));

const char *trace_name(enum trace what);

#endif
