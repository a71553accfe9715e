/* group.c: see group.h. */
#include "group/group.h"

#include "core/text.h"
#include "sys/memfd.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <time.h>

HIDDEN struct group group = {.at = MEMBER_NONE, .fd = -1, .coordinator = MEMBER_NONE};

nsec_t group_boottime(void)
{
    struct timespec now = {0, 0};
    sys2(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

/* ---- its members ---------------------------------------------------------------------------------------------- */

struct member *group_coordinator(void)
{
    int at = group_self() ? group_table_coordinator(group.table, group.at) : MEMBER_NONE;
    return at == MEMBER_NONE ? NULL : &group.table->member[at];
}

bool group_contains(int pid)
{
    return pid > 0 && group.table && group_table_find(group.table, pid) != MEMBER_NONE;
}

bool group_has_serial(uint32_t serial)
{
    for (int i = 0; group.table && i < group_table_top(group.table); i++)
        if (group.table->member[i].serial == serial && group.table->member[i].state != MEMBER_FREE)
            return true;
    return false;
}

bool group_is_mapped_by(int pid)
{
    uint64_t inode = group.table ? memfd_inode(group.fd, sizeof *group.table) : 0;
    return inode == 0 || proc_maps_inode(pid, inode);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static void *command_value(void)
{
    return (void *)(uintptr_t)(group.table ? group.table->cookie : 0);
}

void group_fill_command(void *siginfo, int sig)
{
    siginfo_t *info = siginfo;
    memset(info, 0, sizeof *info);
    info->si_signo = sig;
    info->si_code = SI_QUEUE;
    info->si_pid = (pid_t)sys0(SYS_getpid);
    info->si_value.sival_ptr = command_value();
}

bool group_is_command(const void *value)
{
    return group.table && value == command_value();
}

/* ---- waking ----------------------------------------------------------------------------------------------------- */

static void wake(uint32_t *word)
{
    __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
    sys3(SYS_futex, word, FUTEX_WAKE, INT_MAX); /* not private: other processes wait on it */
}

void group_wake_coordinators(void)
{
    if (group.table)
        wake(&group.table->events);
}

void group_wake_participants(void)
{
    if (group.table)
        wake(&group.table->commands);
}

void group_queue_moved(nsec_t stopped_at)
{
    if (group.table && stopped_at != 0)
        __atomic_store_n(&group.table->queue_moved_at, stopped_at, __ATOMIC_RELEASE);
    group_wake_coordinators();
    group_wake_participants();
}

nsec_t group_queue_moved_at(void)
{
    return group.table ? __atomic_load_n(&group.table->queue_moved_at, __ATOMIC_ACQUIRE) : 0;
}

/* ---- aborted requests -------------------------------------------------------------------------------------------- */

static void copy(char *to, size_t size, const char *from, size_t n)
{
    n = n < size - 1 ? n : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

void group_add_aborted(const struct report_aborted *aborted)
{
    static uint32_t full_for; /* the member with this serial found no room */
    const struct member *self = group_self();
    struct group_aborted *note =
        self && full_for != self->serial ? group_table_add_aborted(group.table, self->serial) : NULL;
    if (self && !note)
        full_for = self->serial; /* a search for each of thousands would take time that a deadline does not leave */
    if (!note)
        return;
    copy(note->peer, sizeof note->peer, aborted->peer, text_length(aborted->peer));
    copy(note->method, sizeof note->method, aborted->method, aborted->method_len);
    note->facts = *aborted;
}
