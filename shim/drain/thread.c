/* thread.c: the thread of a drain: made by the first signal, gone after the delivery. And the timer that stands in for
 * it. */
#include "drain/drain.h"

#include "compat/node_cluster.h"
#include "drain/holders.h"
#include "drain/loop.h"
#include "drain/report.h"
#include "drain/scan.h"
#include "drain/state.h"
#include "group/coordinator.h"
#include "process/clock.h"
#include "process/deferred.h"
#include "process/log.h"
#include "process/wake.h"
#include "sys/syscall.h"
#include "track/connections.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

extern HIDDEN long thread_clone(unsigned long flags, void *stack_top, void (*run)(void *), void *arg);
extern HIDDEN void thread_call_on(void *stack_top, void (*run)(void *), void *arg);

enum { GUARD = ARCH_PAGE_MAX, DRAIN_STACK = 256 * 1024, WATCH_STACK = 16 * 1024, EVENTS = 64 };

static char *stack; /* the top of the drain thread's, or of the steps that the timer makes; NULL: none */

/* The timer that stands in for the thread. */
static int timer = -1;
static struct {
    uint8_t lock;          /* a thread of the program makes a step */
    bool begun, delivered; /* how far */
} driven;

/* ---- the thread ---------------------------------------------------------------------------------------- */

static int wait_ms(nsec_t wake_at, nsec_t now)
{
    if (wake_at == 0)
        return -1;
    if (wake_at <= now)
        return 0;
    nsec_t ms = (wake_at - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    return ms > 3600000 ? 3600000 : (int)ms;
}

static bool take_event(uint64_t token, nsec_t now)
{
    uint64_t count;
    if (token == UINT64_MAX) {
        sys3(SYS_read, wake.event, &count, sizeof count);
        return true;
    }
    return token == NODE_CLUSTER_TOKEN || loop_peer_event(token) || scan_event(token, now);
}

/* Take what events there are within timeout ms. True: a census is worth taking. A census looks at all connections, so
 * one is taken for all that has happened: not one for every few events. `rounds`: events may come faster than they are
 * taken. */
static bool take_events(int timeout)
{
    struct epoll_event events[EVENTS];
    long n = sys6(SYS_epoll_pwait, wake.epoll, events, EVENTS, timeout, 0, 8);
    if (n < 0 && n != -EINTR) {
        /* There is no epoll set (EMFILE): then there is nothing to wait on but time. */
        struct timespec nap = {0, 20 * 1000 * 1000};
        sys2(SYS_nanosleep, &nap, 0);
        return true;
    }
    nsec_t now = clock_now();
    bool changed = n == 0;
    for (uint32_t rounds = pool_size(&connections) / EVENTS + 1; n > 0; rounds--) {
        for (long i = 0; i < n; i++)
            changed |= take_event(events[i].data.u64, now);
        if (n < EVENTS || rounds == 0)
            break;
        n = sys6(SYS_epoll_pwait, wake.epoll, events, EVENTS, 0, 0, 8);
    }
    return changed;
}

static void begin(void)
{
    holders_begin();
    coordinator_begin();
    drain_report_open();
}

/* True: there is another step to come, at *wake_at at the latest. */
static bool step(nsec_t *wake_at)
{
    bool goes_on = loop_step(wake_at);
    nsec_t look = clock_now() + COORDINATOR_LOOK;
    if (drain_state.watching == 2 && group_self() && (*wake_at == 0 || *wake_at > look))
        *wake_at = look;
    return goes_on;
}

static void run(void *unused)
{
    nsec_t wake_at;
    (void)unused;
    begin();
    while (step(&wake_at))
        while (!take_events(wait_ms(wake_at, clock_now())))
            ;
}

/* Changes in the group are told by a futex in its shared memory: other processes, of other users too, can do nothing
 * else to this process. A thread of its own waits for the futex. */
static void watch_group(void *unused)
{
    (void)unused;
    for (;;) {
        uint32_t seen, *word = coordinator_futex(&seen);
        if (deferred_phase() == DRAIN_DONE) /* set before the words change for the last time */
            return;
        wake_now();
        sys6(SYS_futex, word, FUTEX_WAIT_BITSET, seen, 0, 0, coordinator_futex_bit());
    }
}

static void start_watching(unsigned long flags)
{
    if (group_self())
        drain_state.watching = thread_clone(flags, stack - DRAIN_STACK, watch_group, NULL) < 0 ? 2 : 1;
}

/* No tick must reach the program: neither a later one nor one that is pending (it is blocked here; newer kernels take
 * it back by themselves). */
static void stop_timer(void)
{
    const struct timespec none = {0, 0};
    uint64_t bit = (uint64_t)1 << (deferred.first_signal - 1);
    sys1(SYS_timer_delete, timer);
    sys4(SYS_rt_sigtimedwait, &bit, 0, &none, 8);
}

/* The next tick, from now, after a step that has taken so long: periodic, for the program may take one. A step is made
 * in a thread of the program, which must come to serve between two of them, however long they take. */
static long tick_after(nsec_t took)
{
    enum { SHARE = 4, FIRST = 1 };
    const nsec_t shortest = 5 * NSEC_PER_MSEC, longest = NSEC_PER_SEC / 2;
    nsec_t pause = took * SHARE < shortest ? shortest : took * SHARE > longest ? longest : took * SHARE;
    struct timespec every = {0, (long)pause};
    struct itimerspec ticks = {every, took ? every : (struct timespec){0, FIRST}};
    return sys4(SYS_timer_settime, timer, 0, &ticks, 0);
}

/* Without a thread (pids limit, seccomp), a timer runs our handler, and the handler makes the steps. */
static bool drive_by_timer(void)
{
    struct sigevent how;
    memset(&how, 0, sizeof how);
    how.sigev_notify = SIGEV_SIGNAL;
    how.sigev_signo = deferred.first_signal;
    how.sigev_value.sival_ptr = &drain_state;
    drain_state.tid = -1;
    if (stack && sys3(SYS_timer_create, CLOCK_MONOTONIC, &how, &timer) == 0)
        return tick_after(0) == 0;
    __atomic_store_n(&deferred.delivering, 1, __ATOMIC_SEQ_CST);
    return false;
}

static void drive(void *unused)
{
    nsec_t wake_at; /* unused: the next tick comes soon enough */
    nsec_t begun = clock_now();
    (void)unused;
    if (!driven.begun) {
        driven.begun = true;
        begin();
    } else if (wake.epoll >= 0) {
        take_events(0);
    }
    if (!driven.delivered && !step(&wake_at)) {
        stop_timer();
        driven.delivered = true;
    }
    if (!driven.delivered)
        tick_after(clock_now() - begun + 1);
}

bool drain_drive(void)
{
    if (drain_state.tid != -1 || !conn_lock(&driven.lock))
        return false;
    bool before = driven.delivered;
    /* The program's signal stack may be 2 KiB: a step wants more. */
    thread_call_on(stack, drive, NULL);
    bool now = driven.delivered && !before;
    __atomic_store_n(&driven.lock, 0, __ATOMIC_RELEASE);
    return now;
}

void drain_prepare(void)
{
    const size_t size = GUARD + WATCH_STACK + DRAIN_STACK;
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if ((unsigned long)at >= -4095ul) { /* an error number */
        log_warning("no memory for a drain: a signal ends the process as without lastcall");
        return;
    }
    sys3(SYS_mprotect, at, GUARD, PROT_NONE);
    stack = (char *)at + size;
}

bool drain_start(void)
{
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    long tid = -EAGAIN;
    loop_begin();
    driven.begun = driven.delivered = false;
    if (stack)
        tid = thread_clone(flags, stack, run, NULL);
    if (tid < 0)
        return drive_by_timer();
    __atomic_store_n(&drain_state.tid, (int)tid, __ATOMIC_RELEASE);
    start_watching(flags);
    return true;
}

void thread_after_fork(void)
{
    driven.lock = 0;
}
