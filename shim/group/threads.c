/* threads.c: see threads.h. */
#include "group/threads.h"

#include "group/group.h"
#include "process/deferred.h"
#include "process/self.h"
#include "process/stats.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <signal.h>

static void interrupt(int dir, const char *name, uint64_t tid, void *unused)
{
    siginfo_t info;
    (void)dir, (void)name, (void)unused;
    if ((long)tid == sys0(SYS_gettid) || proc_blocks((int)tid, deferred.first_signal))
        return;
    group_fill_command(&info, deferred.first_signal);
    __atomic_add_fetch(&stats.interrupts, 1, __ATOMIC_SEQ_CST); /* before the thread can answer */
    if (sys4(SYS_rt_tgsigqueueinfo, self_pid(), tid, deferred.first_signal, &info) != 0)
        __atomic_sub_fetch(&stats.interrupts, 1, __ATOMIC_SEQ_CST);
}

void threads_interrupt(void)
{
    if (group.table)
        proc_each(self_pid(), "/task", interrupt, NULL);
}
