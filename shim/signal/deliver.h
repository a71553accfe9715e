/* deliver.h: the delivery of a drain signal to the program. */
#ifndef LASTCALL_SIGNAL_DELIVER_H
#define LASTCALL_SIGNAL_DELIVER_H

#include "process/config.h"
#include "process/deferred.h"

#include <signal.h>

/* The signal that is delivered for the deferred one: while requests are in flight (in the phase DRAIN_GUARDING), and
 * when all is done. nginx ends at once by TERM, and lets its requests end by QUIT. */
static inline int deliver_for_shutdown(void)
{
    return config.forward ? config.forward : config.shutdown_signal ? config.shutdown_signal : deferred.pending_signal;
}

static inline int deliver_which(void)
{
    if (deferred_phase() == DRAIN_GUARDING)
        return deliver_for_shutdown();
    return config.forward ? config.forward : deferred.pending_signal;
}

/* In our handler of sig, with its context (NULL: elsewhere): give the program its dispositions, and the signal that is
 * deferred for it, in the thread that the kernel has picked: the kernel delivers it, with all of its flags, as our
 * handler returns. False: it was delivered by hand, or not at all. */
bool deliver_here(int sig, void *context);

/* In our handler of sig, where nothing is deferred: the signal passes as it came. False: likewise. */
bool deliver_as_it_came(int sig, siginfo_t *info, void *context);

/* In our handler of sig, in a child between fork and exec, which has nothing to drain: exec forgets a deferred
 * signal, so the child gets the signal now, as without lastcall. The memory may be the parent's (vfork): only the
 * kernel's table is touched. */
void deliver_before_exec(int sig, siginfo_t *info, void *context);

/* This thread is about to exec in the middle of a drain: the deferred signal is made pending, since pending signals
 * survive an exec (execve(2)), and blocked until then. Returns the signal; 0: none. *mask: the thread's before. */
int deliver_over_exec(uint64_t *mask);
/* The signal that the new program has to unblock; 0: none, or the program itself has blocked it. */
static inline int deliver_to_unblock(int sig, uint64_t mask)
{
    return sig != 0 && (mask >> (sig - 1) & 1) == 0 ? sig : 0;
}
/* The exec has failed: the signal is deferred as before. */
void deliver_exec_failed(int sig, uint64_t mask);

/* Deliver the deferred signal, if there is one, to this thread, now. */
void deliver_deferred(void);

#endif
