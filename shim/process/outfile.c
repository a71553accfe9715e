/* outfile.c: see outfile.h. */
#include "process/outfile.h"

#include "process/ownfd.h"
#include "sys/logfile.h"

/* A held file that was removed meanwhile (by hand, or by a rotation of logs) is read by nobody. */
static bool is_up_to_date(const struct outfile *f)
{
    return f->fd >= 0 && !(f->held && logfile_is_removed(f->fd));
}

int outfile_open(struct outfile *f, const char *path)
{
    if (is_up_to_date(f))
        return 0;
    int fd = logfile_open(path);
    if (fd < 0)
        return f->fd >= 0 ? 0 : fd;
    ownfd_add(fd);
    f->fd = fd; /* the program's threads may be writing to one that is held: it stays open */
    f->held = false;
    return 0;
}

int outfile_hold(struct outfile *f, const char *path)
{
    int err = outfile_open(f, path);
    f->held = err == 0;
    return err < 0 ? err : f->fd;
}

void outfile_replaced(struct outfile *f, int fd)
{
    if (f->fd == fd)
        *f = (struct outfile){-1, false};
}

void outfile_forget_unheld(struct outfile *f)
{
    if (!f->held)
        f->fd = -1;
}
