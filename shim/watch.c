/* watch.c: see watch.h. */
#include "watch.h"

#include "lead.h"
#include "track/conn_log.h"
#include "process/ownfd.h"
#include "sys/syscall.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

/* What we do to hear of another process's death. */
struct watch {
    uint32_t serial; /* of whom; 0: nobody */
    int fd;          /* its pidfd; -1: there could be none */
    bool ordered;
    bool out_of_reach; /* it cannot be told, or not be told apart from a stranger */
};

static struct watch watch[MEMBERS_MAX];

/* The epoll set's words for them: below the one of the event descriptor, above all that stand for connections. */
static uint64_t token_of(int at)
{
    return UINT64_MAX - 1 - (uint64_t)at;
}

static void drop_watch(struct watch *w)
{
    int fd = w->serial != 0 ? w->fd : -1;
    __atomic_store_n(&w->serial, 0, __ATOMIC_SEQ_CST); /* before its number is somebody else's */
    memset(w, 0, sizeof *w);
    ownfd_close(fd);
}

void watch_forget(void)
{
    memset(watch, 0, sizeof watch);
}

/* It is gone. If it has not said so itself, what it had in flight is cut. */
static void died(int at, bool of_our_drain)
{
    struct member *who = member(at);
    uint32_t serial = watch[at].serial, phase = phase_of(who);
    drop_watch(&watch[at]);
    if (who->serial != serial || __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_LEFT)
        return;
    bool in_the_middle = phase > DRAIN_SERVING && phase < DRAIN_RELEASED;
    if (in_the_middle) {
        who->end = MEMBER_KILLED;
        who->counts.cut += who->open;
        conn_log_died(serial);
    }
    members_leave(group.table, at, serial, of_our_drain && group.leader == MEMBER_NONE && phase > DRAIN_SERVING);
}

bool lead_event(uint64_t token)
{
    uint64_t at = UINT64_MAX - 1 - token;
    if (!group.table || at >= MEMBERS_MAX)
        return false;
    if (watch[at].serial != 0)
        died((int)at, true);
    return true;
}

/* The process with this number, is it still the one that we mean? Our parent or a child of ours cannot be another; else
 * its age tells, for a number that is used again belongs to a younger one. And it has the group's memory: whoever else has
 * it (a CGI of another user) can write any number there, and we may have the right to signal everybody. */
static bool is_it(const struct member *who, int pid)
{
    siginfo_t info;
    nsec_t started;
    if (pid == (int)sys0(SYS_getppid))
        return true;
    if (sys5(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, 0) == 0)
        return true;
    return proc_started(pid, &started) && started + 20 * NSEC_PER_MSEC >= who->born_at &&
           started <= who->born_at + 2 * NSEC_PER_SEC && group_is_mapped_by(pid);
}

bool watch_alive(int at, int pid)
{
    struct member *who = member(at);
    struct watch *w = &watch[at];
    if (w->serial == who->serial)
        return w->fd >= 0 || w->out_of_reach || sys2(SYS_kill, pid, 0) != -ESRCH;
    drop_watch(w);
    w->fd = ownfd_move_high((int)sys2(SYS_pidfd_open, pid, 0));
    __atomic_store_n(&w->serial, who->serial, __ATOMIC_SEQ_CST);
    if (w->fd == -ESRCH) {
        /* It may have died by the signal that ended a drain of its own, long ago. */
        died(at, who->signal_at + LONE_GRACE >= deferred.signal_at);
        return false;
    }
    w->out_of_reach = !is_it(who, pid);
    struct epoll_event want = {EPOLLIN, {.u64 = token_of(at)}};
    if (w->fd >= 0 && !w->out_of_reach)
        sys4(SYS_epoll_ctl, wake.epoll, EPOLL_CTL_ADD, w->fd, &want);
    return true;
}

bool watch_out_of_reach(int at)
{
    return watch[at].out_of_reach;
}

/* ---- orders ---------------------------------------------------------------------------------------------------- */

static void fill_order(siginfo_t *info, int sig)
{
    memset(info, 0, sizeof *info);
    info->si_signo = sig;
    info->si_code = SI_QUEUE;
    info->si_pid = self_pid();
    info->si_value.sival_ptr = group_order();
}

static long send_order(int at, int sig)
{
    siginfo_t info;
    long ret = -ENOSYS;
    fill_order(&info, sig);
    if (watch[at].fd >= 0)
        ret = sys4(SYS_pidfd_send_signal, watch[at].fd, sig, &info, 0);
    /* Older kernels have it not, and older sandboxes refuse what they do not know. */
    return ret == 0 || ret == -ESRCH ? ret : sys3(SYS_rt_sigqueueinfo, pid_of(member(at)), sig, &info);
}

void watch_order(int at)
{
    struct watch *w = &watch[at];
    if (w->ordered || w->out_of_reach)
        return;
    long ret = pid_of(member(at)) == (int)sys0(SYS_getppid) ? -ESRCH : send_order(at, deferred.first_signal);
    if (ret == -EPERM)
        ret = send_order(at, SIGCONT); /* signals_hear_leader */
    w->ordered = true;
    w->out_of_reach = ret != 0;
}

static void call_thread(int dir, const char *name, uint64_t tid, void *unused)
{
    siginfo_t info;
    (void)dir, (void)name, (void)unused;
    if ((long)tid == sys0(SYS_gettid) || proc_blocks((int)tid, deferred.first_signal))
        return;
    fill_order(&info, deferred.first_signal);
    __atomic_add_fetch(&stats.interrupts, 1, __ATOMIC_SEQ_CST); /* before it can answer */
    if (sys4(SYS_rt_tgsigqueueinfo, self_pid(), tid, deferred.first_signal, &info) != 0)
        __atomic_sub_fetch(&stats.interrupts, 1, __ATOMIC_SEQ_CST);
}

void lead_call_out(void)
{
    if (group.table)
        proc_each(self_pid(), "/task", call_thread, NULL);
}
