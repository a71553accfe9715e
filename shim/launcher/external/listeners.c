/* listeners.c: see listeners.h. Facts: DESIGN section 5. */
#include "launcher/external/listeners.h"

#include "launcher/host/array.h"
#include "sys/net.h"
#include "sys/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static bool same_place(const struct diag_socket *a, const struct diag_socket *b)
{
    return a->local_port == b->local_port && a->family == b->family && memcmp(a->local, b->local, sizeof a->local) == 0;
}

struct finding {
    struct listeners *listeners;
    bool mptcp, whole;
};

static bool is_known(const struct listeners *d, const struct diag_socket *s)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].mptcp && same_place(&d->at[i].diag, s))
            return true;
    return false;
}

/* MPTCP's come first: each of them has a TCP listener of the kernel's own below it, which cannot be taken or
 * stopped. */
static void add_listener(const struct diag_socket *s, void *arg)
{
    struct finding *f = arg;
    struct listeners *d = f->listeners;
    if (!f->whole || (!f->mptcp && is_known(d, s)))
        return;
    f->whole = array_grow(&d->at, d->count, &d->room, sizeof *d->at);
    if (f->whole)
        d->at[d->count++] = (struct listener){.diag = *s, .mptcp = f->mptcp};
}

static void mark_shared(const struct process_socket *s, void *arg)
{
    struct listeners *d = arg;
    for (unsigned i = 0; i < d->count; i++)
        d->at[i].shared = d->at[i].shared || d->at[i].diag.inode == s->inode;
}

/* A process that the launcher cannot see may hold a listener too. A listener that the program made can only be held
 * by its own descendants; an inherited listener is also held by the process that passed it on, which is not drained. */
static bool was_given(void)
{
    return getenv("LISTEN_FDS") != NULL;
}

/* An unprivileged launcher may not read the descriptors of a setuid program. Then a listener belongs to the program
 * if LASTCALL_LISTEN names the listener, and no other process is seen to hold it. */
static bool is_ours(const struct listener *d, const struct process_sockets *t, const struct options *o)
{
    return process_sockets_find(t, d->diag.inode) || (t->hidden > 0 && o->listen_count > 0 && !d->shared);
}

bool listeners_find(struct listeners *d, struct process_sockets *t, const struct options *o)
{
    struct finding f = {d, true, true};
    struct diag_wish wish = {.states = 1u << DIAG_LISTEN, .mptcp = true};
    sock_diag_ask(&wish, add_listener, &f); /* a kernel without MPTCP has none */
    f.mptcp = wish.mptcp = false;
    if (!sock_diag_ask(&wish, add_listener, &f) || !f.whole || !process_sockets_read(t, mark_shared, d))
        return false;
    for (unsigned i = 0; i < d->count; i++) {
        struct listener *one = &d->at[i];
        one->ours =
            is_ours(one, t, o) && options_listens(o, one->diag.family, one->diag.local_port, one->diag.local, NULL, 0);
        one->shared = one->shared || was_given();
    }
    d->unknown = t->hidden > 0 && o->listen_count == 0;
    return true;
}

unsigned listeners_count_ours(const struct listeners *d)
{
    unsigned ours = 0;
    for (unsigned i = 0; i < d->count; i++)
        ours += d->at[i].ours;
    return ours;
}

static bool is_listener(const struct listeners *d, uint64_t inode)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].ours && d->at[i].diag.inode == inode)
            return true;
    return false;
}

/* Among the first n sockets of the family. */
static bool serves(const struct listeners *d, const struct process_sockets *t, unsigned n, int pid)
{
    for (unsigned i = 0; i < n; i++)
        if (t->at[i].pid == pid && is_listener(d, t->at[i].inode))
            return true;
    return false;
}

static bool has_serving_ancestor(const struct listeners *d, const struct process_sockets *t, int pid)
{
    for (int parent = proc_parent(pid); parent > 1; parent = proc_parent(parent))
        if (serves(d, t, t->count, parent))
            return true;
    return false;
}

void listeners_each_server(const struct listeners *d, const struct process_sockets *t, void (*f)(int pid, void *arg),
                           void *arg)
{
    for (unsigned i = 0; i < t->count; i++) {
        int pid = t->at[i].pid;
        if (is_listener(d, t->at[i].inode) && !serves(d, t, i, pid) && !has_serving_ancestor(d, t, pid))
            f(pid, arg);
    }
}

static bool is_any(const struct diag_socket *s)
{
    static const uint8_t any[16];
    return memcmp(s->local, any, s->family == 4 ? 4 : 16) == 0;
}

/* A listener of [::] may have connections of both families, those of IPv4 mapped. */
static bool leads_to(const struct diag_socket *listener, const struct diag_socket *s)
{
    if (listener->local_port != s->local_port)
        return false;
    return is_any(listener) || same_place(listener, s);
}

bool listeners_has(const struct listeners *d, const struct diag_socket *connection)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->at[i].ours && leads_to(&d->at[i].diag, connection))
            return true;
    return false;
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

/* All listeners of a SO_REUSEPORT group are stopped, or none: while one listener accepts, the kernel still chooses
 * the stopped listeners for their share of the SYNs, and drops those SYNs silently. */
static bool group_may_be_stopped(const struct listeners *d, const struct listener *one)
{
    for (unsigned i = 0; i < d->count; i++)
        if (same_place(&d->at[i].diag, &one->diag) && (!d->at[i].ours || d->at[i].shared))
            return false;
    return true;
}

/* All listeners of a reuseport group must be available to the launcher before the first of them is stopped. */
static int can_take_group(const struct listeners *d, const struct listener *one, const struct process_sockets *t)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (!same_place(&d->at[i].diag, &one->diag))
            continue;
        const struct process_socket *s = process_sockets_find(t, d->at[i].diag.inode);
        int fd = s ? process_sockets_take(s) : -EPERM;
        if (fd < 0)
            return fd;
        close(fd);
    }
    return 0;
}

static int stop_accepting(struct listeners *d, struct listener *one, const struct process_sockets *t)
{
    int fd = process_sockets_take(process_sockets_find(t, one->diag.inode));
    if (fd < 0)
        return fd;
    const char *how = "so_bindtoifindex";
    int err = sock_hide(fd);
    if (err == -EPERM || err == -ENOPROTOOPT) { /* an older kernel */
        how = "syn_filter";
        err = sock_drop_syns(fd);
    }
    close(fd);
    if (err == 0) {
        d->accept_stop = how;
        one->stopped = true;
    }
    return err;
}

void listeners_stop_accepting(struct listeners *d, const struct process_sockets *t)
{
    d->accept_stop = NULL;
    d->error = 0;
    for (unsigned i = 0; i < d->count; i++) {
        struct listener *one = &d->at[i];
        if (!one->ours)
            continue;
        if (!group_may_be_stopped(d, one)) {
            d->accept_stop = d->accept_stop ? d->accept_stop : "left_to_others";
            continue;
        }
        int err = can_take_group(d, one, t);
        if (err == 0)
            err = stop_accepting(d, one, t);
        if (err != 0 && err != -ESRCH)
            d->error = -err;
    }
}

void listeners_free(struct listeners *d)
{
    free(d->at);
    memset(d, 0, sizeof *d);
}
