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

static int move(int fd, int from)
{
    if (fd < 0 || fd >= from)
        return fd;
    int moved = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
    if (moved < 0)
        return fd;
    sys1(SYS_close, fd);
    return moved;
}

int fd_move_high(int fd)
{
    return move(fd, high);
}

int fd_move_up(int fd)
{
    static const short from[] = {500, 200, 100};
    int moved = fd;
    for (unsigned i = 0; i < COUNT(from) && moved == fd; i++)
        moved = move(fd, from[i]);
    return moved;
}

bool fd_is_nonblocking(int fd)
{
    long flags = sys3(SYS_fcntl, fd, F_GETFL, 0);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}
