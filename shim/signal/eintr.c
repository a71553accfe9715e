/* eintr.c: see eintr.h. */
#include "signal/eintr.h"

#include "process/eintr.h"
#include "signal/disposition.h"
#include "sys/arch.h"
#include "sys/syscall.h"

#include <linux/futex.h>
#include <ucontext.h>

bool eintr_is_blocked(const void *context, int sig)
{
    uint64_t mask;
    memcpy(&mask, &((const ucontext_t *)context)->uc_sigmask, sizeof mask);
    return mask >> (sig - 1) & 1;
}

/* Does the program wait for something in this call, and would it be told of its own handler's run (not by a handler
 * that restarts its calls)? */
static bool is_interrupted_wait(long nr, long second, const struct ksigaction *program)
{
    bool restarts = (program->flags & SA_RESTART) != 0;
    switch (nr) {
    case SYS_futex: second &= FUTEX_CMD_MASK; return !restarts && (second == FUTEX_WAIT || second == FUTEX_WAIT_BITSET);
    case SYS_accept:
    case SYS_accept4:
    case SYS_wait4:
    case SYS_waitid: return !restarts;
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
    case SYS_poll:
    case SYS_select:
    case SYS_pause:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_ppoll:
    case SYS_pselect6: return true;
    default: return false;
    }
}

/* The kernel restarts the wait after our handler (SA_RESTART), though the program's own handler would have ended it:
 * the thread would wait for an event that has come already, as the program's handler runs when our handler returns.
 * So where the kernel has set the thread back to before a call that waits, the call is made to fail with EINTR, by
 * advancing the saved pc. (An invalid `how` only makes the kernel read.) */
static void interrupt_wait_ahead(void *context, const struct ksigaction *program)
{
    long second;
    if (sys4(SYS_rt_sigprocmask, -1, arch_code_ahead(context), 0, 8) == -EFAULT)
        return;
    long nr = arch_call_ahead(context, &second);
    if (is_interrupted_wait(nr, second, program))
        arch_interrupt_call_ahead(context);
}

/* As our handler returns, will the kernel run the program's handler of another signal? All signals are blocked in
 * our handler. */
static bool others_follow(void *context)
{
    uint64_t pending = 0;
    bool follow = false;
    if (sys2(SYS_rt_sigpending, &pending, 8) != 0)
        return false;
    for (int sig = 1; pending >> (sig - 1) != 0; sig++) {
        struct ksigaction now;
        if ((pending >> (sig - 1) & 1) != 0 && !eintr_is_blocked(context, sig) &&
            sys4(SYS_rt_sigaction, sig, 0, &now, 8) == 0 && now.handler > SIGNAL_VIEW_IGNORE &&
            !dispositions_is_ours(now.handler)) {
            follow = true;
            interrupt_wait_ahead(context, &now);
        }
        if (sig == SIGNAL_VIEW_MAX)
            break;
    }
    return follow;
}

void eintr_hide(void *context)
{
    bool interrupted = arch_interrupted_call(context);
    if (others_follow(context))
        return;
    if (interrupted)
        eintr_note_run((int)sys0(SYS_gettid));
    else
        eintr_note_met((int)sys0(SYS_gettid));
}

void eintr_show(int sig, void *context)
{
    struct ksigaction now;
    if (sys4(SYS_rt_sigaction, sig, 0, &now, 8) != 0 || now.handler <= SIGNAL_VIEW_IGNORE)
        return;
    eintr_note_run(-(int)sys0(SYS_gettid));
    interrupt_wait_ahead(context, &now);
}
