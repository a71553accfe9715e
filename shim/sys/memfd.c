/* memfd.c: see memfd.h. Source: memfd_create(2), fcntl(2) on seals. */
#include "sys/memfd.h"

#include "sys/fd.h"
#include "sys/proc.h"
#include "sys/sigmask.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW, MFD_NOEXEC_SEAL_ = 8 };

static const char name[] = "lastcall";
static const char link_text[] = "/memfd:lastcall (deleted)";

static void *map(size_t size, int flags, int fd)
{
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* SIGXFSZ over RLIMIT_FSIZE (ftruncate(2)). */
static bool grow(int fd, size_t size)
{
    struct sigmask_raising before;
    sigmask_raising_begin(&before);
    long err = sys2(SYS_ftruncate, fd, size);
    sigmask_raising_end(&before, err == -EFBIG ? SIGXFSZ : 0);
    return err == 0;
}

void *memfd_make(size_t size, int *fd)
{
    *fd = (int)sys2(SYS_memfd_create, name, MFD_ALLOW_SEALING | MFD_CLOEXEC | MFD_NOEXEC_SEAL_);
    if (*fd == -EINVAL) /* before Linux 6.3 */
        *fd = (int)sys2(SYS_memfd_create, name, MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (*fd >= 0 && grow(*fd, size) && sys3(SYS_fcntl, *fd, F_ADD_SEALS, SEALS) == 0) {
        void *at = map(size, 0, *fd);
        if (at) {
            *fd = fd_move_up(*fd);
            return at;
        }
    }
    if (*fd >= 0)
        sys1(SYS_close, *fd);
    *fd = -1;
    return map(size, MAP_ANONYMOUS, -1);
}

uint64_t memfd_inode(int fd, size_t size)
{
    struct stat st;
    long seals = sys2(SYS_fcntl, fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || sys2(SYS_fstat, fd, &st) != 0 || (size_t)st.st_size != size)
        return 0;
    return st.st_ino;
}

void *memfd_join(int fd, size_t size)
{
    return memfd_inode(fd, size) != 0 ? map(size, 0, fd) : NULL;
}

struct search {
    int found;
};

/* The link first: to open what else may be behind it (a FIFO, a device) could do something. */
static int open_link(int dir, const char *path)
{
    char target[sizeof link_text + 8];
    long n = sys4(SYS_readlinkat, dir, path, target, sizeof target);
    if (n != (long)sizeof link_text - 1 || memcmp(target, link_text, sizeof link_text - 1) != 0)
        return -ENOENT;
    return (int)sys4(SYS_openat, dir, path, O_RDWR | O_CLOEXEC, 0);
}

static void look(int dir, const char *number, uint64_t value, void *arg)
{
    struct search *s = arg;
    (void)value;
    if (s->found < 0)
        s->found = open_link(dir, number);
}

int memfd_of(int pid)
{
    struct search s = {-ENOENT};
    proc_each(pid, "/fd", look, &s);
    return s.found < 0 ? s.found : fd_move_up(s.found);
}

int memfd_open(int pid, int fd)
{
    char path[64];
    int opened = open_link(AT_FDCWD, proc_fd_path(path, pid, fd));
    return opened < 0 ? opened : fd_move_up(opened);
}

bool memfd_may_be_opened(int pid, int fd)
{
    enum { READ_AND_WRITE = 4 | 2 };
    char path[64];
    return sys3(SYS_faccessat, AT_FDCWD, proc_fd_path(path, pid, fd), READ_AND_WRITE) == 0;
}
