/* sweep.c: connections on our ports that are not tracked, since no hook has seen them. */
#include "drain/scan.h"

#include "process/ownfd.h"
#include "process/stats.h"
#include "sys/net.h"
#include "sys/proc.h"
#include "sys/syscall.h"
#include "track/fds.h"
#include "track/slots.h"

#include <time.h>

/* A close forgets the descriptor before it happens: then this one is about to go. */
static bool stays_open(int fd)
{
    const struct timespec moment = {0, 1000 * 1000};
    uint64_t inode = sock_inode(fd);
    sys2(SYS_nanosleep, &moment, 0);
    return inode != 0 && sock_inode(fd) == inode;
}

static void adopt_unknown(int fd, void *unused)
{
    (void)unused;
    fds_find_delegated(fd);
    if (slot_of(fd) != 0 || ownfd_has(fd))
        return;
    if (!fds_find(fd))
        return;
    uint32_t slot = slot_of(fd);
    if (!stays_open(fd)) {
        if (slot_of(fd) == slot)
            fds_forget(fd);
        return;
    }
    stats.counts.untracked++;
}

void sweep_descriptors(void)
{
    proc_own_descriptors(adopt_unknown, NULL);
}
