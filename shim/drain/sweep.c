/* sweep.c: connections on our ports that are not tracked, since no hook has seen them. */
#include "drain/scan.h"

#include "process/ownfd.h"
#include "process/stats.h"
#include "sys/net.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "track/connections.h"
#include "track/fds.h"
#include "track/slots.h"

#include <time.h>

/* Found a moment ago. Its inode tells whether the number is still that socket's. */
static void note_found(int fd)
{
    struct conn *c = pool_of_slot(&connections, slot_of(fd));
    if (fd_slot_kind(slot_of(fd)) != FD_CONN || !conn_lock(&c->pin))
        return;
    if (conn_is_alive(c) && c->opaque_reason == OPAQUE_FOUND) {
        c->inode = sock_inode(fd);
        conn_report_set(c, CONN_JUST_FOUND);
    }
    connections_unpin(c);
}

static void adopt_unknown(int fd, void *any)
{
    fds_find_delegated(fd);
    if (slot_of(fd) != 0 || ownfd_has(fd) || !fds_find(fd))
        return;
    note_found(fd);
    *(bool *)any = true;
}

/* A close forgets the descriptor before it happens: then this one was about to go. */
static void keep_if_open(struct conn *c)
{
    if (!conn_lock(&c->pin)) /* it is being closed */
        return;
    int fd = c->fd;
    uint32_t slot = fd_slot_make(FD_CONN, c->index);
    bool alive = conn_is_alive(c), stays = alive && c->inode != 0 && sock_inode(fd) == c->inode;
    c->inode = 0;
    connections_unpin(c);
    if (stays)
        stats.counts.untracked++;
    else if (alive && slot_of(fd) == slot)
        fds_forget(fd);
}

/* All are noted, one moment passes for all of them, all are compared. */
void sweep_descriptors(void)
{
    const struct timespec moment = {0, 1000 * 1000};
    bool any = false;
    proc_own_descriptors(adopt_unknown, &any);
    if (!any)
        return;
    sys2(SYS_nanosleep, &moment, 0);
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (c->live && conn_report_has(c, CONN_JUST_FOUND)) {
            conn_report_clear(c, CONN_JUST_FOUND);
            keep_if_open(c);
        }
    }
}
