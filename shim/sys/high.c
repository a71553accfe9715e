/* high.c: see high.h. */
#include "sys/high.h"

#include "sys/syscall.h"

#include <fcntl.h>

static int from;

void high_set(int base)
{
    from = base;
}

int high_move(int fd)
{
    if (fd < 0 || fd >= from)
        return fd;
    int moved = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
    if (moved < 0)
        return fd;
    sys1(SYS_close, fd);
    return moved;
}
