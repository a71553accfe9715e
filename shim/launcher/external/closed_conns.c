/* closed_conns.c: see closed_conns.h. */
#include "launcher/external/closed_conns.h"

#include "launcher/host/array.h"
#include "sys/proc.h"

#include <stdlib.h>
#include <string.h>

static enum activity_loss loss(const struct closed_conn *one)
{
    return activity_loss(&one->activity, one->known ? &one->last : &one->activity.now);
}

void closed_conns_add(struct closed_conns *d, const struct activity *a, int holder, const struct diag_socket *seen)
{
    if (!array_grow(&d->at, d->count, &d->room, sizeof *d->at))
        return;
    struct closed_conn *one = &d->at[d->count++];
    *one = (struct closed_conn){.activity = *a, .holder = holder, .known = seen != NULL, .fresh = true};
    if (seen)
        one->last = *seen;
}

bool closed_conns_set_final(struct closed_conns *d, const struct diag_socket *s)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->at[i].activity.now.cookie != s->cookie)
            continue;
        d->at[i].last = *s;
        d->at[i].known = true;
        return true;
    }
    return false;
}

void closed_conns_add_unseen(struct closed_conns *d, const struct diag_socket *s)
{
    struct activity a = {.now = *s};
    bool answered = s->acked + s->unsent > 1; /* a FIN counts as one */
    if (answered)
        return;
    a.now.inode = 1; /* a process held the connection: it was not left in the accept queue */
    a.now.received = a.now.acked = a.now.unsent = a.now.unread = 0;
    closed_conns_add(d, &a, 0, s);
}

/* A connection that was closed unanswered by a running process is kept: holders are read seldom, so another process
 * may have held the connection when it was closed. */
void closed_conns_forget_settled(struct closed_conns *d, int root)
{
    unsigned kept = 0;
    bool root_ends = d->count > 0 && proc_is_ending(root);
    for (unsigned i = 0; i < d->count; i++) {
        struct closed_conn *one = &d->at[i];
        if (one->fresh)
            one->died = one->holder && one->holder != root ? proc_is_ending(one->holder) : root_ends;
        one->fresh = false;
        if (root_ends || loss(one) == LOSS_UNANSWERED)
            d->at[kept++] = *one;
    }
    d->count = kept;
}

bool closed_conns_awaits_final(const struct closed_conns *d)
{
    for (unsigned i = 0; i < d->count; i++)
        if (!d->at[i].known)
            return true;
    return false;
}

bool closed_conns_was_aborted(const struct closed_conn *one, enum program_end why)
{
    switch (loss(one)) {
    case LOSS_NONE: return false;
    case LOSS_ANSWERED: return why == PROGRAM_KILLED;
    case LOSS_MAYBE: return why != PROGRAM_LIVES;
    case LOSS_UNANSWERED: break;
    }
    return why != PROGRAM_LIVES || one->died;
}

void closed_conns_free(struct closed_conns *d)
{
    free(d->at);
    memset(d, 0, sizeof *d);
}
