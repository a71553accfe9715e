/* holders.c: what a fork has left shared: which processes hold it still. */
#include "lead.h"
#include "pump.h"

#include "sys/proc.h"

/* Whoever holds a listener is asked for once, and nobody else: the answer may take a moment. */
struct holder {
    uint64_t pid;
    enum kinship kin;
};

static enum kinship kin_of(struct holder *last, uint64_t pid)
{
    if (last->pid != pid)
        *last = (struct holder){pid, lead_means(pid)};
    return last->kin;
}

/* Process pid holds the socket with this inode. */
static void still_shared(uint64_t inode, uint64_t pid, void *last)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live && listeners.entry[i].inode == inode) {
            enum kinship kin = kin_of(last, pid);
            listeners.entry[i].held = true;
            listeners.entry[i].held_by_strangers |= kin != KIN;
            listeners.entry[i].undecided |= kin == MAYBE_KIN;
        }
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (c->live && conn_is_shared(c) && c->inode == inode)
            c->inode = 0;
    }
}

/* Is there anything that a fork may have shared? Notes the inodes to look for. */
static bool anything_shared(bool with_listeners, const struct conn *pinned)
{
    bool any = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        l->held = l->held_by_strangers = l->undecided = false;
        any = any || (with_listeners && l->live && !l->ignored && l->shared);
    }
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (!c->live || !conn_is_shared(c))
            continue;
        c->inode = 0;
        if (c == pinned) {
            c->inode = sock_inode(c->fd);
        } else if (conn_lock(&c->pin)) { /* else it is being closed */
            c->inode = conn_is_alive(c) ? sock_inode(c->fd) : 0;
            connections_unpin(c);
        }
        any = true;
    }
    return any;
}

static void judge_listeners(const struct proc_unseen *unseen)
{
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        /* Who has given it to us may be one of those who started us (systemd), and hold it still. */
        bool lent = l->given && unseen->ancestors;
        l->shared = l->shared && (l->held || unseen->kin || lent);
        l->foreign = l->shared && (l->held_by_strangers || lent);
    }
}

static void judge_connections(const struct proc_unseen *unseen)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n && !unseen->kin; i++) {
        struct conn *c = pool_at(&connections, i);
        if (c->live && conn_is_shared(c) && !conn_is_sent(c) && c->inode != 0)
            conn_own(c);
    }
}

void holders_look(bool with_listeners, const struct conn *pinned)
{
    struct proc_unseen unseen;
    struct holder last = {0, STRANGER};
    uint32_t forks = self_forks_done();
    if (!anything_shared(with_listeners, pinned) || !proc_foreign_sockets(lead_knows, still_shared, &last, &unseen))
        return;
    judge_listeners(&unseen);
    judge_connections(&unseen);
    if (self_forks_begun() != forks)
        fds_share_all(); /* one was not over, or has begun: the walk may have missed its child */
}
