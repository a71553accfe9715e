/* forward.c: see forward.h. */
#include "launcher/run/forward.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void forward_signal(int pid, const struct signalfd_siginfo *info)
{
    if (info->ssi_code == SI_QUEUE) {
        const union sigval value = {.sival_ptr = (void *)(uintptr_t)info->ssi_ptr};
        siginfo_t queued;
        memset(&queued, 0, sizeof queued);
        queued.si_signo = (int)info->ssi_signo;
        queued.si_code = SI_QUEUE;
        queued.si_pid = getpid();
        queued.si_uid = getuid();
        queued.si_value = value;
        if (syscall(SYS_rt_sigqueueinfo, pid, info->ssi_signo, &queued) == 0)
            return;
    }
    kill(pid, (int)info->ssi_signo);
}
