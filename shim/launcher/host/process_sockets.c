/* process_sockets.c: see process_sockets.h. Source: proc(5). */
#include "launcher/host/process_sockets.h"

#include "sys/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
    int pid, parent;
};

struct processes { /* all that there are */
    struct process *at;
    unsigned count, room;
};

/* Room for one more of this size. False: no memory. */
static bool grow(void **at, unsigned count, unsigned *room, size_t size)
{
    if (count < *room)
        return true;
    unsigned more = *room ? 2 * *room : 64;
    void *grown = reallocarray(*at, more, size);
    if (!grown)
        return false;
    *at = grown;
    *room = more;
    return true;
}

static bool add_process(struct processes *all, int pid)
{
    if (!grow((void **)&all->at, all->count, &all->room, sizeof *all->at))
        return false;
    all->at[all->count++] = (struct process){pid, proc_parent(pid)};
    return true;
}

static bool list(struct processes *all)
{
    DIR *dir = opendir("/proc");
    bool whole = dir != NULL;
    const struct dirent *entry;
    while (whole && (entry = readdir(dir)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            whole = add_process(all, (int)strtol(entry->d_name, NULL, 10));
    if (dir)
        closedir(dir);
    return whole;
}

static int parent_of(const struct processes *all, int pid)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->at[i].pid == pid)
            return all->at[i].parent;
    return 0;
}

/* We are no part of it, but our children are: the program's first process, and, since we are its subreaper or PID 1,
 * whoever of it has lost its parent. */
static bool is_kin(const struct processes *all, int pid, int root)
{
    enum { DEEP = 256 }; /* the table is not of one moment: a number that was given out anew could make a ring */
    int self = (int)getpid();
    for (int i = 0; i < DEEP && pid > 0 && pid != self; i++) {
        int parent = parent_of(all, pid);
        if (pid == root || parent == self)
            return true;
        pid = parent;
    }
    return false;
}

static bool socket_of(int dir, const char *name, uint64_t *inode)
{
    char link[64];
    ssize_t n = readlinkat(dir, name, link, sizeof link - 1);
    if (n <= 0)
        return false;
    link[n] = '\0';
    if (strncmp(link, "socket:[", 8) != 0)
        return false;
    *inode = strtoull(link + 8, NULL, 10);
    return *inode != 0;
}

struct walk {
    struct family *family;
    void (*stranger)(uint64_t inode, void *arg);
    void *arg;
};

static bool add_socket(struct family *t, uint64_t inode, int pid, int fd)
{
    if (!grow((void **)&t->at, t->count, &t->room, sizeof *t->at))
        return false;
    t->at[t->count++] = (struct family_socket){inode, pid, fd};
    return true;
}

static bool look_into(const struct walk *w, int pid, bool kin)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir) {
        w->family->hidden += kin && errno != ENOENT && errno != ESRCH;
        return true;
    }
    bool whole = true;
    const struct dirent *entry;
    while (whole && (entry = readdir(dir))) {
        uint64_t inode;
        if (!socket_of(dirfd(dir), entry->d_name, &inode))
            continue;
        if (kin)
            whole = add_socket(w->family, inode, pid, (int)strtol(entry->d_name, NULL, 10));
        else
            w->stranger(inode, w->arg);
    }
    closedir(dir);
    return whole;
}

static int by_inode(const void *a, const void *b)
{
    const struct family_socket *x = a, *y = b;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

bool family_read(struct family *t, int root, void (*stranger)(uint64_t inode, void *arg), void *arg)
{
    struct processes all = {0};
    struct walk w = {t, stranger, arg};
    bool whole = list(&all);
    t->count = t->processes = t->hidden = 0;
    for (unsigned i = 0; whole && i < all.count; i++) {
        int pid = all.at[i].pid;
        bool kin = is_kin(&all, pid, root);
        t->processes += kin;
        if (kin || (stranger && pid != (int)getpid()))
            whole = look_into(&w, pid, kin);
    }
    free(all.at);
    qsort(t->at, t->count, sizeof *t->at, by_inode);
    return whole;
}

const struct family_socket *family_find(const struct family *t, uint64_t inode)
{
    struct family_socket key = {.inode = inode};
    return t->count ? bsearch(&key, t->at, t->count, sizeof *t->at, by_inode) : NULL;
}

void family_free(struct family *t)
{
    free(t->at);
    memset(t, 0, sizeof *t);
}
