/* shim.c: the process: its clock, its beginning to serve, its forks and execs. */
#include "shim.h"

#include "core/view.h"
#include "descriptors.h"
#include "compat/node_cluster.h"
#include "group/join.h"
#include "group/member.h"
#include "group/peers.h"
#include "pump.h"
#include "record.h"
#include "sys/libc.h"
#include "sys/log.h"
#include "sys/syscall.h"
#include "trace.h"

#include <sys/mman.h>
#include <time.h>

HIDDEN struct shim shim = {.off = true, .epoll = -1, .event = -1, .log_fd = -1, .report_fd = -1};

nsec_t shim_now(void)
{
    struct timespec now;
    if (UNLIKELY(sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0) &&
        sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0)
        /* A sandbox may not know that it is a system call too: programs ask the vDSO. */
        return shim.ticks_at + ARCH_TICKS_NSEC(arch_ticks() - shim.ticks);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

nsec_t shim_since(uint64_t began)
{
    uint64_t ticks = arch_ticks();
    nsec_t now = shim_now();
    if (ticks <= shim.ticks || ticks <= began) /* the counter has begun anew (suspend) */
        return 0;
    double worth = (double)(now - shim.ticks_at) / (double)(ticks - shim.ticks);
    return (nsec_t)((double)(ticks - began) * worth);
}

/* ---- the process serves --------------------------------------------------------------------------- */

static void exit_handler(void *unused)
{
    (void)unused;
    shim_exit();
}

/* The program does not know this descriptor, so it shall not close it among others. */
static void keep_descriptor(int fd)
{
    if (fd >= 0 && slot_possible(fd))
        slot_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_OWN));
}

static void enter_group(void)
{
    struct text complaints = {0};
    size_t n = 0;
    while (shim.complaints[n])
        n++;
    text_init(&complaints, shim.complaints + n, sizeof shim.complaints - n);
    join_group(&complaints, shim.options.report && shim.options.report_connections);
    keep_descriptor(group.fd);
}

static void show_view(void)
{
    static struct view view;
    view_init(&view, &shim.pool);
    member_show(&view, shim.options.timeout);
}

void shim_arm(void)
{
    static uint8_t once;
    if (LIKELY(shim.armed) || shim.off || __atomic_exchange_n(&once, 1, __ATOMIC_ACQ_REL))
        return;
    shim.pid = (int)sys0(SYS_getpid);
    shim.ticks_at = shim_now();
    shim.ticks = arch_ticks();
    shim.fork_page = shim_map_zeroed(4096);
    if (shim.fork_page && sys3(SYS_madvise, shim.fork_page, 4096, MADV_WIPEONFORK) == 0)
        *shim.fork_page = 1;
    else
        shim.fork_page = NULL;
    if (shim.options.log == LOG_TRACE)
        trace_open(shim_map_zeroed(trace_size()));
    log_remember_stderr(&shim.fd2_dev, &shim.fd2_ino);
    enter_group();
    show_view();
    if (shim.complaints[0])
        log_complaints();
    pump_prepare();
    signals_hold();
    __atomic_store_n(&shim.armed, true, __ATOMIC_RELEASE);
    libc_at_exit(exit_handler);
    shim_follow(); /* a worker that is started while its group drains already */
}

bool shim_is_our_process(void)
{
    if ((int)sys0(SYS_getpid) == shim.pid)
        return true;
    if (shim.fork_page && *shim.fork_page == 0)
        shim_forked_child(MEMBER_NONE); /* a fork that did not come through our hook: raw clone */
    return (int)sys0(SYS_getpid) == shim.pid;
}

void shim_grow_up(void)
{
    shim.newborn = false;
    if (group_self())
        signals_hear_leader();
    member_settle();
    shim_follow();
}

bool shim_inherits(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        if (pool_at(&shim.pool, i)->live && pool_at(&shim.pool, i)->inherited)
            return true;
    return false;
}

void shim_share_everything(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        if (pool_at(&shim.pool, i)->live)
            pool_at(&shim.pool, i)->shared = true;
    for (unsigned i = 0; i < shim.listeners; i++)
        shim.listener[i].shared = true;
}

/* A child has its parent's connections, but what was going on with them is not in this process. */
static void inherit(struct conn *c)
{
    c->pin = 0;
    if (c->live && c->stage == CONN_LINGERING) { /* it is in the hands of the parent's pump */
        c->live = false;
        c->calls_in = c->calls_out = 0;
        pool_give(&shim.pool, c);
        return;
    }
    c->inherited = c->live;
    c->track = 0;
    c->calls_in = c->calls_out = c->live ? CONN_UNTOUCHED : 0;
    c->epoll_fd = c->epoll_fd == -1 ? -1 : -2; /* the parent's set: hands off */
}

static void inherit_everything(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        inherit(pool_at(&shim.pool, i));
    for (unsigned i = 0; i < shim.listeners; i++) {
        struct listener *l = &shim.listener[i];
        l->swapping = 0;
        if (l->epolls > 0) /* a set of the parent's, which may be using it: more than are noted */
            l->epolls = LISTENER_EPOLLS + 1;
    }
    shim_share_everything();
}

/* The descriptors of a drain that is the parent's. */
static void close_own(void)
{
    for (int fd = shim_next_own(0); fd < FD_MAX; fd = shim_next_own((unsigned)fd + 1))
        if (fd != group.fd)
            sys1(SYS_close, fd);
    shim.epoll = shim.event = shim.log_fd = shim.report_fd = -1;
    peers_forget();
    holders_begin();
}

int shim_fork_begin(void)
{
    static uint8_t said;
    __atomic_add_fetch(&shim.forks_begun, 1, __ATOMIC_SEQ_CST);
    if (!shim.armed || !shim_is_our_process())
        return MEMBER_NONE;
    shim_share_everything();
    if (!group_self())
        return MEMBER_NONE;
    int slot = member_fork_begin();
    if (slot == MEMBER_NONE && !__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
        log_warning("the group is full: another process drains alone");
    return slot;
}

void shim_forked_parent(int slot, int pid)
{
    if (shim.armed) {
        member_forked_parent(slot, pid);
        if (pid > 0)
            shim_share_everything(); /* what other threads have accepted meanwhile */
    }
    __atomic_add_fetch(&shim.forks_done, 1, __ATOMIC_SEQ_CST);
}

void shim_forked_child(int slot)
{
    shim.forks_begun = shim.forks_done = 0;
    shim.given_lock = 0; /* of a thread that is not here */
    if (!shim.armed)
        return;
    shim.pid = (int)sys0(SYS_getpid);
    if (shim.fork_page)
        *shim.fork_page = 1;
    if (shim.begun)
        close_own();
    record_forget();
    inherit_everything();
    if (slot_of(shim.looked_at) == LOOKED_AT)
        slot_set(shim.looked_at, 0);
    member_forked_child(slot);
    node_cluster_after_fork();
    shim.newborn = true;
    shim.sig_lock = 0;
    /* The drain is the parent's, and so is the pump that is not here: the child serves, or execs. */
    shim.phase = DRAIN_SERVING;
    shim.begun = shim.owed = shim.releasing = 0;
    shim.have_info = false;
    shim.signals = 0;
    shim.pump_tid = 0;
    shim.pump_lock = 0;
    shim.witness = NULL;
    shim.exiting_tid = 0;
    shim.exit_called = 0;
    shim.exit_leave = 0;
    shim.accepting = 0;
    shim.called = shim.called_back = 0;
    memset(&shim.counts, 0, sizeof shim.counts);
    memset(&shim.drain, 0, sizeof shim.drain);
    signals_hold();
}

bool shim_exec_begin(void)
{
    if (!shim.armed || (int)sys0(SYS_getpid) != shim.pid)
        return false;
    if (shim.newborn)
        signals_deliver(); /* what is withheld would be forgotten */
    member_exec_begin();
    return true;
}

void shim_exec_failed(void)
{
    member_exec_failed();
}
