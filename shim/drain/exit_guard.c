/* exit_guard.c: see exit_guard.h. */
#include "drain/exit_guard.h"

#include "drain/state.h"
#include "process/deferred.h"
#include "process/wake.h"
#include "sys/syscall.h"

#include <linux/futex.h>

HIDDEN struct exit_guard exit_guard;

void exit_guard_after_fork(void)
{
    memset(&exit_guard, 0, sizeof exit_guard);
}

void exit_guard_wait(void)
{
    if (!deferred_draining() || deferred_phase() == DRAIN_DONE || drain_state.tid <= 0)
        return;
    if (__atomic_exchange_n(&exit_guard.called, 1, __ATOMIC_ACQ_REL))
        return; /* exit from within exit: the first one has waited */
    exit_guard.thread_pointer = arch_thread_pointer();
    __atomic_store_n(&exit_guard.tid, (int)sys0(SYS_gettid), __ATOMIC_RELEASE);
    wake_now();
    while (__atomic_load_n(&exit_guard.leave, __ATOMIC_ACQUIRE) == 0)
        sys4(SYS_futex, &exit_guard.leave, FUTEX_WAIT_PRIVATE, 0, 0);
}

void exit_guard_let_go(void)
{
    __atomic_store_n(&exit_guard.leave, 1, __ATOMIC_SEQ_CST);
    sys3(SYS_futex, &exit_guard.leave, FUTEX_WAKE_PRIVATE, 64);
}
