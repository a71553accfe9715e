/* sigview.h: what the program believes of its signals while ours is the handler in the kernel.
 *
 * Pure. One struct for the process; the caller serialises. Dispositions are in the kernel's form. */
#ifndef LASTCALL_SIGVIEW_H
#define LASTCALL_SIGVIEW_H

#include "base.h"

enum { SIGVIEW_MAX = 64, SIGVIEW_DEFAULT = 0, SIGVIEW_IGNORE = 1 };

struct ksigaction {    /* rt_sigaction(2), the kernel's own struct on x86_64 and aarch64 */
    uintptr_t handler; /* 0 default, 1 ignore, else a function */
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
};

struct sigview {
    uint64_t held;                          /* signals (bit n) whose view is virtual */
    struct ksigaction program[SIGVIEW_MAX]; /* what the program has set; meaningful if held */
};

/* Is this signal's disposition virtual? Any thread, any handler. */
static inline bool sigview_holds(const struct sigview *v, int sig)
{
    return sig > 0 && sig < SIGVIEW_MAX && (v->held >> sig & 1) != 0;
}

/* Begin: the kernel says this is the disposition now. */
void sigview_hold(struct sigview *v, int sig, const struct ksigaction *kernel);

/* The program sets a disposition. True: ours must (again) be in the kernel; false: the kernel must have
 * the program's own, for SIG_IGN is inherited by exec and is never drained. */
bool sigview_set(struct sigview *v, int sig, const struct ksigaction *act);

/* End: the program's disposition, to be put into the kernel. */
struct ksigaction sigview_release(struct sigview *v, int sig);

#endif
