/* proc.c: see proc.h. Source: proc(5), getdents64(2). */
#include "proc.h"

#include "high.h"
#include "syscall.h"

#include <fcntl.h>
#include <sys/stat.h>

struct dirent64 {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

static bool parse_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    *out = value;
    return true;
}

/* Call f for every name in directory dir that is a number; closes dir. */
static void each_number(int dir, void (*f)(int dir, const char *name, uint64_t number, void *arg), void *arg)
{
    char buf[4096] __attribute__((aligned(8)));
    long n;
    while ((n = sys3(SYS_getdents64, dir, buf, sizeof buf)) > 0)
        for (long at = 0; at < n;) {
            const struct dirent64 *d = (const void *)(buf + at);
            uint64_t number;
            if (parse_number(d->name, &number))
                f(dir, d->name, number, arg);
            at += d->len;
        }
    sys1(SYS_close, dir);
}

static int open_dir(int at, const char *path)
{
    return high_move((int)sys4(SYS_openat, at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
}

struct socket_walk {
    void (*f)(uint64_t inode, void *arg);
    void *arg;
    uint64_t self;
    bool complete;
};

static void visit_descriptor(int dir, const char *name, uint64_t number, void *arg)
{
    static const char is_socket[] = "socket:[";
    struct socket_walk *w = arg;
    char target[64];
    uint64_t inode;
    (void)number;
    long n = sys4(SYS_readlinkat, dir, name, target, sizeof target - 1);
    if (n <= (long)sizeof is_socket - 1 || memcmp(target, is_socket, sizeof is_socket - 1) != 0)
        return;
    target[n] = '\0';
    if (parse_number(target + sizeof is_socket - 1, &inode))
        w->f(inode, w->arg);
}

/* "<pid>/fd" */
static void fd_path(char *out, const char *pid)
{
    while (*pid)
        *out++ = *pid++;
    memcpy(out, "/fd", sizeof "/fd");
}

static void visit_process(int dir, const char *name, uint64_t pid, void *arg)
{
    struct socket_walk *w = arg;
    char path[32];
    if (pid == w->self)
        return;
    fd_path(path, name);
    int fds = open_dir(dir, path);
    if (fds >= 0)
        each_number(fds, visit_descriptor, w);
    else if (fds == -EACCES && sys1(SYS_getsid, pid) == sys1(SYS_getsid, 0))
        w->complete = false; /* a process of a session holds what its relatives hold, under whatever uid */
}

bool proc_foreign_sockets(void (*f)(uint64_t inode, void *arg), void *arg)
{
    struct socket_walk w = {f, arg, (uint64_t)sys0(SYS_getpid), true};
    int proc = open_dir(AT_FDCWD, "/proc");
    if (proc < 0)
        return false;
    each_number(proc, visit_process, &w);
    return w.complete;
}

struct own_walk {
    void (*f)(int fd, void *arg);
    void *arg;
};

static void visit_own(int dir, const char *name, uint64_t fd, void *arg)
{
    struct own_walk *w = arg;
    (void)name;
    if (fd != (uint64_t)dir)
        w->f((int)fd, w->arg);
}

bool proc_own_descriptors(void (*f)(int fd, void *arg), void *arg)
{
    struct own_walk w = {f, arg};
    int dir = open_dir(AT_FDCWD, "/proc/self/fd");
    if (dir < 0)
        return false;
    each_number(dir, visit_own, &w);
    return true;
}

bool proc_main_sleeps(void)
{
    /* "pid (name) S ...": the name may hold anything, so the state follows the last parenthesis. */
    char buf[256];
    int fd = (int)sys4(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true;
    long n = sys3(SYS_read, fd, buf, sizeof buf);
    sys1(SYS_close, fd);
    long at = n;
    while (at > 0 && buf[at - 1] != ')')
        at--;
    return at == 0 || at + 1 >= n || buf[at + 1] != 'R';
}

unsigned proc_threads(void)
{
    /* Each thread is a directory in it, and so a link to it. */
    struct stat st;
    if (sys4(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &st, 0) != 0 || st.st_nlink < 3)
        return 1;
    return (unsigned)st.st_nlink - 2;
}
