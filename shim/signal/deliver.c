/* deliver.c: see deliver.h. */
#include "signal/deliver.h"

#include "process/log.h"
#include "signal/disposition.h"
#include "sys/sigmask.h"
#include "sys/syscall.h"

#include <time.h>

/* Our handler cannot be taken away: the signal would only come back to it, for ever. The last resort is to call the
 * program's handler from here, unless it counts on being called once only (node raises the signal again). */
static void call_by_hand(int sig, siginfo_t *info, void *context)
{
    const struct ksigaction *own = &dispositions.view.program[sig];
    if (context && own->handler > SIGNAL_VIEW_IGNORE && (own->flags & SA_RESETHAND) == 0) {
        log_warning("the signal cannot be given back: the program's handler is called from ours");
        ((void (*)(int, siginfo_t *, void *))own->handler)(sig, info, context);
    } else if (own->handler != SIGNAL_VIEW_IGNORE) {
        log_warning("the signal cannot be given back: the process ends");
        sys1(SYS_exit_group, 128 + sig);
    }
}

static bool queue_here(int sig, const siginfo_t *info)
{
    return sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), sys0(SYS_gettid), sig, info) == 0;
}

void deliver_before_exec(int sig, siginfo_t *info, void *context)
{
    if (!dispositions_put(sig, dispositions.view.program[sig])) {
        call_by_hand(sig, info, context);
        return;
    }
    queue_here(sig, info);
}

/* Returns what the program has from now on for `sig`. */
static struct ksigaction release_all(int sig)
{
    struct ksigaction of_sig = {.handler = SIGNAL_VIEW_IGNORE};
    for (int s = 1; s < SIGNAL_VIEW_MAX; s++)
        if (signal_is_held(s)) {
            struct ksigaction own = dispositions_release(s);
            if (s == sig)
                of_sig = own;
        }
    return of_sig;
}

static siginfo_t info_of(int sig)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (deferred.has_info)
        memcpy(&info, deferred.info, sizeof deferred.info);
    info.si_signo = sig;
    return info;
}

bool deliver_here(int sig, void *context)
{
    int forward = deliver_which();
    struct ksigaction own = release_all(forward);
    if (own.handler == SIGNAL_VIEW_DEFAULT && sys0(SYS_getpid) == 1)
        sys1(SYS_exit_group, 128 + forward); /* the kernel ignores a default signal to PID 1 (pid_namespaces(7)) */
    siginfo_t info = info_of(forward);
    if (signal_is_held(forward)) {
        call_by_hand(forward, &info, context);
        return false;
    }
    if (forward != sig || !queue_here(forward, &info))
        if (sys3(SYS_rt_sigqueueinfo, sys0(SYS_getpid), forward, &info) != 0)
            sys2(SYS_kill, sys0(SYS_getpid), forward);
    return true;
}

bool deliver_as_it_came(int sig, siginfo_t *info, void *context)
{
    dispositions_give_back();
    if (signal_is_held(sig)) {
        call_by_hand(sig, info, context);
        return false;
    }
    queue_here(sig, info);
    return true;
}

static uint64_t bit_of(int sig)
{
    return (uint64_t)1 << (sig - 1);
}

int deliver_over_exec(uint64_t *mask)
{
    if (!deferred.pending || __atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE))
        return 0;
    int sig = deliver_which();
    uint64_t bit = bit_of(sig);
    siginfo_t info = info_of(sig);
    if (sys4(SYS_rt_sigprocmask, SIG_BLOCK, &bit, mask, 8) != 0)
        return 0;
    if (queue_here(sig, &info))
        return sig;
    sigmask_restore(*mask);
    return 0;
}

void deliver_exec_failed(int sig, uint64_t mask)
{
    const struct timespec none = {0, 0};
    uint64_t bit = bit_of(sig);
    if (sig == 0)
        return;
    sys4(SYS_rt_sigtimedwait, &bit, 0, &none, 8);
    sigmask_restore(mask);
}

void deliver_deferred(void)
{
    if (deferred.pending && !__atomic_exchange_n(&deferred.delivering, 1, __ATOMIC_ACQ_REL))
        deliver_here(deliver_which(), NULL);
}
