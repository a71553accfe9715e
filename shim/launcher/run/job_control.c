/* job_control.c: see job_control.h. Source: tcsetpgrp(3), credentials(7), "Implementing a Shell" in glibc's manual. */
#include "launcher/run/job_control.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A small /dev may lack tty, and then the standard descriptors are what there is. */
int job_control_open(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    for (int standard = 0; fd < 0 && standard <= 2; standard++)
        if (tcgetpgrp(standard) > 0) /* fails for a terminal that is not the controlling one */
            fd = fcntl(standard, F_DUPFD_CLOEXEC, 3);
    return fd;
}

bool job_control_has(int fd, int group)
{
    return fd >= 0 && tcgetpgrp(fd) == group;
}

void job_control_give(int fd, int group)
{
    if (fd >= 0 && tcsetpgrp(fd, group) != 0)
        return; /* the terminal has hung up, or the group has ended: there is no group to give the terminal to */
}

/* The launcher's whole job stops, as the command alone would, so that the shell that started the job sees a stopped
 * job. Nothing stops where no shell could continue the job (PID 1, an orphaned process group: setpgid(2)). */
static void stop_here(int fd, int child)
{
    uint64_t all = ~(uint64_t)0, mask = all & ~((uint64_t)1 << (SIGTSTP - 1));
    if (job_control_has(fd, child))
        job_control_give(fd, getpgrp());
    kill(0, SIGTSTP);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
}

void job_control_stopped(int fd, int child, int signo)
{
    if (fd < 0 || signo == SIGSTOP)
        return;
    if (!job_control_has(fd, getpgrp()))
        stop_here(fd, child);
    if (job_control_has(fd, getpgrp()))
        job_control_give(fd, child);
    kill(-child, SIGCONT);
    kill(child, SIGCONT);
}
