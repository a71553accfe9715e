/* sigview.c: see sigview.h. */
#include "sigview.h"

void sigview_hold(struct sigview *v, int sig, const struct ksigaction *kernel)
{
    v->program[sig] = *kernel;
    v->held |= (uint64_t)1 << sig;
}

bool sigview_set(struct sigview *v, int sig, const struct ksigaction *act)
{
    v->program[sig] = *act;
    return act->handler != SIGVIEW_IGNORE;
}

struct ksigaction sigview_release(struct sigview *v, int sig)
{
    v->held &= ~((uint64_t)1 << sig);
    return v->program[sig];
}
