/* sigmask.c: see sigmask.h. */
#include "sys/sigmask.h"

#include "sys/syscall.h"

#include <signal.h>

static const uint64_t all_signals = ~(uint64_t)0; /* no thread's mask: KILL and STOP are never in one */

uint64_t sigmask_block_all(void)
{
    uint64_t old = 0;
    return sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &old, 8) == 0 ? old : all_signals;
}

/* A thread with signals that stay blocked would never get one again: so a failure, which only a sandbox could cause,
 * is tried once more. */
void sigmask_restore(uint64_t old)
{
    if (old != all_signals && sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8) != 0)
        sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
}

static uint64_t bit_of(int sig)
{
    return sig > 0 && sig <= 64 ? (uint64_t)1 << (sig - 1) : 0;
}

static uint64_t pending_now(void)
{
    uint64_t pending = 0;
    return sys2(SYS_rt_sigpending, &pending, 8) == 0 ? pending : 0;
}

void sigmask_raising_begin(struct sigmask_raising *before)
{
    before->mask = sigmask_block_all();
    before->pending = pending_now();
}

/* One that was pending before is the program's: it takes in the second one. */
void sigmask_raising_end(const struct sigmask_raising *before, int sig)
{
    const struct timespec now = {0, 0};
    uint64_t raised = bit_of(sig) & ~before->pending;
    if (raised)
        sys4(SYS_rt_sigtimedwait, &raised, 0, &now, 8);
    sigmask_restore(before->mask);
}

void sigmask_let_in(int sig)
{
    uint64_t bit = bit_of(sig);
    if ((pending_now() & bit) != 0)
        sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &bit, 0, 8);
}
