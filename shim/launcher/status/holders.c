/* holders.c: see holders.h. Source: proc(5), pid_namespaces(7), memfd_create(2). */
#include "launcher/status/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char memory_link[] = "/memfd:lastcall (deleted)";

enum { PATH = 64, AFTER = 64 /* descriptors looked at behind a first memory */ };

/* The start of a file of /proc; NUL-terminated. -errno if it cannot be read. */
static long slurp(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    long n = read(fd, to, size - 1);
    int failed = errno;
    close(fd);
    if (n < 0)
        return -failed;
    to[n] = '\0';
    return n;
}

static const char *file_of(char path[static PATH], int pid, const char *name)
{
    snprintf(path, PATH, "/proc/%d/%s", pid, name);
    return path;
}

static const char *descriptor_of(char path[static PATH], int pid, const char *directory, int fd)
{
    snprintf(path, PATH, "/proc/%d/%s/%d", pid, directory, fd);
    return path;
}

/* ---- the memory of a group ---------------------------------------------------------------------------------------- */

static long mount_of(const char *fdinfo)
{
    char text[512];
    const char *line = slurp(fdinfo, text, sizeof text) > 0 ? strstr(text, "mnt_id:") : NULL;
    return line ? strtol(line + 7, NULL, 10) : -1;
}

/* The mount on which all memory files lie, and nothing else but what nobody can put there: a link's text alone could be
 * that of a file in somebody's own mount namespace, where to open, even to stat it, may never return (FUSE). */
static long memory_mount(void)
{
    static long mount = -2;
    char path[PATH];
    if (mount != -2)
        return mount;
    int fd = memfd_create("lastcall-status", MFD_CLOEXEC);
    mount = fd < 0 ? -1 : mount_of(descriptor_of(path, (int)getpid(), "fdinfo", fd));
    if (fd >= 0)
        close(fd);
    return mount;
}

static bool is_memory(int pid, int fd)
{
    char path[PATH];
    long mount = memory_mount();
    return mount >= 0 && mount_of(descriptor_of(path, pid, "fdinfo", fd)) == mount;
}

long proc_table(const struct holder *h, void *to, size_t size, uint64_t *whole)
{
    char path[PATH];
    struct stat st;
    if (!is_memory(h->pid, h->fd))
        return -ENOENT;
    int fd = open(descriptor_of(path, h->pid, "fd", h->fd), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Another one may be there by now. */
    bool same = fstat(fd, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->ino;
    *whole = same ? (uint64_t)st.st_size : 0;
    long n = same ? pread(fd, to, size, 0) : -1;
    close(fd);
    return n < 0 ? -ENOENT : n;
}

/* ---- a process's memory and descriptors ----------------------------------------------------------------------------- */

int proc_memory(int pid)
{
    char path[PATH];
    int fd = open(file_of(path, pid, "mem"), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool proc_peek(int mem, uint64_t address, void *to, size_t size)
{
    return address <= INT64_MAX - size && pread(mem, to, size, (off_t)address) == (ssize_t)size;
}

static bool socket_inode(const char *link, uint64_t *inode)
{
    if (strncmp(link, "socket:[", 8) != 0)
        return false;
    *inode = strtoull(link + 8, NULL, 10);
    return *inode != 0;
}

uint64_t proc_socket(int pid, int fd)
{
    char path[PATH], link[PATH];
    uint64_t inode = 0;
    ssize_t n = readlink(descriptor_of(path, pid, "fd", fd), link, sizeof link - 1);
    if (n <= 0)
        return 0;
    link[n] = '\0';
    return socket_inode(link, &inode) ? inode : 0;
}

size_t proc_name(int pid, char *to, size_t size)
{
    char path[PATH];
    long n = slurp(file_of(path, pid, "comm"), to, size);
    return n > 0 ? (size_t)n : 0;
}

int proc_of_thread(int pid)
{
    char path[PATH], text[4096];
    const char *at = slurp(file_of(path, pid, "status"), text, sizeof text) > 0 ? strstr(text, "\nTgid:") : NULL;
    int process = at ? (int)strtol(at + 6, NULL, 10) : 0;
    return process > 0 ? process : pid;
}

bool proc_numbers(int pid, struct holder *h)
{
    char path[PATH], text[4096];
    h->spaces = 0;
    if (slurp(file_of(path, pid, "status"), text, sizeof text) <= 0)
        return false;
    char *at = strstr(text, "\nNSpid:");
    if (!at) { /* a kernel without namespaces */
        h->own[h->spaces++] = pid;
        return true;
    }
    for (at += 7; h->spaces < HOLDER_SPACES && *at == '\t';)
        h->own[h->spaces++] = (int)strtol(at, &at, 10);
    return h->spaces > 0;
}

/* ---- all processes -------------------------------------------------------------------------------------------------- */

static struct holder *another(struct holders *all)
{
    if (all->count == all->room) {
        unsigned room = all->room ? 2 * all->room : 16;
        struct holder *grown = realloc(all->at, room * sizeof *grown);
        if (!grown)
            return NULL;
        all->at = grown;
        all->room = room;
    }
    memset(&all->at[all->count], 0, sizeof *all->at);
    return &all->at[all->count++];
}

/* One that is held twice counts once. */
static bool add_memory(struct holders *all, unsigned first, int pid, int dir, int fd)
{
    char name[16];
    struct stat st;
    snprintf(name, sizeof name, "%d", fd);
    if (!is_memory(pid, fd) || fstatat(dir, name, &st, 0) != 0)
        return true;
    for (unsigned i = first; i < all->count; i++)
        if (all->at[i].dev == st.st_dev && all->at[i].ino == st.st_ino)
            return true;
    struct holder *h = another(all);
    if (!h)
        return false;
    h->pid = pid;
    h->fd = fd;
    h->dev = st.st_dev;
    h->ino = st.st_ino;
    return true;
}

/* Descriptors come in order, and a group's memory has a high one: the listeners are before it. */
static bool look_through(struct holders *all, int pid, DIR *dir)
{
    uint64_t socket[HOLDER_SOCKETS];
    unsigned sockets = 0, first = all->count, after = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) && after < AFTER) {
        char link[PATH];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        after += all->count > first;
        if (sockets < HOLDER_SOCKETS && socket_inode(link, &socket[sockets]))
            sockets++;
        else if (strcmp(link, memory_link) == 0 && !add_memory(all, first, pid, dirfd(dir), atoi(entry->d_name)))
            return false;
    }
    for (unsigned i = first; i < all->count; i++) {
        memcpy(all->at[i].socket, socket, sockets * sizeof *socket);
        all->at[i].sockets = sockets;
    }
    return true;
}

static bool look_into(struct holders *all, int pid)
{
    char path[PATH];
    unsigned before = all->count;
    DIR *dir = opendir(file_of(path, pid, "fd"));
    if (!dir) {
        all->hidden += errno == EACCES || errno == EPERM;
        return true;
    }
    bool enough = look_through(all, pid, dir);
    closedir(dir);
    for (unsigned i = before; i < all->count; i++)
        if (!proc_numbers(pid, &all->at[i]))
            all->count = before; /* it has ended: and with it all that it held */
    return enough;
}

bool proc_holders(struct holders *all)
{
    const struct dirent *entry;
    bool enough = true;
    memset(all, 0, sizeof *all);
    DIR *dir = opendir("/proc");
    if (!dir)
        return false;
    while (enough && (entry = readdir(dir)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != (int)getpid())
            enough = look_into(all, atoi(entry->d_name));
    closedir(dir);
    return enough;
}

void proc_free(struct holders *all)
{
    free(all->at);
    memset(all, 0, sizeof *all);
}

/* ---- one that is no holder -------------------------------------------------------------------------------------------- */

static bool is_zombie(int pid)
{
    char path[PATH], text[512];
    const char *end;
    if (slurp(file_of(path, pid, "stat"), text, sizeof text) <= 0 || !(end = strrchr(text, ')')))
        return true;
    return end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

/* address perms offset dev inode path */
static enum proc_kind kind_of_line(const char *line, uint64_t *ino)
{
    const char *name = strchr(line, '/');
    unsigned long long inode = 0;
    if (!name)
        return PROC_STRANGER;
    if (strncmp(name, memory_link, sizeof memory_link - 1) == 0 && sscanf(line, "%*s %*s %*s %*s %llu", &inode) == 1) {
        *ino = inode;
        return PROC_MAPPED;
    }
    return strstr(name, "liblastcall") ? PROC_PRELOADED : PROC_STRANGER;
}

static enum proc_kind kind_by_maps(FILE *maps, uint64_t *ino)
{
    char line[4400]; /* a path has at most 4096 */
    enum proc_kind kind = PROC_STRANGER;
    while (kind != PROC_MAPPED && fgets(line, sizeof line, maps)) {
        enum proc_kind of_line = kind_of_line(line, ino);
        kind = of_line > kind ? of_line : kind;
    }
    return kind;
}

enum proc_kind proc_kind(int pid, uint64_t *ino)
{
    char path[PATH];
    if (access(file_of(path, pid, "stat"), F_OK) != 0)
        return PROC_NONE;
    if (is_zombie(pid))
        return PROC_ENDED;
    FILE *maps = fopen(file_of(path, pid, "maps"), "re");
    if (!maps)
        return errno == EACCES || errno == EPERM ? PROC_FORBIDDEN : PROC_NONE;
    enum proc_kind kind = kind_by_maps(maps, ino);
    bool ended = ferror(maps) != 0;
    fclose(maps);
    return ended ? PROC_ENDED : kind;
}

int proc_network(int pid, bool *foreign)
{
    char path[PATH];
    struct stat ours, theirs;
    *foreign = false;
    int fd = open(file_of(path, pid, "ns/net"), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &theirs) != 0 || stat("/proc/self/ns/net", &ours) != 0)
        *foreign = true;
    else if (theirs.st_ino != ours.st_ino)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
