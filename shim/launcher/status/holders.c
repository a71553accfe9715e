/* holders.c: see holders.h. Source: proc(5), pid_namespaces(7), memfd_create(2). */
#include "launcher/status/holders.h"

#include "launcher/host/array.h"
#include "launcher/host/process.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char memory_link[] = "/memfd:lastcall (deleted)";

enum { AFTER = 64 /* descriptors read after a first memory */ };

/* ---- the memory of a group --------------------------------------------------------------------------------------- */

static long mount_of(const char *fdinfo)
{
    char text[512];
    const char *line = process_file(fdinfo, text, sizeof text) > 0 ? strstr(text, "mnt_id:") : NULL;
    return line ? strtol(line + 7, NULL, 10) : -1;
}

/* The mount of all memory files (memfd), where no process can put another file. The text of a link does not prove a
 * memory file: the file could be in another process's mount namespace, where open, or even stat, may never return
 * (FUSE). */
static long memory_mount(void)
{
    static long mount = -2;
    char path[PROCESS_PATH];
    if (mount != -2)
        return mount;
    int fd = memfd_create("lastcall-status", MFD_CLOEXEC);
    mount = fd < 0 ? -1 : mount_of(process_fd_path(path, (int)getpid(), "fdinfo", fd));
    if (fd >= 0)
        close(fd);
    return mount;
}

static bool is_memory(int pid, int fd)
{
    char path[PROCESS_PATH];
    long mount = memory_mount();
    return mount >= 0 && mount_of(process_fd_path(path, pid, "fdinfo", fd)) == mount;
}

long holders_table(const struct holder *h, void *to, size_t size, uint64_t *whole)
{
    char path[PROCESS_PATH];
    struct stat st;
    if (!is_memory(h->pid, h->fd))
        return -ENOENT;
    int fd = open(process_fd_path(path, h->pid, "fd", h->fd), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Another one may be there by now. */
    bool same = fstat(fd, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->ino;
    *whole = same ? (uint64_t)st.st_size : 0;
    long n = same ? pread(fd, to, size, 0) : -1;
    close(fd);
    return n < 0 ? -ENOENT : n;
}

/* ---- all processes ----------------------------------------------------------------------------------------------- */

static struct holder *another(struct holders *all)
{
    if (!array_grow(&all->at, all->count, &all->room, sizeof *all->at))
        return NULL;
    memset(&all->at[all->count], 0, sizeof *all->at);
    return &all->at[all->count++];
}

struct look { /* at the descriptors of one process */
    struct holders *all;
    int pid;
    unsigned first; /* of its entries */
    unsigned after; /* descriptors after the process's first memory */
    unsigned sockets;
    uint64_t socket[HOLDER_SOCKETS];
    bool whole; /* there was memory for all */
};

/* A memory that a process holds twice counts once. */
static void add_memory(struct look *l, int dir, const char *name, int fd)
{
    struct holders *all = l->all;
    struct stat st;
    if (!is_memory(l->pid, fd) || fstatat(dir, name, &st, 0) != 0)
        return;
    for (unsigned i = l->first; i < all->count; i++)
        if (all->at[i].dev == st.st_dev && all->at[i].ino == st.st_ino)
            return;
    struct holder *h = another(all);
    l->whole = h != NULL;
    if (!h)
        return;
    h->pid = l->pid;
    h->fd = fd;
    h->dev = st.st_dev;
    h->ino = st.st_ino;
}

/* Descriptors come in ascending order, and a group's memory has a high number: the listeners come before the memory. */
static void look_at_descriptor(int dir, const char *name, uint64_t fd, void *arg)
{
    struct look *l = arg;
    char link[PROCESS_PATH];
    ssize_t n = l->whole && l->after < AFTER ? readlinkat(dir, name, link, sizeof link - 1) : 0;
    if (n <= 0)
        return;
    link[n] = '\0';
    l->after += l->all->count > l->first;
    uint64_t inode = l->sockets < HOLDER_SOCKETS ? proc_link_inode(link, (size_t)n) : 0;
    if (inode)
        l->socket[l->sockets++] = inode;
    else if (strcmp(link, memory_link) == 0)
        add_memory(l, dir, name, (int)fd);
}

static void look_into(int proc, const char *name, uint64_t pid, void *arg)
{
    struct holders *all = arg;
    struct look l = {.all = all, .pid = (int)pid, .first = all->count, .whole = true};
    char path[PROCESS_PATH];
    (void)proc;
    (void)name;
    if (l.pid == (int)getpid() || all->incomplete)
        return;
    int err = proc_each_number(process_path(path, l.pid, "fd"), look_at_descriptor, &l);
    all->hidden += err == -EACCES || err == -EPERM;
    all->incomplete = !l.whole;
    for (unsigned i = l.first; i < all->count; i++) {
        struct holder *h = &all->at[i];
        memcpy(h->socket, l.socket, l.sockets * sizeof *h->socket);
        h->sockets = l.sockets;
        h->spaces = process_numbers(l.pid, h->own, HOLDER_SPACES);
        if (h->spaces == 0)
            all->count = l.first; /* the process has ended: and with it all that it held */
    }
}

bool holders_read(struct holders *all)
{
    memset(all, 0, sizeof *all);
    return proc_each_number("/proc", look_into, all) == 0 && !all->incomplete;
}

void holders_free(struct holders *all)
{
    free(all->at);
    memset(all, 0, sizeof *all);
}

/* ---- a process that is no holder --------------------------------------------------------------------------------- */

struct kind {
    enum process_kind kind;
    uint64_t *ino;
};

static bool look_at_mapping(const struct proc_mapping *m, void *arg)
{
    static const char library[] = "liblastcall";
    struct kind *k = arg;
    if (m->length >= sizeof memory_link - 1 && memcmp(m->name, memory_link, sizeof memory_link - 1) == 0) {
        *k->ino = m->inode;
        k->kind = PROCESS_MAPPED;
        return false;
    }
    if (m->length > 0 && *m->name == '/' && memmem(m->name, m->length, library, sizeof library - 1))
        k->kind = PROCESS_PRELOADED;
    return true;
}

enum process_kind holders_process_kind(int pid, uint64_t *ino)
{
    char path[PROCESS_PATH], state;
    int parent;
    struct kind k = {PROCESS_UNRELATED, ino};
    if (access(process_path(path, pid, "stat"), F_OK) != 0)
        return PROCESS_NONE;
    if (!process_life(pid, &state, &parent) || state == 'Z' || state == 'X')
        return PROCESS_ENDED;
    switch (proc_each_mapping(pid, look_at_mapping, &k)) {
    case 0: return k.kind;
    case -EACCES:
    case -EPERM: return PROCESS_FORBIDDEN;
    case -ESRCH: return PROCESS_ENDED;
    default: return PROCESS_NONE;
    }
}
