/* shim_process.c: the process forks, becomes another program, locks itself into a sandbox, exits. */
#include "shim.h"

#include "compat/node_cluster.h"
#include "group/environment.h"
#include "group/member.h"
#include "group/peers.h"
#include "process/sandbox.h"
#include "signal/deliver.h"
#include "sys/sigmask.h"
#include "track/conn_log.h"

void shim_child_settled(void)
{
    self_settled();
    if (group_self())
        dispositions_accept_commands();
    member_settle();
    shim_follow();
}

int shim_fork_begin(void)
{
    static uint8_t said;
    self_fork_begins();
    if (!self_armed() || !self_is_our_process())
        return MEMBER_NONE;
    fds_share_all();
    if (!group_self())
        return MEMBER_NONE;
    int slot = member_fork_begin();
    if (slot == MEMBER_NONE && !__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
        log_warning("the group is full: another process drains alone");
    return slot;
}

void shim_forked_parent(int slot, int pid)
{
    if (self_armed()) {
        member_forked_parent(slot, pid);
        if (pid > 0)
            fds_share_all(); /* what other threads have accepted meanwhile */
    }
    self_fork_ends();
}

/* What each owner of state has to forget, besides self and listeners, which may be there before the process serves.
 * The drain is the parent's, and so is its thread, which is not here: the child serves, or execs. */
static void (*const after_fork[])(void) = {
    log_after_fork,      wake_after_fork,         deferred_after_fork,     stats_after_fork,
    slots_after_fork,    connections_after_fork,  dispositions_after_fork, state_after_fork,
    thread_after_fork,   exit_guard_after_fork,   drain_report_after_fork, peers_after_fork,
    conn_log_after_fork, node_cluster_after_fork,
};

static bool is_kept(int fd)
{
    return fd == group.fd || log_holds(fd) || drain_report_holds(fd);
}

static void forget_parent(int slot)
{
    self_after_fork();
    listeners_after_fork();
    if (!self_armed())
        return;
    ownfd_after_fork(is_kept);
    for (unsigned i = 0; i < COUNT(after_fork); i++)
        after_fork[i]();
    member_forked_child(slot);
    shim_hold_signals();
}

/* A signal may have come before fork() returned: our handler has found the fork then (shim_unseen_fork), and the child
 * may be in a drain of its own by now. */
static bool is_known_already(int slot)
{
    if (!self_has_noticed_fork())
        return false;
    member_give_back(slot);
    return true;
}

void shim_forked_child(int slot)
{
    if (is_known_already(slot))
        return;
    uint64_t mask = sigmask_block_all(); /* a drain that began now would be half forgotten */
    forget_parent(slot);
    sigmask_restore(mask);
}

void shim_unseen_fork(void)
{
    shim_forked_child(MEMBER_NONE);
}

bool shim_exec_begin(void)
{
    if (!self_armed() || (int)sys0(SYS_getpid) != self_pid())
        return false;
    if (self_is_pre_exec())
        deliver_deferred(); /* a deferred signal would be forgotten */
    if (listeners_survive_exec())
        member_set_flags(MEMBER_CARRIES);
    else
        member_clear_flags(MEMBER_CARRIES);
    member_exec_begin();
    return true;
}

int shim_exec_signal(bool loads, uint64_t *mask)
{
    if (loads)
        return deliver_over_exec(mask);
    deliver_deferred();
    return 0;
}

void shim_exec_failed(int sig, uint64_t mask)
{
    deliver_exec_failed(sig, mask);
    member_exec_failed();
}

/* A filter that would end the process for a call that lastcall makes, and the program does not, leaves one way:
 * lastcall makes no call any more, and everything passes through as without it. */
bool shim_sandbox_begin(const struct sock_fprog *filter)
{
    static uint8_t said;
    if (self_off() || deferred_draining() || (self_armed() && !self_is_our_process()) ||
        (filter && sandbox_spares(filter)))
        return false;
    log_cannot_watch("the program installs a seccomp filter that ends it at calls of lastcall: from then on everything "
                     "passes through, and nothing is drained",
                     &said);
    dispositions_give_back();
    dispositions_refuse_commands();
    return true;
}

void shim_sandbox_end(bool installed)
{
    if (!installed) {
        if (self_armed())
            shim_hold_signals();
        return;
    }
    member_leave();
    self_switch_off();
    slots_drop();
    environment_switch_off();
}

void shim_exit(void)
{
    if (!self_armed() || !self_is_our_process())
        return;
    undrained_end();
    exit_guard_wait();
    member_leave();
}
