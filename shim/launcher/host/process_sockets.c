/* process_sockets.c: see process_sockets.h. Source: proc(5), pidfd_getfd(2). */
#include "launcher/host/process_sockets.h"

#include "launcher/host/array.h"
#include "launcher/host/process.h"
#include "launcher/host/process_tree.h"
#include "sys/net.h"
#include "sys/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- one process ------------------------------------------------------------------------------------------------- */

struct walk {
    int pid;
    void (*f)(const struct process_socket *s, void *arg);
    void *arg;
};

static void visit(int dir, const char *name, uint64_t fd, void *arg)
{
    const struct walk *w = arg;
    char link[64];
    ssize_t n = readlinkat(dir, name, link, sizeof link);
    const struct process_socket s = {n > 0 ? proc_link_inode(link, (size_t)n) : 0, w->pid, (int)fd};
    if (s.inode)
        w->f(&s, w->arg);
}

int process_sockets_each(int pid, void (*f)(const struct process_socket *s, void *arg), void *arg)
{
    char path[PROCESS_PATH];
    struct walk w = {pid, f, arg};
    return proc_each_number(process_path(path, pid, "fd"), visit, &w);
}

uint64_t process_sockets_inode(int pid, int fd)
{
    char path[PROCESS_PATH], link[64];
    ssize_t n = readlink(process_fd_path(path, pid, "fd", fd), link, sizeof link);
    return n > 0 ? proc_link_inode(link, (size_t)n) : 0;
}

int process_sockets_take(const struct process_socket *s)
{
    int process = (int)syscall(SYS_pidfd_open, s->pid, 0);
    if (process < 0)
        return -errno;
    int fd = (int)syscall(SYS_pidfd_getfd, process, s->fd, 0);
    int failed = errno;
    close(process);
    if (fd < 0)
        return failed == EBADF ? -ESRCH : -failed;
    if (sock_inode(fd) == s->inode)
        return fd;
    close(fd); /* that number is another descriptor by now */
    return -ESRCH;
}

/* ---- all descendants --------------------------------------------------------------------------------------------- */

struct collecting {
    struct process_sockets *to;
    bool whole;
};

static void add_socket(const struct process_socket *s, void *arg)
{
    struct collecting *c = arg;
    struct process_sockets *t = c->to;
    c->whole = c->whole && array_grow(&t->at, t->count, &t->room, sizeof *t->at);
    if (c->whole)
        t->at[t->count++] = *s;
}

static int by_inode(const void *a, const void *b)
{
    const struct process_socket *x = a, *y = b;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

bool process_sockets_read(struct process_sockets *t, void (*other)(const struct process_socket *s, void *arg),
                          void *arg)
{
    struct processes all = {0};
    struct collecting c = {t, process_tree_read_all(&all)};
    t->count = t->processes = t->hidden = 0;
    for (unsigned i = 0; c.whole && i < all.count; i++) {
        int pid = all.at[i].pid;
        if (all.at[i].descendant) {
            int err = process_sockets_each(pid, add_socket, &c);
            t->processes++;
            t->hidden += err != 0 && err != -ENOENT && err != -ESRCH;
        } else if (other && pid != (int)getpid()) {
            process_sockets_each(pid, other, arg);
        }
    }
    process_tree_free(&all);
    if (t->count > 0)
        qsort(t->at, t->count, sizeof *t->at, by_inode);
    return c.whole;
}

const struct process_socket *process_sockets_find(const struct process_sockets *t, uint64_t inode)
{
    struct process_socket key = {.inode = inode};
    return t->count ? bsearch(&key, t->at, t->count, sizeof *t->at, by_inode) : NULL;
}

void process_sockets_free(struct process_sockets *t)
{
    free(t->at);
    memset(t, 0, sizeof *t);
}
