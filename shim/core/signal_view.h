/* signal_view.h: the dispositions that the program believes in while the kernel has our handler.
 *
 * Pure. One struct for the process; the caller serialises. Dispositions are in the kernel's form. */
#ifndef LASTCALL_SIGNAL_VIEW_H
#define LASTCALL_SIGNAL_VIEW_H

#include "base.h"

enum { SIGNAL_VIEW_MAX = 64, SIGNAL_VIEW_DEFAULT = 0, SIGNAL_VIEW_IGNORE = 1 };

struct ksigaction {    /* rt_sigaction(2), the kernel's own struct on x86_64 and aarch64 */
    uintptr_t handler; /* 0 default, 1 ignore, else a function */
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
};

struct signal_view {
    uint64_t held;                              /* signals (bit n) with a virtual view */
    struct ksigaction program[SIGNAL_VIEW_MAX]; /* what the program has set; meaningful if held */
};

/* Is this signal's disposition virtual? Any thread, any handler. */
static inline bool signal_view_holds(const struct signal_view *v, int sig)
{
    return sig > 0 && sig < SIGNAL_VIEW_MAX && (v->held >> sig & 1) != 0;
}

/* Begin: `kernel` is the disposition that the kernel has now. */
void signal_view_hold(struct signal_view *v, int sig, const struct ksigaction *kernel);

/* The program sets a disposition. True: our handler must (again) be in the kernel; false: the kernel must have the
 * program's own, for SIG_IGN is inherited by exec and begins no drain. */
bool signal_view_set(struct signal_view *v, int sig, const struct ksigaction *act);

/* End: the program's disposition, to be put into the kernel. */
struct ksigaction signal_view_release(struct signal_view *v, int sig);

#endif
