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

void exit_guard_after_fork(void);

#endif
