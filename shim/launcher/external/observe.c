/* observe.c: see observe.h. */
#include "launcher/external/observe.h"

#include "launcher/host/array.h"
#include "launcher/host/clock.h"

#include <stdlib.h>

void observe_drop_cork(struct watch *w, struct visitor *v)
{
    w->farewells -= v->farewell.fd >= 0;
    farewell_drop(&v->farewell);
}

bool watch_family(struct watch *w)
{
    return process_sockets_read(&w->family, NULL, NULL);
}

static void add_visitor(const struct diag_socket *s, void *arg)
{
    struct watch *w = arg;
    struct visitors *v = &w->here;
    if (!doors_has(&w->doors, s))
        return;
    w->whole = w->whole && array_grow(&v->at, v->count, &v->room, sizeof *v->at);
    if (w->whole)
        v->at[v->count++].guest.now = *s;
}

static int by_cookie(const void *a, const void *b)
{
    const struct visitor *x = a, *y = b;
    return x->guest.now.cookie < y->guest.now.cookie ? -1 : x->guest.now.cookie > y->guest.now.cookie;
}

/* One whose inode was not seen before: whose is it? Where we may not look, its port has to tell. */
static void place(struct watch *w, struct visitor *v, bool *fresh)
{
    uint64_t inode = v->guest.now.inode;
    if (!inode || w->family.hidden > 0)
        return;
    if (!process_sockets_find(&w->family, inode) && !*fresh)
        *fresh = watch_family(w);
    const struct process_socket *holder = process_sockets_find(&w->family, inode);
    v->foreign = !holder;
    v->holder = holder ? holder->pid : 0;
}

/* It has left the program's hands. */
static void note_departure(struct watch *w, const struct visitor *v, const struct diag_socket *seen)
{
    if (!v->foreign && v->guest.now.state != DIAG_SYN_RECV)
        departed_add(&w->departed, &v->guest, v->holder, v->last.cookie ? &v->last : seen);
}

static int cookie_is(const void *key, const void *at)
{
    uint64_t cookie = *(const uint64_t *)key;
    const struct visitor *v = at;
    return cookie < v->guest.now.cookie ? -1 : cookie > v->guest.now.cookie;
}

void watch_ended(struct watch *w, const struct diag_socket *s)
{
    struct visitor *v =
        w->here.count ? bsearch(&s->cookie, w->here.at, w->here.count, sizeof *w->here.at, cookie_is) : NULL;
    if (v)
        v->last = *s;
    else if (!departed_ended(&w->departed, s) && w->looked)
        departed_unseen(&w->departed, s);
}

/* Whoever was here at the last look keeps what was learnt of it. Both lists are in order. */
static void recognise(struct watch *w, nsec_t now)
{
    bool fresh = false;
    const struct visitors *old = &w->before;
    for (unsigned i = 0, j = 0; i < w->here.count; i++) {
        struct visitor *v = &w->here.at[i];
        const struct diag_socket seen = v->guest.now;
        while (j < old->count && old->at[j].guest.now.cookie < seen.cookie)
            j++;
        bool known = j < old->count && old->at[j].guest.now.cookie == seen.cookie;
        if (known) {
            *v = old->at[j];
            if (v->guest.now.inode && !seen.inode)
                note_departure(w, v, seen.aged ? &seen : NULL);
            guest_see(&v->guest, &seen, now);
        } else {
            v->foreign = v->corked = false;
            v->farewell.fd = -1;
            v->holder = 0;
            v->last.cookie = 0;
            guest_meet(&v->guest, &seen, now);
            w->last_accept = w->looked ? now : w->last_accept;
        }
        if (!known || old->at[j].guest.now.inode != seen.inode)
            place(w, v, &fresh);
    }
}

static bool was_in_hand(const struct guest *g)
{
    bool queued = !g->now.inode && (g->now.state == DIAG_ESTABLISHED || g->now.state == DIAG_CLOSE_WAIT);
    return g->now.inode || queued;
}

/* Those that are no more. */
static void count_gone(struct watch *w)
{
    for (unsigned i = 0, j = 0; i < w->before.count; i++) {
        struct visitor *v = &w->before.at[i];
        const struct guest *g = &v->guest;
        while (j < w->here.count && w->here.at[j].guest.now.cookie < g->now.cookie)
            j++;
        if (j < w->here.count && w->here.at[j].guest.now.cookie == g->now.cookie)
            continue;
        observe_drop_cork(w, v);
        if (was_in_hand(g))
            note_departure(w, v, NULL);
        w->counts.idle_closed += g->let_go_at && !v->corked;
        w->counts.crossed += g->crossed;
        w->counts.served_late += g->asked;
    }
}

/* One port and one family can be asked for; of several, all that there is is looked through. */
static struct diag_wish wish_for(const struct doors *d)
{
    struct diag_wish wish = {.states = 1u << DIAG_ESTABLISHED | 1u << DIAG_SYN_RECV | 1u << DIAG_FIN_WAIT1 |
                                       1u << DIAG_FIN_WAIT2 | 1u << DIAG_CLOSE_WAIT | 1u << DIAG_LAST_ACK |
                                       1u << DIAG_CLOSING};
    bool first = true;
    for (unsigned i = 0; i < d->count; i++) {
        const struct diag_socket *s = &d->at[i].is;
        if (!d->at[i].ours)
            continue;
        wish.port = first || wish.port == s->local_port ? s->local_port : 0;
        wish.family = first || wish.family == s->family ? s->family : 0;
        first = false;
    }
    return wish;
}

bool watch_look(struct watch *w, nsec_t now)
{
    if (w->farewells > 0)
        watch_family(w);
    const struct diag_wish wish = wish_for(&w->doors);
    struct visitors last = w->here;
    w->here = w->before;
    w->before = last;
    w->here.count = 0;
    w->whole = true;
    w->looked_at = now;
    w->look_at = now + LOOK_MOST;
    if (!diag_ask(&wish, add_visitor, w) || !w->whole) {
        w->before = w->here;
        w->here = last;
        return false;
    }
    if (w->here.count > 1)
        qsort(w->here.at, w->here.count, sizeof *w->here.at, by_cookie);
    recognise(w, now);
    count_gone(w);
    departed_sift(&w->departed, w->root);
    w->looked = true;
    nsec_t pause = 19 * (clock_now() - now);
    w->look_at = now + (pause < LOOK_LEAST ? LOOK_LEAST : pause > LOOK_MOST ? LOOK_MOST : pause);
    return true;
}

void watch_free(struct watch *w)
{
    for (unsigned i = 0; i < w->here.count; i++)
        observe_drop_cork(w, &w->here.at[i]);
    free(w->here.at);
    free(w->before.at);
    departed_free(&w->departed);
    doors_free(&w->doors);
    process_sockets_free(&w->family);
}
