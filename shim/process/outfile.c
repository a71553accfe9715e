/* outfile.c: see outfile.h. */
#include "process/outfile.h"

#include "process/ownfd.h"
#include "sys/fd.h"

static void forget(struct outfile *f)
{
    *f = (struct outfile){.fd = -1};
}

/* Any thread may ask, while another one opens the file: nothing is changed here. */
int outfile_fd(const struct outfile *f)
{
    int fd = __atomic_load_n(&f->fd, __ATOMIC_ACQUIRE);
    return fd >= 0 && logfile_is(fd, f->id) ? fd : -1;
}

/* A held file that was removed meanwhile (by hand, or by a rotation of logs) is read by nobody. */
static bool is_up_to_date(struct outfile *f)
{
    if (f->fd < 0)
        return false;
    if (outfile_fd(f) >= 0)
        return !(f->held && logfile_is_removed(f->fd));
    ownfd_remove(f->fd);
    forget(f);
    return false;
}

static int open_file(struct outfile *f, const char *path, bool hold)
{
    int fd = logfile_open(path);
    if (fd < 0)
        return f->fd >= 0 ? 0 : fd;
    if (hold)
        fd = fd_move_up(fd);
    ownfd_add(fd);
    f->id = logfile_identify(fd);
    f->held = false;
    /* The program's threads may be writing to one that is held: it stays open. */
    __atomic_store_n(&f->fd, fd, __ATOMIC_RELEASE);
    return 0;
}

int outfile_open(struct outfile *f, const char *path)
{
    return is_up_to_date(f) ? 0 : open_file(f, path, false);
}

int outfile_hold(struct outfile *f, const char *path)
{
    int err = is_up_to_date(f) ? 0 : open_file(f, path, true);
    f->held = err == 0;
    return err < 0 ? err : f->fd;
}

void outfile_replaced(struct outfile *f, int fd)
{
    if (f->fd == fd)
        forget(f);
}

void outfile_forget_unheld(struct outfile *f)
{
    if (!f->held)
        forget(f);
}
