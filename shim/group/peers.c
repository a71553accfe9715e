/* peers.c: see peers.h. */
#include "group/peers.h"

#include "process/config.h"
#include "process/deferred.h"
#include "process/ownfd.h"
#include "process/wake.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

/* A process, though its pid may be used again: what we keep to hear of its death, and to signal it alone. */
struct pidref {
    uint32_t serial; /* of the member; 0: none */
    int fd;          /* its pidfd; -1: there could be none */
    bool commanded;
    bool out_of_reach; /* see peers_out_of_reach */
};

static struct pidref pidref[GROUP_TABLE_MAX];

static void drop(struct pidref *p)
{
    if (p->serial != 0)
        ownfd_close(p->fd);
    memset(p, 0, sizeof *p);
}

void peers_after_fork(void)
{
    memset(pidref, 0, sizeof pidref);
}

/* ---- deaths ------------------------------------------------------------------------------------------------------ */

/* The member in slot `at` is gone. If it has not said so itself, the requests that it had in flight are aborted. */
static void died(int at, bool of_our_drain, struct peers_deaths *deaths)
{
    struct member *who = member_at(at);
    uint32_t serial = pidref[at].serial, phase = member_phase(who);
    drop(&pidref[at]);
    if (who->serial != serial || __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) == MEMBER_LEFT)
        return;
    bool shut_down = phase == DRAIN_GUARDING && who->open == 0; /* by its own handler, as it should */
    if (phase > DRAIN_SERVING && phase < DRAIN_DONE && !shut_down) {
        who->end = MEMBER_KILLED;
        who->counts.aborted += who->open;
        if (deaths->count < GROUP_TABLE_MAX)
            deaths->serial[deaths->count++] = serial;
    }
    group_table_leave(group.table, at, serial,
                      of_our_drain && group.coordinator == MEMBER_NONE && phase > DRAIN_SERVING);
}

bool peers_event(uint64_t token, struct peers_deaths *deaths)
{
    uint64_t at = PEERS_TOKEN(0) - token;
    if (!group.table || at >= GROUP_TABLE_MAX)
        return false;
    if (pidref[at].serial != 0)
        died((int)at, true, deaths);
    return true;
}

/* Is the process with this number still the member? Our parent or a child cannot be another process; else its age
 * tells, for a number that is used again belongs to a younger process. And the member has mapped the group's memory:
 * any other process that can write there (a CGI of another user) can write any number, and this process may have the
 * right to signal every process. */
static bool is_member(const struct member *who, int pid)
{
    siginfo_t info;
    nsec_t started;
    if (pid == (int)sys0(SYS_getppid))
        return true;
    if (sys5(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, 0) == 0)
        return true;
    return proc_started(pid, &started) && started + 20 * NSEC_PER_MSEC >= who->started_at &&
           started <= who->started_at + 2 * NSEC_PER_SEC && group_is_mapped_by(pid);
}

bool peers_watch(int at, int pid, struct peers_deaths *deaths)
{
    struct member *who = member_at(at);
    struct pidref *p = &pidref[at];
    if (p->serial == who->serial)
        return p->fd >= 0 || p->out_of_reach || sys2(SYS_kill, pid, 0) != -ESRCH;
    drop(p);
    p->fd = ownfd_move_high((int)sys2(SYS_pidfd_open, pid, 0));
    p->serial = who->serial;
    if (p->fd == -ESRCH) {
        /* The member may have died by the signal that ended an earlier drain of its own, which is no death in this
         * drain. */
        died(at, who->signal_at + GROUP_LONE_GRACE >= deferred.signal_at, deaths);
        return false;
    }
    p->out_of_reach = !is_member(who, pid);
    struct epoll_event want = {EPOLLIN, {.u64 = PEERS_TOKEN(at)}};
    if (p->fd >= 0 && !p->out_of_reach)
        sys4(SYS_epoll_ctl, wake.epoll, EPOLL_CTL_ADD, p->fd, &want);
    return true;
}

bool peers_out_of_reach(int at)
{
    return pidref[at].out_of_reach;
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static long send_command(int at, int sig)
{
    siginfo_t info;
    long ret = -ENOSYS;
    group_fill_command(&info, sig);
    if (pidref[at].fd >= 0)
        ret = sys4(SYS_pidfd_send_signal, pidref[at].fd, sig, &info, 0);
    /* Older kernels do not have pidfd_send_signal, and older sandboxes refuse what they do not know. */
    return ret == 0 || ret == -ESRCH ? ret : sys3(SYS_rt_sigqueueinfo, member_pid(member_at(at)), sig, &info);
}

static bool takes(int pid, int sig)
{
    return !proc_blocks(pid, sig) && !proc_status_has(pid, "SigIgn", sig);
}

/* Any drain signal makes a command. The signal that began the drain may be one that workers block, since it is for
 * their master alone (apache's WINCH). */
static int command_signal(int pid)
{
    if (takes(pid, deferred.first_signal))
        return deferred.first_signal;
    for (int sig = 1; sig < 64; sig++)
        if ((config.signals >> sig & 1) != 0 && takes(pid, sig))
            return sig;
    return deferred.first_signal;
}

void peers_command(int at)
{
    struct pidref *p = &pidref[at];
    if (p->commanded || p->out_of_reach)
        return;
    bool is_parent = member_pid(member_at(at)) == (int)sys0(SYS_getppid);
    long ret = is_parent ? -ESRCH : send_command(at, command_signal(member_pid(member_at(at))));
    if (ret == -EPERM)
        ret = send_command(at, SIGCONT); /* dispositions_accept_commands */
    p->commanded = true;
    p->out_of_reach = ret != 0;
}

void peers_end(int at)
{
    const struct pidref *p = &pidref[at];
    if (p->serial == member_at(at)->serial && p->fd >= 0 && !p->out_of_reach)
        sys4(SYS_pidfd_send_signal, p->fd, SIGKILL, 0, 0);
}
