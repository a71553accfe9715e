/* close.c: see close.h. */
#include "track/close.h"

#include "process/clock.h"
#include "process/deferred.h"
#include "process/ownfd.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/trace.h"
#include "process/wake.h"
#include "sys/fd.h"
#include "sys/net.h"
#include "sys/syscall.h"
#include "track/conn_log.h"
#include "track/connections.h"
#include "track/fds.h"
#include "track/left_alone.h"
#include "track/slots.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void close_count_late(struct conn *c, uint64_t bytes)
{
    if (bytes == 0)
        return;
    __atomic_add_fetch(&c->report.late_bytes, bytes, __ATOMIC_RELAXED);
    STORE(c->must_linger, true);
    trace(TRACE_LATE_DATA, c->fd, bytes);
    if (conn_report_set(c, CONN_COUNTED_LATE_DATA))
        __atomic_add_fetch(&stats.counts.late_data, 1, __ATOMIC_RELAXED);
}

/* ---- half-closed ------------------------------------------------------------------------------------ */

void close_watch(const struct conn *c)
{
    int ep = __atomic_load_n(&wake.epoll, __ATOMIC_ACQUIRE);
    struct epoll_event want = {EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = (uint64_t)c->generation << 32 | c->index}};
    if (ep >= 0)
        sys4(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, c->fd, &want);
}

/* The output is acknowledged, or the private epoll set of the drain thread gets an event when it is; the same for
 * the end of file of a peer that is still sending. */
static void await_ack(struct conn *c, nsec_t now)
{
    if (c->unix_ || sock_unsent(c->fd) == 0) {
        STORE(c->acked_at, now);
        __atomic_store_n(&c->acked, true, __ATOMIC_RELEASE);
        if (!LOAD(c->must_linger))
            return;
    }
    close_watch(c);
}

void close_half(struct conn *c, nsec_t now)
{
    uint8_t stage = __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
    if (conn_is_shared(c) || stage >= CONN_HALF_CLOSED)
        return;
    if (!__atomic_compare_exchange_n(&c->stage, &stage, CONN_HALF_CLOSED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    STORE(c->since, now);
    STORE(c->must_linger, conn_request_open(c));
    sys2(SYS_shutdown, c->fd, SHUT_WR);
    trace(TRACE_HALF_CLOSED, c->fd, 0);
    conn_log_note(c, CONN_HISTORY_HALF_CLOSED);
    __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    await_ack(c, now);
}

/* The program has its signal, and ends a connection instead of answering its request: by shutdown, or by close. */
static void count_dropped(struct conn *c)
{
    if (!__atomic_load_n(&deferred.delivering, __ATOMIC_ACQUIRE) || conn_is_opaque(c) || !conn_is_waited_for(c) ||
        !http1_between(&c->out))
        return;
    __atomic_add_fetch(&stats.counts.aborted, 1, __ATOMIC_RELAXED);
    conn_log_aborted(c);
}

static void note_fin(struct conn *c)
{
    STORE(c->must_linger, conn_request_open(c));
    STORE(c->fin, true);
}

void close_half_by_program(uint32_t slot)
{
    struct conn *c = pool_at(&connections, fd_slot_index(slot));
    if (!deferred_draining()) {
        note_fin(c);
        return;
    }
    nsec_t now = clock_now();
    connections_pin(c);
    count_dropped(c); /* with its FIN nothing is waited for any more */
    note_fin(c);
    __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    conn_log_note(c, CONN_HISTORY_HALF_CLOSED);
    await_ack(c, now);
    connections_unpin(c);
    wake_changed(NULL);
}

/* ---- the program closes ------------------------------------------------------------------------------- */

/* An epoll registration lives as long as the open file description. lastcall may hold that longer than the program:
 * as a lingering socket, or for a system call of the scan or of the walk through /proc. Then the program would get
 * events of a connection that it has freed (epoll(7)). So the registration is removed before the program's close.
 * False: it may be in a set still. */
static bool leaves_epoll(const struct conn *c, int fd)
{
    if (c->io.epoll_fd == -2)
        return false;
    long err = c->io.epoll_fd < 0 ? 0 : sys4(SYS_epoll_ctl, c->io.epoll_fd, EPOLL_CTL_DEL, fd, 0);
    return err == 0 || err == -ENOENT || err == -EBADF;
}

/* The program's descriptor is closed; lastcall keeps the socket until its output is acknowledged and its peer has
 * ended too (RFC 9112 9.6). */
static bool keep_lingering(struct conn *c, int fd)
{
    int kept = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd_high());
    if (kept < 0)
        return false;
    ownfd_add(kept);
    int own = __atomic_load_n(&wake.epoll, __ATOMIC_ACQUIRE);
    if (own >= 0)
        sys4(SYS_epoll_ctl, own, EPOLL_CTL_DEL, fd, 0);
    c->fd = kept;
    return true;
}

/* Nothing unsent, nothing unread, the peer done (or gone): a close that resets nothing and loses nothing. Unsent output
 * would outlive the process, but not its network: PID 1 of a container takes that along. */
static bool closes_cleanly(const struct conn *c, int fd)
{
    struct sock_counts k;
    if (sock_unread(fd) != 0)
        return false;
    if (c->unix_)
        return true;
    if (sock_counts(fd, &k) != 0)
        return false;
    return k.state == SOCK_CLOSED_STATE || (k.state == SOCK_CLOSE_WAIT && sock_unsent(fd) == 0);
}

static bool linger(struct conn *c, int fd)
{
    nsec_t now = clock_now();
    bool ended;
    if (conn_is_shared(c) || c->stale || left_alone_connection(c))
        return false;
    bool alone = leaves_epoll(c, fd);
    if (sock_lingers(fd) || closes_cleanly(c, fd))
        return false;
    bool kept = alone && wake.epoll >= 0 && deferred.phase != DRAIN_DONE && keep_lingering(c, fd);
    int on = kept ? c->fd : fd;
    sys2(SYS_shutdown, on, SHUT_WR);
    uint64_t unread = sock_discard(on, &ended);
    close_count_late(c, unread);
    STORE(c->must_linger, !ended && (LOAD(c->must_linger) || conn_request_open(c)));
    if (!kept)
        return false;
    STORE(c->since, now);
    __atomic_store_n(&stats.last_done_at, now, __ATOMIC_RELEASE);
    __atomic_store_n(&c->stage, CONN_LINGERING, __ATOMIC_RELEASE);
    trace(TRACE_LINGER, fd, unread);
    conn_log_note(c, CONN_HISTORY_LINGERING);
    struct epoll_event want = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                               {.u64 = (uint64_t)c->generation << 32 | c->index}};
    sys4(SYS_epoll_ctl, wake.epoll, EPOLL_CTL_ADD, c->fd, &want);
    return true;
}

void close_by_program(int fd)
{
    uint32_t slot = slots_settled(fd);
    if (fd_slot_kind(slot) != FD_CONN || !deferred_draining() || !self_is_our_process()) {
        fds_forget(fd);
        return;
    }
    struct conn *c = pool_of_slot(&connections, slot);
    connections_pin(c);
    bool last = LOAD(c->aliases) == 1;
    if (last)
        count_dropped(c);
    bool kept = last && linger(c, fd);
    if (kept) {
        __atomic_store_n(&fd_slot[fd], 0, __ATOMIC_RELEASE);
        c->aliases = 0;
    }
    connections_unpin(c);
    if (kept)
        wake_changed(c);
    else
        fds_forget(fd);
}
