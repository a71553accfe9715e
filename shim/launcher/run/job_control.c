/* job_control.c: see job_control.h. Source: tcsetpgrp(3), credentials(7), "Implementing a Shell" in glibc's manual. */
#include "launcher/run/job_control.h"

#include <fcntl.h>
#include <unistd.h>

/* A small /dev may lack tty, and then the standard descriptors are what there is. */
int terminal_open(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    for (int standard = 0; fd < 0 && standard <= 2; standard++)
        if (tcgetpgrp(standard) > 0) /* fails for a terminal that is not the controlling one */
            fd = fcntl(standard, F_DUPFD_CLOEXEC, 3);
    return fd;
}

bool terminal_has(int fd, int group)
{
    return fd >= 0 && tcgetpgrp(fd) == group;
}

void terminal_give(int fd, int group)
{
    if (fd >= 0 && tcsetpgrp(fd, group) != 0)
        return; /* hung up, or the group is gone: there is nobody to give it to */
}
