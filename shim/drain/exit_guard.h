/* exit_guard.h: a thread of the program that has called exit() waits until the drain lets it leave. */
#ifndef LASTCALL_DRAIN_EXIT_GUARD_H
#define LASTCALL_DRAIN_EXIT_GUARD_H

#include "base.h"

struct exit_guard {
    int tid; /* the thread that is in exit() and waits; 0: none */
    uintptr_t thread_pointer;
    uint32_t leave; /* futex: 1 = go */
    uint8_t called;
};
extern HIDDEN struct exit_guard exit_guard;

/* The program calls exit(): returns when the drain lets this thread leave. Any thread. */
void exit_guard_wait(void);

/* Nothing is outstanding any more: the thread that waits may go. Drain thread. */
void exit_guard_let_go(void);

static inline bool exit_guard_waits(void)
{
    return __atomic_load_n(&exit_guard.tid, __ATOMIC_ACQUIRE) != 0;
}

void exit_guard_after_fork(void);

#endif
