/* signal_view.c: see signal_view.h. */
#include "core/signal_view.h"

/* SIGKILL and SIGSTOP: the kernel takes them out of every mask (do_sigaction). */
#define UNBLOCKABLE ((uint64_t)1 << (9 - 1) | (uint64_t)1 << (19 - 1))

void signal_view_hold(struct signal_view *v, int sig, const struct ksigaction *kernel)
{
    v->program[sig] = *kernel;
    v->held |= (uint64_t)1 << sig;
}

bool signal_view_set(struct signal_view *v, int sig, const struct ksigaction *act)
{
    v->program[sig] = *act;
    v->program[sig].mask &= ~UNBLOCKABLE;
    return act->handler != SIGNAL_VIEW_IGNORE;
}

struct ksigaction signal_view_release(struct signal_view *v, int sig)
{
    v->held &= ~((uint64_t)1 << sig);
    return v->program[sig];
}
