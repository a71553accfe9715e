/* signal_repeat.c: see signal_repeat.h. */
#include "core/signal_repeat.h"

bool signal_repeat_ends(struct signal_repeat *r, int sig, nsec_t now)
{
    nsec_t first = 0;
    if (sig < 0 || sig >= SIGNAL_VIEW_MAX)
        return false;
    /* Of two threads that take the first two of a kind at once, one sees the other's. */
    if (__atomic_compare_exchange_n(&r->first[sig], &first, now, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return false;
    return now >= first + DRAIN_REPEAT;
}
