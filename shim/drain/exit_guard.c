/* exit_guard.c: see exit_guard.h. */
#include "drain/exit_guard.h"

#include "drain/state.h"
#include "process/deferred.h"
#include "process/wake.h"
#include "sys/syscall.h"

#include <linux/futex.h>
#include <time.h>

HIDDEN struct exit_guard exit_guard;

void exit_guard_after_fork(void)
{
    memset(&exit_guard, 0, sizeof exit_guard);
}

unsigned exit_guard_threads(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < EXIT_GUARD_THREADS; i++)
        count += __atomic_load_n(&exit_guard.thread[i].tid, __ATOMIC_ACQUIRE) != 0;
    return count;
}

bool exit_guard_has(uintptr_t thread_pointer)
{
    for (unsigned i = 0; i < EXIT_GUARD_THREADS; i++)
        if (__atomic_load_n(&exit_guard.thread[i].tid, __ATOMIC_ACQUIRE) != 0 &&
            exit_guard.thread[i].thread_pointer == thread_pointer)
            return true;
    return false;
}

static void enter(int tid)
{
    uint32_t i = __atomic_fetch_add(&exit_guard.taken, 1, __ATOMIC_RELAXED);
    if (i >= EXIT_GUARD_THREADS)
        return;
    exit_guard.thread[i].thread_pointer = arch_thread_pointer();
    __atomic_store_n(&exit_guard.thread[i].tid, tid, __ATOMIC_RELEASE);
}

/* A signal that another thread has just taken begins the drain there, and its thread is known a moment later. */
static bool has_drain_thread(void)
{
    const struct timespec moment = {0, 50 * 1000};
    while (LOAD(deferred.begun) && __atomic_load_n(&drain_state.tid, __ATOMIC_ACQUIRE) == 0)
        sys2(SYS_nanosleep, &moment, 0);
    return drain_state.tid > 0;
}

/* Several threads may call exit(): each waits, or the second one would end what the first one waits for. */
void exit_guard_wait(void)
{
    if (!has_drain_thread() || deferred_phase() == DRAIN_DONE)
        return;
    if (exit_guard_has(arch_thread_pointer()))
        return; /* exit from within exit: this thread has waited */
    enter((int)sys0(SYS_gettid));
    wake_now();
    while (__atomic_load_n(&exit_guard.leave, __ATOMIC_ACQUIRE) == 0)
        sys4(SYS_futex, &exit_guard.leave, FUTEX_WAIT_PRIVATE, 0, 0);
}

void exit_guard_let_go(void)
{
    __atomic_store_n(&exit_guard.leave, 1, __ATOMIC_SEQ_CST);
    sys3(SYS_futex, &exit_guard.leave, FUTEX_WAKE_PRIVATE, INT32_MAX);
}
