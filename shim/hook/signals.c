/* signals.c: hooks of everything that sets, reads or waits for a signal. Drain signals have a virtual
 * disposition (core/signal_view); all others pass through. */
#include "hook/hook_call.h"

#include <sys/signalfd.h>
#include <time.h>

/* ---- dispositions ---- */

static void from_user(struct ksigaction *k, const struct sigaction *act)
{
    k->handler = (uintptr_t)act->sa_handler;
    k->flags = (unsigned)act->sa_flags;
    k->restorer = (uintptr_t)act->sa_restorer;
    memcpy(&k->mask, &act->sa_mask, sizeof k->mask);
    if (k->restorer == 0)
        k->flags &= ~0x04000000ul; /* SA_RESTORER: libc would have put its own; lastcall's comes at delivery */
}

static void to_user(struct sigaction *act, const struct ksigaction *k)
{
    memset(&act->sa_mask, 0, sizeof act->sa_mask);
    memcpy(&act->sa_mask, &k->mask, sizeof k->mask);
    act->sa_handler = (sig_handler)k->handler;
    act->sa_flags = (int)k->flags;
    act->sa_restorer = (void (*)(void))k->restorer;
}

int hook_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    struct ksigaction now, before;
    if (LIKELY(!disposition_is_watched(sig)))
        return real.sigaction(sig, act, old);
    if (act)
        from_user(&now, act);
    if (!shim_sigaction(sig, act ? &now : NULL, &before))
        return real.sigaction(sig, act, old);
    if (old)
        to_user(old, &before);
    return 0;
}

/* signal() in its several dialects: handler, flags and mask; SIG_ERR never for a drain signal. */
static sig_handler set_handler(int sig, sig_handler handler, unsigned flags, uint64_t mask)
{
    struct ksigaction now = {.handler = (uintptr_t)handler, .flags = flags, .restorer = 0, .mask = mask}, before;
    if (shim_sigaction(sig, &now, &before))
        return (sig_handler)before.handler;
    /* The delivery has come since the caller looked: the disposition is the kernel's again. */
    struct sigaction act, old;
    to_user(&act, &now);
    return real.sigaction(sig, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static uint64_t bit_of(int sig)
{
    return (uint64_t)1 << (sig - 1);
}

static uint64_t interrupting; /* siginterrupt(sig, 1): later calls of signal() mind it (signal(3)) */

/* BSD signal blocks the signal itself, as sigaction does; glibc says so in the mask too, musl does not. */
static sig_handler bsd_signal_(int sig, sig_handler handler)
{
    bool interrupts = libc_is_gnu() && (__atomic_load_n(&interrupting, __ATOMIC_RELAXED) & bit_of(sig)) != 0;
    return set_handler(sig, handler, interrupts ? 0 : SA_RESTART, libc_is_gnu() ? bit_of(sig) : 0);
}

/* glibc says EINVAL; musl installs it. */
static bool refused(sig_handler handler)
{
    return handler == SIG_ERR && libc_is_gnu();
}

sig_handler hook_signal(int sig, sig_handler handler)
{
    if (LIKELY(!disposition_is_watched(sig)) || refused(handler))
        return real.signal(sig, handler);
    return bsd_signal_(sig, handler);
}

sig_handler hook_bsd_signal(int sig, sig_handler handler)
{
    if (LIKELY(!disposition_is_watched(sig)) || refused(handler))
        return real.bsd_signal(sig, handler);
    return bsd_signal_(sig, handler);
}

sig_handler hook_sysv_signal(int sig, sig_handler handler)
{
    if (LIKELY(!disposition_is_watched(sig)) || refused(handler))
        return real.sysv_signal(sig, handler);
    return set_handler(sig, handler, SA_RESETHAND | SA_NODEFER, 0);
}

sig_handler hook___sysv_signal(int sig, sig_handler handler)
{
    if (LIKELY(!disposition_is_watched(sig)) || refused(handler))
        return real.__sysv_signal(sig, handler);
    return set_handler(sig, handler, SA_RESETHAND | SA_NODEFER, 0);
}

#define SIG_HOLD_ ((sig_handler)2)

/* sigset(3): SIG_HOLD only blocks; anything else installs and unblocks. Both answer SIG_HOLD if the signal was
 * blocked before. libc asks the kernel for the disposition, where it would find lastcall's handler. */
sig_handler hook_sigset(int sig, sig_handler handler)
{
    struct ksigaction now;
    uint64_t bit = bit_of(sig), before = 0;
    sig_handler old;
    if (LIKELY(!disposition_is_watched(sig)))
        return real.sigset(sig, handler);
    if (handler != SIG_HOLD_)
        old = set_handler(sig, handler, 0, 0);
    else
        old = shim_sigaction(sig, NULL, &now) || sys4(SYS_rt_sigaction, sig, 0, &now, 8) == 0 ? (sig_handler)now.handler
                                                                                              : SIG_ERR;
    sys4(SYS_rt_sigprocmask, handler == SIG_HOLD_ ? SIG_BLOCK : SIG_UNBLOCK, &bit, &before, 8);
    return before & bit ? SIG_HOLD_ : old;
}

int hook_sigignore(int sig)
{
    if (LIKELY(!disposition_is_watched(sig)))
        return real.sigignore(sig);
    set_handler(sig, SIG_IGN, 0, 0);
    return 0;
}

int hook_siginterrupt(int sig, int flag)
{
    struct ksigaction act;
    if (sig > 0 && sig < SIGNAL_VIEW_MAX && flag)
        __atomic_fetch_or(&interrupting, bit_of(sig), __ATOMIC_RELAXED);
    else if (sig > 0 && sig < SIGNAL_VIEW_MAX)
        __atomic_fetch_and(&interrupting, ~bit_of(sig), __ATOMIC_RELAXED);
    if (LIKELY(!disposition_is_watched(sig)) || !shim_sigaction(sig, NULL, &act))
        return real.siginterrupt(sig, flag);
    act.flags = flag ? act.flags & ~(unsigned long)SA_RESTART : act.flags | SA_RESTART;
    shim_sigaction(sig, &act, NULL);
    return 0;
}

/* ---- the program sends it to itself ---- */

/* After delivery a program that wants to die of its signal after all (node: SA_RESETHAND, then raise) would live on
 * as PID 1, where the kernel ignores a default disposition (pid_namespaces(7)), with its listeners stopped. */
static void end_as_pid_1(int sig)
{
    struct ksigaction now;
    if (UNLIKELY(deferred.delivering) && sig > 0 && sig < SIGNAL_VIEW_MAX && (config.signals >> sig & 1) != 0 &&
        sys0(SYS_getpid) == 1 && sys4(SYS_rt_sigaction, sig, 0, &now, 8) == 0 && now.handler == SIGNAL_VIEW_DEFAULT)
        sys1(SYS_exit_group, 128 + sig);
}

/* What the program says to itself is no supervisor's word that it shall stop. */
int hook_raise(int sig)
{
    end_as_pid_1(sig);
    if (!dispositions_lend(sig))
        return real.raise(sig);
    int ret = real.raise(sig);
    dispositions_lend_end(sig);
    return ret;
}

/* ---- programs that block the signal and fetch it ---- */

static nsec_t nsec(const struct timespec *t)
{
    return (nsec_t)t->tv_sec * NSEC_PER_SEC + (nsec_t)t->tv_nsec;
}

/* The time left until `end`, for another try; never negative. */
static const struct timespec *left_until(nsec_t end, struct timespec *out)
{
    nsec_t now = clock_now(), left = end > now ? end - now : 0;
    out->tv_sec = (time_t)(left / NSEC_PER_SEC);
    out->tv_nsec = (long)(left % NSEC_PER_SEC);
    return out;
}

/* Delivery: the program gets its deferred signal, with the siginfo of the first one. */
static int hand_over(int sig, siginfo_t *info)
{
    int forward = config.forward ? config.forward : sig;
    if (info && deferred.has_info)
        memcpy(info, deferred.info, sizeof deferred.info);
    if (info)
        info->si_signo = forward;
    return forward;
}

int hook_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    siginfo_t own;
    struct timespec left;
    self_settle();
    nsec_t end = timeout ? clock_now() + nsec(timeout) : 0;
    for (;;) {
        unsigned runs = hook_runs();
        siginfo_t *to = info ? info : &own;
        int sig = real.sigtimedwait(set, to, timeout);
        if (sig > 0 && signal_is_held(sig)) {
            dispositions_note_waited(sig);
            if (shim_signal(sig, to))
                return hand_over(sig, info);
        } else if (sig > 0 || !hook_interrupted(runs)) {
            return sig;
        }
        if (timeout)
            timeout = left_until(end, &left);
    }
}

int hook_sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    return hook_sigtimedwait(set, info, NULL);
}

int hook_sigwait(const sigset_t *set, int *sig)
{
    for (;;) {
        /* sigwait returns the error and never EINTR (sigwait(3)). */
        int saved = *libc_errno(), got = hook_sigtimedwait(set, NULL, NULL), err = *libc_errno();
        *libc_errno() = saved;
        if (got > 0) {
            *sig = got;
            return 0;
        }
        if (err != EINTR)
            return err;
    }
}

int hook_sigsuspend(const sigset_t *mask)
{
    self_settle();
    for (;;) {
        unsigned runs = hook_runs();
        int ret = real.sigsuspend(mask);
        if (!hook_interrupted(runs))
            return ret;
    }
}

int hook_signalfd(int fd, const sigset_t *mask, int flags)
{
    int ret = real.signalfd(fd, mask, flags);
    if (ret >= 0 && !self_off())
        slots_mark(ret, SPECIAL_SIGNALFD);
    return ret;
}

/* Take the drain signals out of what was read. Returns the bytes that stay. */
static size_t take_deferred(struct signalfd_siginfo *record, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n / sizeof *record; i++) {
        siginfo_t info;
        struct signalfd_siginfo *r = &record[i];
        memset(&info, 0, sizeof info);
        info.si_signo = (int)r->ssi_signo;
        info.si_code = r->ssi_code;
        info.si_pid = (pid_t)r->ssi_pid;
        info.si_uid = r->ssi_uid;
        if (r->ssi_code == SI_TIMER || r->ssi_code == SI_QUEUE)
            info.si_value.sival_ptr = (void *)(uintptr_t)r->ssi_ptr;
        if (signal_is_held((int)r->ssi_signo)) {
            dispositions_note_waited((int)r->ssi_signo);
            if (!shim_signal((int)r->ssi_signo, &info))
                continue;
            siginfo_t first;
            memset(&first, 0, sizeof first);
            r->ssi_signo = (uint32_t)hand_over((int)r->ssi_signo, &first);
            r->ssi_code = first.si_code;
            r->ssi_pid = (uint32_t)first.si_pid;
            r->ssi_uid = (uint32_t)first.si_uid;
            r->ssi_ptr = (uint64_t)(uintptr_t)first.si_value.sival_ptr;
            r->ssi_int = first.si_value.sival_int;
        }
        record[kept++] = *r;
    }
    return kept * sizeof *record;
}

ssize_t hook_read_signalfd(int fd, void *buf, size_t n)
{
    for (;;) {
        unsigned runs = hook_runs();
        ssize_t got = real.read(fd, buf, n);
        if (got < 0 && hook_interrupted(runs))
            continue;
        if (got < (ssize_t)sizeof(struct signalfd_siginfo) || !self_armed())
            return got;
        size_t kept = take_deferred(buf, (size_t)got);
        if (kept > 0)
            return (ssize_t)kept;
        /* As if empty: a blocking descriptor blocks on, another one says so itself. */
    }
}
