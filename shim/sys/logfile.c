/* logfile.c: see logfile.h. */
#include "sys/logfile.h"

#include "sys/fd.h"
#include "sys/sigmask.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

struct logfile_id logfile_identify(int fd)
{
    struct stat st;
    if (sys2(SYS_fstat, fd, &st) != 0)
        return (struct logfile_id){0, 0};
    return (struct logfile_id){st.st_dev, st.st_ino};
}

bool logfile_is(int fd, struct logfile_id id)
{
    struct stat st;
    return sys2(SYS_fstat, fd, &st) == 0 && st.st_dev == id.dev && st.st_ino == id.inode;
}

/* A log line never ends the program: neither into a pipe that nobody reads nor over RLIMIT_FSIZE (sshd limits the
 * process that faces its client to 0). */
static long write_unheard(int fd, const char *line, size_t n)
{
    struct sigmask_raising before;
    sigmask_raising_begin(&before);
    long done = sys3(SYS_write, fd, line, n);
    sigmask_raising_end(&before, done == -EPIPE ? SIGPIPE : done == -EFBIG ? SIGXFSZ : 0);
    return done;
}

bool logfile_write(int fd, const char *line, size_t n)
{
    while (n > 0) {
        long done = write_unheard(fd, line, n);
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return false; /* full disk, closed pipe: a log line is never worth more than that */
        line += done;
        n -= (size_t)done;
    }
    return true;
}

uint64_t logfile_end(int fd)
{
    struct stat st;
    return sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

void logfile_take_back(int fd, uint64_t end)
{
    if (logfile_end(fd) > end)
        sys2(SYS_ftruncate, fd, end);
}

void logfile_to_stderr(struct logfile_id id, const char *line, size_t n)
{
    struct pollfd ready = {2, POLLOUT, 0};
    struct timespec now = {0, 0};
    if (!logfile_is(2, id))
        return;
    if (sys5(SYS_ppoll, &ready, 1, &now, 0, 8) == 1 && ready.revents == POLLOUT)
        write_unheard(2, line, n);
}

/* The owner of the link could have named its target as well. /dev/stderr is root's, /proc/self/fd/2 our own. */
static bool is_trusted_link(const char *path)
{
    struct stat st;
    return sys4(SYS_newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
           (st.st_uid == 0 || (long)st.st_uid == sys0(SYS_geteuid));
}

static bool has_other_names(int fd)
{
    struct stat st;
    return sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1;
}

bool logfile_is_removed(int fd)
{
    struct stat st;
    return sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0;
}

int logfile_open(const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = (int)sys4(SYS_openat, AT_FDCWD, path, flags | O_NOFOLLOW, 0644);
    if (fd == -ELOOP && is_trusted_link(path))
        fd = (int)sys4(SYS_openat, AT_FDCWD, path, flags, 0644);
    if (fd >= 0 && has_other_names(fd)) {
        sys1(SYS_close, fd);
        fd = -EMLINK;
    }
    return fd_move_high(fd);
}

bool logfile_lock(int fd)
{
    enum { TRIES = 20 };
    const struct timespec moment = {0, 5 * 1000 * 1000};
    long err = -EWOULDBLOCK;
    for (int i = 0; i < TRIES && (err = sys2(SYS_flock, fd, LOCK_EX | LOCK_NB)) == -EWOULDBLOCK; i++)
        sys2(SYS_nanosleep, &moment, 0);
    return err == 0;
}

void logfile_unlock(int fd)
{
    sys2(SYS_flock, fd, LOCK_UN);
}
