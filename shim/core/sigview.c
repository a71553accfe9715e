/* sigview.c: see sigview.h. */
#include "core/sigview.h"

/* SIGKILL and SIGSTOP: the kernel takes them out of every mask (do_sigaction). */
#define UNBLOCKABLE ((uint64_t)1 << (9 - 1) | (uint64_t)1 << (19 - 1))

void sigview_hold(struct sigview *v, int sig, const struct ksigaction *kernel)
{
    v->program[sig] = *kernel;
    v->held |= (uint64_t)1 << sig;
}

bool sigview_set(struct sigview *v, int sig, const struct ksigaction *act)
{
    v->program[sig] = *act;
    v->program[sig].mask &= ~UNBLOCKABLE;
    return act->handler != SIGVIEW_IGNORE;
}

struct ksigaction sigview_release(struct sigview *v, int sig)
{
    v->held &= ~((uint64_t)1 << sig);
    return v->program[sig];
}
