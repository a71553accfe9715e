/* wake.c: see wake.h. */
#include "process/wake.h"

#include "process/ownfd.h"
#include "sys/fd.h"
#include "sys/syscall.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

HIDDEN struct wake wake = {.epoll = -1, .event = -1};

void wake_now(void)
{
    int event = __atomic_load_n(&wake.event, __ATOMIC_SEQ_CST);
    uint64_t one = 1;
    if (event >= 0)
        sys3(SYS_write, event, &one, sizeof one);
}

void wake_changed(const struct conn *c)
{
    /* Delivery waits for every blocker, so it is enough to hear of one of them. */
    const struct conn *blocker = __atomic_load_n(&wake.blocker, __ATOMIC_SEQ_CST);
    if (c == NULL || blocker == NULL || c == blocker)
        wake_now();
}

/* High numbers, out of the program's way, but inside the descriptor table as it is: to grow the table of a process
 * with threads the kernel waits for an RCU grace period, 5 to 25 ms (expand_fdtable). Its size follows from the
 * highest descriptor ever: 64, then powers of two of 128 (alloc_fdtable). */
static int high_number(int lowest_free)
{
    int size = 64;
    if (lowest_free >= size)
        for (size = 256; size <= lowest_free; size *= 2)
            ;
    return size / 4 * 3;
}

void wake_open(void)
{
    int ep = (int)sys1(SYS_epoll_create1, EPOLL_CLOEXEC);
    fd_set_high(high_number(ep < 0 ? 0 : ep));
    ep = ownfd_move_high(ep);
    int event = ownfd_move_high((int)sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
    struct epoll_event want = {EPOLLIN, {.u64 = UINT64_MAX}};
    if (ep >= 0 && event >= 0)
        sys4(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, event, &want);
    __atomic_store_n(&wake.epoll, ep, __ATOMIC_SEQ_CST);
    __atomic_store_n(&wake.event, event, __ATOMIC_SEQ_CST);
}

void wake_after_fork(void)
{
    wake.epoll = wake.event = -1;
    wake.blocker = NULL;
}
