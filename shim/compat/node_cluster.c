/* node_cluster.c: see node_cluster.h. */
#include "compat/node_cluster.h"

#include "group/member.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/trace.h"
#include "process/wake.h"
#include "sys/net.h"
#include "sys/syscall.h"

#include <sys/epoll.h>
#include <sys/socket.h>

HIDDEN struct node_cluster node_cluster = {.fd = -1};

/* A round writes the lines TURNS times, each time after the primary has read the previous lines (unix(7), SIOCOUTQ).
 * The primary acts on the bytes of one read before it reads again (libuv, uv__read; node runs what is due on the
 * next tick at the end of each callback), so all lines but those of the last turn have taken effect. One turn is
 * extra, as one read may take two writes. */
enum { TURNS = 3 };

enum stage {
    STAGE_SERVING, /* a drain of this process */
    STAGE_LEAVING, /* a moment between the program's messages, to begin a round */
    STAGE_AGAIN,   /* that the program has read and answered what was on its way: then another round */
    STAGE_ROUND,   /* that the primary reads our lines */
    STAGE_LEFT     /* nothing */
};

static struct {
    uint8_t stage; /* named by what it expects */
    uint8_t turn;
    uint32_t handed, keys; /* as the round began */
    nsec_t until;
} leave;

/* The program closes the socket, or puts another descriptor in its place: returns when no call of lastcall uses the
 * socket. */
static void forget_socket(int fd)
{
    (void)fd;
    __atomic_store_n(&node_cluster.fd, -1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&node_cluster.calls, __ATOMIC_SEQ_CST) & NODE_CLUSTER_OURS)
        sys0(SYS_sched_yield);
}

void node_cluster_bind(const char *const *environment)
{
    node_cluster.fd = node_cluster_lines_socket(environment);
    slots_on_close(SPECIAL_NODE_CLUSTER, forget_socket);
}

void node_cluster_after_fork(void)
{
    node_cluster.fd = -1;
    node_cluster.calls = 0;
    memset(&leave, 0, sizeof leave);
}

/* ---- the program's calls ----------------------------------------------------------------------------------------- */

void node_cluster_begin(void)
{
    while (UNLIKELY(__atomic_fetch_add(&node_cluster.calls, 1, __ATOMIC_SEQ_CST) & NODE_CLUSTER_OURS)) {
        __atomic_fetch_sub(&node_cluster.calls, 1, __ATOMIC_SEQ_CST);
        sys0(SYS_sched_yield);
    }
}

static void call_is_over(void)
{
    __atomic_fetch_sub(&node_cluster.calls, 1, __ATOMIC_SEQ_CST);
    if (deferred_draining())
        wake_now();
}

/* By the first connection the socket shows that it is the one to a primary. Other members shall know of which listeners
 * this process is handed connections. */
static void handed_over(void)
{
    struct member *self = group_self();
    __atomic_store_n(&node_cluster.unanswered, true, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&node_cluster.handed, 1, __ATOMIC_SEQ_CST);
    if (slot_of(node_cluster.fd) == 0)
        slots_mark(node_cluster.fd, SPECIAL_NODE_CLUSTER);
    if (self)
        __atomic_store_n(&self->node_listeners, node_cluster_lines_sum(&node_cluster.lines), __ATOMIC_RELAXED);
}

void node_cluster_read(const struct http1_span *chunks, size_t count, ssize_t n)
{
    size_t left = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t part = chunks[i].len < left ? chunks[i].len : left;
        if (node_cluster_lines_received(&node_cluster.lines, chunks[i].data, part))
            handed_over();
        left -= part;
    }
    call_is_over();
}

void node_cluster_wrote(const struct http1_span *chunks, size_t count, ssize_t n)
{
    size_t left = n > 0 ? (size_t)n : 0;
    bool ends = false;
    for (size_t i = 0; i < count && left >= chunks[i].len; i++) {
        if (chunks[i].len > 0)
            ends = left == chunks[i].len && ((const char *)chunks[i].data)[left - 1] == '\n' && i + 1 == count;
        left -= chunks[i].len;
    }
    if (n > 0) {
        node_cluster.whole = ends;
        __atomic_store_n(&node_cluster.unanswered, false, __ATOMIC_SEQ_CST);
    }
    call_is_over();
}

/* ---- leaving: the drain thread ----------------------------------------------------------------------------------- */

/* Does another worker of our primary take what this process takes no longer? Without one the primary would close its
 * listener, at once and not only when this process ends. */
static bool others_serve(void)
{
    const struct group_table *m = group.table;
    const struct member *self = group_self();
    int master = group_table_master(m, group.at);
    for (int i = 0; i < group_table_top(m); i++) {
        const struct member *who = &m->member[i];
        if (i != group.at && __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_SERVES &&
            __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE) == DRAIN_SERVING &&
            who->node_listeners == self->node_listeners && group_table_master(m, i) == master && who->pid > 0 &&
            sys2(SYS_kill, who->pid, 0) == 0)
            return true;
    }
    return false;
}

/* The primary is a member, and goes on. */
static bool drains_alone(void)
{
    return group.coordinator == MEMBER_NONE && member_is_worker();
}

bool node_cluster_leave(bool last, nsec_t now)
{
    struct epoll_event want = {EPOLLOUT | EPOLLET, {.u64 = NODE_CLUSTER_TOKEN}};
    int fd = __atomic_load_n(&node_cluster.fd, __ATOMIC_SEQ_CST);
    if (leave.stage != STAGE_SERVING || fd < 0 || !node_cluster_is(slot_of(fd)) || node_cluster.lines.keys == 0 ||
        !drains_alone() || !(last || others_serve()))
        return false;
    leave.stage = STAGE_LEAVING;
    leave.until = now + config.idle;
    /* An event whenever the primary reads (unix_write_space). */
    sys4(SYS_epoll_ctl, wake.epoll, EPOLL_CTL_ADD, fd, &want);
    return true;
}

/* Has the program read all that the primary sent, and answered it? */
static bool is_settled(void)
{
    return !__atomic_load_n(&node_cluster.unanswered, __ATOMIC_SEQ_CST) && sock_unread(node_cluster.fd) == 0;
}

/* Has the primary read all? When the kernel wakes the writer, one byte is still counted (sock_wfree). */
static bool is_read(void)
{
    long unread = sock_unsent(node_cluster.fd);
    return unread == 0 || unread == 1;
}

/* Whole or not at all: it fits in one piece (unix_stream_sendmsg). False: not now. */
static bool say(void)
{
    char lines[NODE_CLUSTER_CLOSE_MAX];
    size_t n = node_cluster_lines_close(&node_cluster.lines, lines);
    if (!node_cluster.whole)
        return false;
    long sent = sys6(SYS_sendto, node_cluster.fd, lines, n, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
    if (sent == -EPIPE) /* there is no primary any more */
        leave.stage = STAGE_LEFT;
    return sent == (long)n;
}

static void begin_round(void)
{
    leave.handed = node_cluster.handed;
    leave.keys = node_cluster.lines.keys;
    leave.turn = 1;
    if (say())
        leave.stage = STAGE_ROUND;
}

/* A connection that waited in the primary for an answer of the program (child_process.js, _handleQueue) comes in
 * spite of our lines: the round counts only if no connection came in it. */
static void end_round(void)
{
    if (!is_settled() || leave.handed != node_cluster.handed || leave.keys != node_cluster.lines.keys) {
        leave.stage = STAGE_AGAIN;
    } else {
        leave.stage = STAGE_LEFT;
        trace(TRACE_HANDED, node_cluster.fd, node_cluster.handed);
    }
}

static void advance(void)
{
    if (leave.stage == STAGE_ROUND && is_read()) {
        if (leave.turn == TURNS)
            end_round();
        else if (say())
            leave.turn++;
    }
    if (leave.stage == STAGE_LEAVING || (leave.stage == STAGE_AGAIN && is_settled()))
        begin_round();
}

void node_cluster_census(struct census *census, nsec_t now)
{
    uint32_t none = 0;
    if (leave.stage == STAGE_SERVING || leave.stage == STAGE_LEFT)
        return;
    /* Between the program's calls: the end of a call wakes the drain thread. */
    if (__atomic_compare_exchange_n(&node_cluster.calls, &none, NODE_CLUSTER_OURS, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED)) {
        if (node_cluster.fd < 0 || now >= leave.until)
            leave.stage = STAGE_LEFT;
        else
            advance();
        __atomic_fetch_sub(&node_cluster.calls, NODE_CLUSTER_OURS, __ATOMIC_SEQ_CST);
    } else if (now >= leave.until) {
        leave.stage = STAGE_LEFT;
    }
    if (leave.stage == STAGE_LEFT)
        return;
    census->queued++;
    if (census->next_expiry == 0 || leave.until < census->next_expiry)
        census->next_expiry = leave.until;
}
