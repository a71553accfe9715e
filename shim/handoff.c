/* handoff.c: see handoff.h. */
#include "handoff.h"

#include "group.h"
#include "sys/syscall.h"
#include "process/trace.h"

#include <sys/epoll.h>
#include <sys/socket.h>

HIDDEN struct handoff handoff = {.fd = -1};

/* A round: the lines are said TURNS times, the next time when the primary has read those before (unix(7), SIOCOUTQ). It
 * reads, and does all that follows from it, before it reads again (libuv, uv__read; node runs what is due on the next tick
 * at the end of each callback). So what it has read before the last turn it has acted upon. Two turns would do, if one
 * read could not take the second one along that comes while it is still copying the first. */
enum { TURNS = 3 };

enum stage {
    STAGE_SERVING, /* a drain of ours */
    STAGE_LEAVING, /* a moment between the program's messages, to begin a round */
    STAGE_AGAIN,   /* that the program has read and answered what was on its way: then another round */
    STAGE_ROUND,   /* that the primary reads what we have said */
    STAGE_LEFT     /* nothing */
};

static struct {
    uint8_t stage; /* named by what it expects */
    uint8_t turn;
    uint32_t handed, keys; /* as the round began */
    nsec_t until;
} leave;

void handoff_bind(const char *const *environment)
{
    handoff.fd = cluster_socket(environment);
    slots_on_close(SPECIAL_HANDOFF, handoff_closed);
}

void handoff_forget(void)
{
    handoff.fd = -1;
    handoff.calls = 0;
    memset(&leave, 0, sizeof leave);
}

/* ---- the program's calls ------------------------------------------------------------------------------------------ */

void handoff_begin(void)
{
    while (UNLIKELY(__atomic_fetch_add(&handoff.calls, 1, __ATOMIC_SEQ_CST) & HANDOFF_OURS)) {
        __atomic_fetch_sub(&handoff.calls, 1, __ATOMIC_SEQ_CST);
        sys0(SYS_sched_yield);
    }
}

static void call_is_over(void)
{
    __atomic_fetch_sub(&handoff.calls, 1, __ATOMIC_SEQ_CST);
    if (deferred_draining())
        wake_now();
}

void handoff_closed(int fd)
{
    (void)fd;
    __atomic_store_n(&handoff.fd, -1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&handoff.calls, __ATOMIC_SEQ_CST) & HANDOFF_OURS)
        sys0(SYS_sched_yield);
}

/* By the first connection the socket shows that it is the one. Others of the group shall know what we are handed. */
static void handed_over(void)
{
    struct member *self = group_self();
    __atomic_store_n(&handoff.unanswered, true, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&handoff.handed, 1, __ATOMIC_SEQ_CST);
    if (slot_of(handoff.fd) == 0)
        slots_mark(handoff.fd, SPECIAL_HANDOFF);
    if (self)
        __atomic_store_n(&self->handed, cluster_sum(&handoff.cluster), __ATOMIC_RELAXED);
}

void handoff_read(const struct rewrite_chunk *chunks, size_t count, ssize_t n)
{
    size_t left = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t part = chunks[i].len < left ? chunks[i].len : left;
        if (cluster_received(&handoff.cluster, chunks[i].data, part))
            handed_over();
        left -= part;
    }
    call_is_over();
}

void handoff_wrote(const struct rewrite_chunk *chunks, size_t count, ssize_t n)
{
    size_t left = n > 0 ? (size_t)n : 0;
    bool ends = false;
    for (size_t i = 0; i < count && left >= chunks[i].len; i++) {
        if (chunks[i].len > 0)
            ends = left == chunks[i].len && ((const char *)chunks[i].data)[left - 1] == '\n' && i + 1 == count;
        left -= chunks[i].len;
    }
    if (n > 0) {
        handoff.whole = ends;
        __atomic_store_n(&handoff.unanswered, false, __ATOMIC_SEQ_CST);
    }
    call_is_over();
}

/* ---- leaving: the pump ---------------------------------------------------------------------------------------------- */

/* Does another worker of our primary take what we no longer do? Without one the primary would close its listener, at once
 * and not only when we end. */
static bool others_serve(void)
{
    const struct members *m = group.table;
    const struct member *self = group_self();
    int master = members_master(m, group.at);
    for (int i = 0; i < members_top(m); i++) {
        const struct member *who = &m->member[i];
        if (i != group.at && __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_SERVES &&
            __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE) == DRAIN_SERVING && who->handed == self->handed &&
            members_master(m, i) == master && who->pid > 0 && sys2(SYS_kill, who->pid, 0) == 0)
            return true;
    }
    return false;
}

/* Its primary is one of the group, and goes on. */
static bool drains_alone(void)
{
    return group_self() && group.leader == MEMBER_NONE && members_master(group.table, group.at) != MEMBER_NONE;
}

bool handoff_leave(bool last, nsec_t now)
{
    struct epoll_event want = {EPOLLOUT | EPOLLET, {.u64 = HANDOFF_TOKEN}};
    int fd = __atomic_load_n(&handoff.fd, __ATOMIC_SEQ_CST);
    if (leave.stage != STAGE_SERVING || fd < 0 || !handoff_is(slot_of(fd)) || handoff.cluster.keys == 0 ||
        !drains_alone() || !(last || others_serve()))
        return false;
    leave.stage = STAGE_LEAVING;
    leave.until = now + config.idle;
    /* An event whenever the primary reads (unix_write_space). */
    sys4(SYS_epoll_ctl, wake.epoll, EPOLL_CTL_ADD, fd, &want);
    return true;
}

/* Has the program read all, and answered what it has read? */
static bool is_settled(void)
{
    return !__atomic_load_n(&handoff.unanswered, __ATOMIC_SEQ_CST) && sock_unread(handoff.fd) == 0;
}

/* Has the primary read all? While the kernel tells us that it has, one byte is still counted (sock_wfree). */
static bool is_read(void)
{
    long unread = sock_unsent(handoff.fd);
    return unread == 0 || unread == 1;
}

/* Whole or not at all: it fits in one piece (unix_stream_sendmsg). False: not now. */
static bool say(void)
{
    char lines[CLUSTER_CLOSE_MAX];
    size_t n = cluster_close(&handoff.cluster, lines);
    if (!handoff.whole)
        return false;
    long sent = sys6(SYS_sendto, handoff.fd, lines, n, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
    if (sent == -EPIPE) /* there is no primary any more */
        leave.stage = STAGE_LEFT;
    return sent == (long)n;
}

static void begin_round(void)
{
    leave.handed = handoff.handed;
    leave.keys = handoff.cluster.keys;
    leave.turn = 1;
    if (say())
        leave.stage = STAGE_ROUND;
}

/* A connection that waited in the primary for an answer of ours (child_process.js, _handleQueue) comes in spite of what we
 * have said: the round counts only if nothing came in it. */
static void end_round(void)
{
    if (!is_settled() || leave.handed != handoff.handed || leave.keys != handoff.cluster.keys) {
        leave.stage = STAGE_AGAIN;
    } else {
        leave.stage = STAGE_LEFT;
        trace(TRACE_HANDED, handoff.fd, handoff.handed);
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

void handoff_census(struct census *census, nsec_t now)
{
    uint32_t none = 0;
    if (leave.stage == STAGE_SERVING || leave.stage == STAGE_LEFT)
        return;
    /* Between the program's calls: the end of one wakes us. */
    if (__atomic_compare_exchange_n(&handoff.calls, &none, HANDOFF_OURS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        if (handoff.fd < 0 || now >= leave.until)
            leave.stage = STAGE_LEFT;
        else
            advance();
        __atomic_fetch_sub(&handoff.calls, HANDOFF_OURS, __ATOMIC_SEQ_CST);
    } else if (now >= leave.until) {
        leave.stage = STAGE_LEFT;
    }
    if (leave.stage == STAGE_LEFT)
        return;
    census->queued++;
    if (census->next_expiry == 0 || leave.until < census->next_expiry)
        census->next_expiry = leave.until;
}
