/* exit_guard.h: threads of the program that have called exit() wait until the drain lets them leave. */
#ifndef LASTCALL_DRAIN_EXIT_GUARD_H
#define LASTCALL_DRAIN_EXIT_GUARD_H

#include "base.h"

/* One thread more than these waits too, but nobody knows that it will not answer its requests any more. */
enum { EXIT_GUARD_THREADS = 32 };

struct exit_guard {
    struct {
        int tid; /* 0: not there yet */
        uintptr_t thread_pointer;
    } thread[EXIT_GUARD_THREADS]; /* those that are in exit() and wait */
    uint32_t taken;               /* elements of thread */
    uint32_t leave;               /* futex: 1 = go */
};
extern HIDDEN struct exit_guard exit_guard;

/* The program calls exit(): returns when the drain lets this thread leave. Any thread. */
void exit_guard_wait(void);

/* Nothing is outstanding any more: the threads that wait may go. Drain thread. */
void exit_guard_let_go(void);

/* How many threads wait? */
unsigned exit_guard_threads(void);
static inline bool exit_guard_waits(void)
{
    return exit_guard_threads() > 0;
}
/* Is this the thread pointer of one of them? */
bool exit_guard_has(uintptr_t thread_pointer);

void exit_guard_after_fork(void);

#endif
