/* eintr.h: which calls of the program our signal handler has interrupted, so that an EINTR that only our handler has
 * caused is not shown to the program. Any thread, any signal handler. */
#ifndef LASTCALL_PROCESS_EINTR_H
#define LASTCALL_PROCESS_EINTR_H

#include "base.h"

struct eintr_thread;

struct eintr {
    unsigned runs;               /* of our handler, where it has interrupted a call */
    struct eintr_thread *thread; /* the last run in each thread; NULL: no memory */
};
extern HIDDEN struct eintr eintr;

/* The process begins to serve. */
void eintr_prepare(void);

static INLINE unsigned eintr_runs(void)
{
    return __atomic_load_n(&eintr.runs, __ATOMIC_RELAXED);
}

/* Our handler has interrupted a call of thread tid; -tid: and the program's handler has run as well. In that thread,
 * all signals blocked. */
void eintr_note_run(int tid);

/* Our handler has run in thread tid, and no call has failed by it; but the call may have been cut short: of a transfer
 * that has moved some bytes the kernel tells how many, and not EINTR (signal(7)). */
void eintr_note_met(int tid);

/* Has our handler alone run in this thread since `runs`, so that an EINTR is not the program's business? */
bool eintr_is_ours(unsigned runs);
/* Has our handler run in this thread since `runs`, and not the program's, as far as we know? */
bool eintr_has_met(unsigned runs);

#endif
