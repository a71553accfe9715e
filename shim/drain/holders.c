/* holders.c: what a fork has left shared: which processes hold it still. */
#include "drain/holders.h"

#include "core/inode_index.h"
#include "drain/exit_guard.h"
#include "group/coordinator.h"
#include "group/membership.h"
#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/self.h"
#include "sys/map.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "track/connections.h"
#include "track/fds.h"

#include <time.h>

/* A worker that holds our listener and has not shown yet that it serves, because it still starts, has so long to show
 * it, or a quarter of the time that there is. Meanwhile the others serve on. */
#define PATIENCE NSEC_PER_SEC

static bool looked; /* into /proc, for this drain's listeners */

/* The connections that are looked for, by their inodes: there may be as many sockets in other processes as connections
 * here. entry NULL: they are few, or there is no memory. */
static struct inode_index wanted;

/* The process that was judged last. membership_of may take a moment: it is asked once for a process that holds a
 * listener, and not at all for any other. */
struct holder {
    uint64_t pid;
    enum membership membership;
};

static enum membership holder_membership(struct holder *last, uint64_t pid)
{
    if (last->pid != pid)
        *last = (struct holder){pid, membership_of(pid)};
    return last->membership;
}

static void connection_is_held(uint64_t inode)
{
    if (wanted.entry) {
        for (uint32_t at = INODE_INDEX_NONE, i; (i = inode_index_next(&wanted, inode, &at)) != INODE_INDEX_NONE;) {
            struct conn *c = pool_at(&connections, i);
            if (c->inode == inode)
                c->inode = 0;
        }
        return;
    }
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (c->live && conn_is_shared(c) && c->inode == inode)
            c->inode = 0;
    }
}

/* Process pid holds the socket with this inode. */
static void still_shared(uint64_t inode, uint64_t pid, void *last)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].inode == inode) {
            enum membership what = holder_membership(last, pid);
            listeners.entry[i].held = true;
            listeners.entry[i].held_by_external |= what != MEMBERSHIP_MEMBER;
            listeners.entry[i].held_by_unknown |= what == MEMBERSHIP_UNKNOWN;
        }
    connection_is_held(inode);
}

static size_t make_index(void)
{
    enum { FEW = 64 };
    uint32_t count = 0;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++)
        count += pool_at(&connections, i)->live && conn_is_shared(pool_at(&connections, i));
    size_t size = inode_index_size(count);
    void *memory = count > FEW ? map_zeroed(size) : NULL;
    wanted.entry = NULL;
    if (memory)
        inode_index_init(&wanted, memory, count);
    return size;
}

static void note_inode(struct conn *c, const struct conn *pinned)
{
    c->inode = 0;
    if (c == pinned) {
        c->inode = sock_inode(c->fd);
    } else if (conn_lock(&c->pin)) { /* else it is being closed */
        c->inode = conn_is_alive(c) ? sock_inode(c->fd) : 0;
        connections_unpin(c);
    }
    /* One more than were counted: it stays shared until the next look. */
    if (wanted.entry && c->inode != 0 && !inode_index_add(&wanted, c->inode, c->index))
        c->inode = 0;
}

/* Is there anything that a fork may have shared? Notes the inodes to look for. */
static bool anything_shared(bool with_listeners, const struct conn *pinned)
{
    bool any = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        l->held = l->held_by_external = l->held_by_unknown = false;
        any = any || (with_listeners && l->live && !l->ignored && l->shared);
    }
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!c->live || !conn_is_shared(c))
            continue;
        note_inode(c, pinned);
        any = true;
    }
    return any;
}

static void judge_listeners(const struct proc_unseen *unseen)
{
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        /* The process that passed the listener may be an ancestor (systemd) that still holds it. */
        bool by_ancestor = l->inherited && unseen->ancestors;
        l->shared = l->shared && (l->held || unseen->members || by_ancestor);
        l->external = l->shared && (l->held_by_external || by_ancestor);
    }
}

static void judge_connections(const struct proc_unseen *unseen)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n && !unseen->members && !unseen->helpers; i++) {
        struct conn *c = pool_at(&connections, i);
        if (c->live && conn_is_shared(c) && !conn_is_sent(c) && c->inode != 0)
            conn_own(c);
    }
}

void holders_look(bool with_listeners, const struct conn *pinned)
{
    struct proc_unseen unseen;
    struct holder last = {0, MEMBERSHIP_EXTERNAL};
    uint32_t forks = self_forks_done();
    size_t size = make_index();
    bool looked_at_all = anything_shared(with_listeners, pinned) &&
                         proc_other_sockets(membership_of_unseen, still_shared, &last, &unseen);
    if (wanted.entry)
        map_free(wanted.entry, size);
    if (!looked_at_all)
        return;
    judge_listeners(&unseen);
    judge_connections(&unseen);
    if (self_forks_begun() != forks)
        fds_share_all(); /* a fork was not over, or has begun: the walk may have missed its child */
}

/* ---- listeners: do only members hold them? ----------------------------------------------------------------------- */

void holders_begin(void)
{
    looked = false;
}

static bool is_any_unknown(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].external && listeners.entry[i].held_by_unknown)
            return true;
    return false;
}

static void nap(nsec_t time)
{
    const struct timespec moment = {0, (long)time};
    sys2(SYS_nanosleep, &moment, 0);
}

/* No client is refused meanwhile: the listeners still accept. Only the drain thread decides which process is
 * external, by its own scans: a fork in the middle of this makes no process external. Another signal, or an exit,
 * ends the wait. */
static void look_who_holds(void)
{
    enum { OFTEN = 30, THEN_MS = 20 };
    nsec_t most = config.timeout && config.timeout / 4 < PATIENCE ? config.timeout / 4 : PATIENCE;
    nsec_t until = clock_now() + most;
    unsigned signals = __atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < listeners.used; i++)
        listeners.entry[i].external = listeners.entry[i].shared;
    holders_look(true, NULL);
    for (int i = 0; is_any_unknown() && clock_now() < until; i++) {
        if (__atomic_load_n(&deferred.signals, __ATOMIC_ACQUIRE) != signals || exit_guard_waits())
            return;
        nap(i < OFTEN ? NSEC_PER_MSEC : THEN_MS * NSEC_PER_MSEC);
        holders_look(true, NULL);
    }
}

/* We may be the process that other members waited for in vain, and took for an external one. */
static bool may_know_better(const struct member *self)
{
    return (__atomic_load_n(&self->flags, __ATOMIC_ACQUIRE) & MEMBER_EXECED) != 0;
}

void holders_decide(struct listener *l)
{
    const struct member *self = group_self();
    uint32_t serial = coordinator_serial();
    enum group_holders known =
        coordinator_is_other() ? group_table_holders(group.table, l->inode, serial) : HOLDERS_UNKNOWN;
    if (known == HOLDERS_MEMBERS || (known == HOLDERS_EXTERNAL && !may_know_better(self))) {
        l->external = known == HOLDERS_EXTERNAL;
        return;
    }
    if (!looked)
        look_who_holds();
    looked = true;
    if (known == HOLDERS_EXTERNAL && !l->external)
        group_table_clear_external(group.table, l->inode, serial);
    else if (self)
        group_table_set_holders(group.table, l->inode, serial, !l->external);
}
