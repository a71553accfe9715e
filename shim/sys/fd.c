/* fd.c: see fd.h. */
#include "sys/fd.h"

#include "sys/syscall.h"

#include <fcntl.h>

static int high;

void fd_set_high(int base)
{
    high = base;
}

int fd_high(void)
{
    return high;
}

int fd_move_high(int fd)
{
    if (fd < 0 || fd >= high)
        return fd;
    int moved = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, high);
    if (moved < 0)
        return fd;
    sys1(SYS_close, fd);
    return moved;
}

bool fd_is_nonblocking(int fd)
{
    long flags = sys3(SYS_fcntl, fd, F_GETFL, 0);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}
