/* closed_conns.c: see closed_conns.h. */
#include "launcher/external/closed_conns.h"

#include "launcher/host/array.h"
#include "sys/proc.h"

#include <stdlib.h>
#include <string.h>

static enum guest_loss loss(const struct departed *one)
{
    return guest_loss(&one->guest, one->known ? &one->last : &one->guest.now);
}

void departed_add(struct departures *d, const struct guest *g, int holder, const struct diag_socket *seen)
{
    if (!array_grow(&d->at, d->count, &d->room, sizeof *d->at))
        return;
    struct departed *one = &d->at[d->count++];
    *one = (struct departed){.guest = *g, .holder = holder, .known = seen != NULL, .fresh = true};
    if (seen)
        one->last = *seen;
}

bool departed_ended(struct departures *d, const struct diag_socket *s)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->at[i].guest.now.cookie != s->cookie)
            continue;
        d->at[i].last = *s;
        d->at[i].known = true;
        return true;
    }
    return false;
}

void departed_unseen(struct departures *d, const struct diag_socket *s)
{
    struct guest g = {.now = *s};
    bool answered = s->acked + s->unsent > 1; /* a FIN counts as one */
    if (answered)
        return;
    g.now.inode = 1; /* somebody's: it was not left in the accept queue */
    g.now.received = g.now.acked = g.now.unsent = g.now.unread = 0;
    departed_add(d, &g, 0, s);
}

/* One that was closed unanswered by a process that lives stays: who holds what is asked seldom, and it may have been in
 * another's hands. */
void departed_sift(struct departures *d, int root)
{
    unsigned kept = 0;
    bool root_ends = d->count > 0 && proc_is_ending(root);
    for (unsigned i = 0; i < d->count; i++) {
        struct departed *one = &d->at[i];
        if (one->fresh)
            one->died = one->holder && one->holder != root ? proc_is_ending(one->holder) : root_ends;
        one->fresh = false;
        if (root_ends || loss(one) == LOSS_UNANSWERED)
            d->at[kept++] = *one;
    }
    d->count = kept;
}

bool departed_waits(const struct departures *d)
{
    for (unsigned i = 0; i < d->count; i++)
        if (!d->at[i].known)
            return true;
    return false;
}

bool departed_was_cut(const struct departed *one, enum departed_why why)
{
    switch (loss(one)) {
    case LOSS_NONE: return false;
    case LOSS_ANSWERED: return why == DEPARTED_BY_SIGNAL;
    case LOSS_MAYBE: return why != DEPARTED_IN_PEACE;
    case LOSS_UNANSWERED: break;
    }
    return why != DEPARTED_IN_PEACE || one->died;
}

void departed_free(struct departures *d)
{
    free(d->at);
    memset(d, 0, sizeof *d);
}
