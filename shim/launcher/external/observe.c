/* observe.c: see observe.h. */
#include "launcher/external/observe.h"

#include "launcher/host/array.h"
#include "launcher/host/clock.h"

#include <stdlib.h>

void observe_drop_cork(struct observer *o, struct observed_conn *conn)
{
    o->corks -= conn->cork.fd >= 0;
    cork_close_cancel(&conn->cork);
}

bool observe_sockets(struct observer *o)
{
    return process_sockets_read(&o->sockets, NULL, NULL);
}

static void add_conn(const struct diag_socket *s, void *arg)
{
    struct observer *o = arg;
    struct observed_conns *list = &o->here;
    if (!listeners_has(&o->listeners, s))
        return;
    o->whole = o->whole && array_grow(&list->at, list->count, &list->room, sizeof *list->at);
    if (o->whole)
        list->at[list->count++].activity.now = *s;
}

static int by_cookie(const void *a, const void *b)
{
    const struct observed_conn *x = a, *y = b;
    return x->activity.now.cookie < y->activity.now.cookie ? -1 : x->activity.now.cookie > y->activity.now.cookie;
}

/* Finds the holder of a connection with a new inode. Where the holders' descriptors may not be read, the port alone
 * decides. */
static void place(struct observer *o, struct observed_conn *conn, bool *fresh)
{
    uint64_t inode = conn->activity.now.inode;
    if (!inode || o->sockets.hidden > 0)
        return;
    if (!process_sockets_find(&o->sockets, inode) && !*fresh)
        *fresh = observe_sockets(o);
    const struct process_socket *holder = process_sockets_find(&o->sockets, inode);
    conn->external = !holder;
    conn->holder = holder ? holder->pid : 0;
}

/* The program no longer holds the connection. */
static void note_closed(struct observer *o, const struct observed_conn *conn, const struct diag_socket *seen)
{
    if (!conn->external && conn->activity.now.state != DIAG_SYN_RECV)
        closed_conns_add(&o->closed, &conn->activity, conn->holder, conn->last.cookie ? &conn->last : seen);
}

static int cookie_is(const void *key, const void *at)
{
    uint64_t cookie = *(const uint64_t *)key;
    const struct observed_conn *conn = at;
    return cookie < conn->activity.now.cookie ? -1 : cookie > conn->activity.now.cookie;
}

void observe_ended(struct observer *o, const struct diag_socket *s)
{
    struct observed_conn *conn =
        o->here.count ? bsearch(&s->cookie, o->here.at, o->here.count, sizeof *o->here.at, cookie_is) : NULL;
    if (conn)
        conn->last = *s;
    else if (!closed_conns_set_final(&o->closed, s) && o->looked)
        closed_conns_add_unseen(&o->closed, s);
}

/* A connection that was there at the last scan keeps its history. Both lists are sorted by cookie. */
static void recognise(struct observer *o, nsec_t now)
{
    bool fresh = false;
    const struct observed_conns *old = &o->before;
    for (unsigned i = 0, j = 0; i < o->here.count; i++) {
        struct observed_conn *conn = &o->here.at[i];
        const struct diag_socket seen = conn->activity.now;
        while (j < old->count && old->at[j].activity.now.cookie < seen.cookie)
            j++;
        bool known = j < old->count && old->at[j].activity.now.cookie == seen.cookie;
        if (known) {
            *conn = old->at[j];
            if (conn->activity.now.inode && !seen.inode)
                note_closed(o, conn, seen.aged ? &seen : NULL);
            activity_update(&conn->activity, &seen, now);
        } else {
            conn->external = conn->corked = false;
            conn->cork.fd = -1;
            conn->holder = 0;
            conn->last.cookie = 0;
            activity_begin(&conn->activity, &seen, now);
            o->last_accept = o->looked ? now : o->last_accept;
        }
        if (!known || old->at[j].activity.now.inode != seen.inode)
            place(o, conn, &fresh);
    }
}

static bool was_in_hand(const struct activity *a)
{
    bool queued = !a->now.inode && (a->now.state == DIAG_ESTABLISHED || a->now.state == DIAG_CLOSE_WAIT);
    return a->now.inode || queued;
}

/* Counts the connections of the last scan that are gone. */
static void count_gone(struct observer *o)
{
    for (unsigned i = 0, j = 0; i < o->before.count; i++) {
        struct observed_conn *conn = &o->before.at[i];
        const struct activity *a = &conn->activity;
        while (j < o->here.count && o->here.at[j].activity.now.cookie < a->now.cookie)
            j++;
        if (j < o->here.count && o->here.at[j].activity.now.cookie == a->now.cookie)
            continue;
        observe_drop_cork(o, conn);
        if (was_in_hand(a))
            note_closed(o, conn, NULL);
        o->counts.idle_closed += a->read_shut_at && !conn->corked;
        o->counts.late_data += a->late_data;
        o->counts.served_after_signal += a->requests;
    }
}

/* A query can name one port and one family; with several ports or families the query lists all. */
static struct diag_wish wish_for(const struct listeners *d)
{
    struct diag_wish wish = {.states = 1u << DIAG_ESTABLISHED | 1u << DIAG_SYN_RECV | 1u << DIAG_FIN_WAIT1 |
                                       1u << DIAG_FIN_WAIT2 | 1u << DIAG_CLOSE_WAIT | 1u << DIAG_LAST_ACK |
                                       1u << DIAG_CLOSING};
    bool first = true;
    for (unsigned i = 0; i < d->count; i++) {
        const struct diag_socket *s = &d->at[i].diag;
        if (!d->at[i].ours)
            continue;
        wish.port = first || wish.port == s->local_port ? s->local_port : 0;
        wish.family = first || wish.family == s->family ? s->family : 0;
        first = false;
    }
    return wish;
}

bool observe_connections(struct observer *o, nsec_t now)
{
    if (o->corks > 0)
        observe_sockets(o);
    const struct diag_wish wish = wish_for(&o->listeners);
    struct observed_conns last = o->here;
    o->here = o->before;
    o->before = last;
    o->here.count = 0;
    o->whole = true;
    o->looked_at = now;
    o->look_at = now + OBSERVE_MOST;
    if (!sock_diag_ask(&wish, add_conn, o) || !o->whole) {
        o->before = o->here;
        o->here = last;
        return false;
    }
    if (o->here.count > 1)
        qsort(o->here.at, o->here.count, sizeof *o->here.at, by_cookie);
    recognise(o, now);
    count_gone(o);
    closed_conns_forget_settled(&o->closed, o->root);
    o->looked = true;
    nsec_t pause = 19 * (clock_now() - now);
    o->look_at = now + (pause < OBSERVE_LEAST ? OBSERVE_LEAST : pause > OBSERVE_MOST ? OBSERVE_MOST : pause);
    return true;
}

void observe_free(struct observer *o)
{
    for (unsigned i = 0; i < o->here.count; i++)
        observe_drop_cork(o, &o->here.at[i]);
    free(o->here.at);
    free(o->before.at);
    closed_conns_free(&o->closed);
    listeners_free(&o->listeners);
    process_sockets_free(&o->sockets);
}
