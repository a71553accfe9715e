/* proc.c: see proc.h. Source: proc(5), getdents64(2). */
#include "sys/proc.h"

#include "sys/fd.h"
#include "sys/syscall.h"

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
    return fd_move_high((int)sys4(SYS_openat, at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
}

enum { ANCESTORS = 16 };

struct socket_walk {
    enum proc_membership (*membership)(uint64_t pid);
    void (*f)(uint64_t inode, uint64_t pid, void *arg);
    void *arg;
    uint64_t self, looked_at;
    struct proc_unseen *unseen;
    int ancestors[ANCESTORS];
};

uint64_t proc_link_inode(const char *link, size_t n)
{
    static const char is_socket[] = "socket:[";
    const size_t skip = sizeof is_socket - 1;
    uint64_t inode = 0;
    if (n <= skip || memcmp(link, is_socket, skip) != 0)
        return 0;
    for (size_t at = skip; at < n && link[at] >= '0' && link[at] <= '9'; at++)
        inode = inode * 10 + (uint64_t)(link[at] - '0');
    return inode;
}

static void visit_descriptor(int dir, const char *name, uint64_t number, void *arg)
{
    struct socket_walk *w = arg;
    char link[64];
    (void)number;
    long n = sys4(SYS_readlinkat, dir, name, link, sizeof link - 1);
    uint64_t inode = n > 0 ? proc_link_inode(link, (size_t)n) : 0;
    if (inode != 0)
        w->f(inode, w->looked_at, w->arg);
}

/* "<pid>/fd" */
static void fd_path(char *out, const char *pid)
{
    while (*pid)
        *out++ = *pid++;
    memcpy(out, "/fd", sizeof "/fd");
}

static char *put_number(char *at, int number)
{
    char digits[12];
    unsigned n = 0;
    for (unsigned left = (unsigned)number; left > 0 || n == 0; left /= 10)
        digits[n++] = (char)('0' + left % 10);
    while (n > 0)
        *at++ = digits[--n];
    *at = '\0';
    return at;
}

static char *put_text(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    *at = '\0';
    return at;
}

/* "/proc/<pid>/<what>"; out holds 64 bytes. */
static const char *proc_path(char *out, int pid, const char *what)
{
    put_text(put_number(put_text(out, "/proc/"), pid), what);
    return out;
}

const char *proc_fd_path(char *out, int pid, int fd)
{
    put_number(put_text(put_number(put_text(out, "/proc/"), pid), "/fd/"), fd);
    return out;
}

int proc_each_number(const char *path, void (*f)(int dir, const char *name, uint64_t number, void *arg), void *arg)
{
    int dir = open_dir(AT_FDCWD, path);
    if (dir >= 0)
        each_number(dir, f, arg);
    return dir < 0 ? dir : 0;
}

void proc_each(int pid, const char *directory, void (*f)(int dir, const char *name, uint64_t number, void *arg),
               void *arg)
{
    char path[64];
    proc_each_number(proc_path(path, pid, directory), f, arg);
}

const char *proc_stat(int pid, char *buf, size_t size)
{
    char path[64];
    int fd = (int)sys4(SYS_openat, AT_FDCWD, proc_path(path, pid, "/stat"), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    long n = sys3(SYS_read, fd, buf, size - 1);
    sys1(SYS_close, fd);
    long at = n;
    while (at > 0 && buf[at - 1] != ')')
        at--;
    if (at <= 0 || at + 2 >= n)
        return NULL;
    buf[n] = '\0';
    return buf + at + 1;
}

/* Field `number` of it, as proc(5) counts them (the state is 3). */
static bool stat_field(int pid, int number, uint64_t *out)
{
    char buf[1024];
    const char *at = proc_stat(pid, buf, sizeof buf);
    for (int i = 3; at && i < number; i++) {
        while (*at && *at != ' ')
            at++;
        if (*at == '\0')
            return false;
        at++;
    }
    return at && parse_number(at, out);
}

bool proc_started(int pid, nsec_t *at)
{
    enum { START_TIME = 22, TICKS_PER_SECOND = 100 }; /* USER_HZ, the same on all supported architectures */
    uint64_t ticks;
    if (!stat_field(pid, START_TIME, &ticks))
        return false;
    *at = ticks * (NSEC_PER_SEC / TICKS_PER_SECOND);
    return true;
}

int proc_parent(int pid)
{
    enum { PARENT = 4 };
    uint64_t parent;
    return stat_field(pid, PARENT, &parent) ? (int)parent : 0;
}

bool proc_has_terminal(int pid)
{
    enum { TTY = 7 };
    uint64_t tty;
    return !stat_field(pid, TTY, &tty) || tty != 0;
}

/* A process ends thread by thread, and its descriptors are closed by the last one: the first is ending by then. Source:
 * do_exit (exit_signals comes before exit_files). */
bool proc_is_ending(int pid)
{
    enum { FLAGS = 9, EXITING = 4 /* PF_EXITING */ };
    uint64_t flags;
    return !stat_field(pid, FLAGS, &flags) || (flags & EXITING) != 0;
}

/* A line of /proc/PID/maps: address, rights, offset, device, inode, perhaps a name. */
static struct proc_mapping parse_mapping(const char *line, const char *end)
{
    enum { FIELDS_BEFORE = 4 };
    struct proc_mapping m = {0};
    for (int i = 0; i < FIELDS_BEFORE; i++) {
        while (line < end && *line != ' ')
            line++;
        line++;
    }
    for (; line < end && *line >= '0' && *line <= '9'; line++)
        m.inode = m.inode * 10 + (uint64_t)(*line - '0');
    while (line < end && *line == ' ')
        line++;
    m.name = line;
    m.length = line < end ? (size_t)(end - line) : 0;
    return m;
}

long proc_each_mapping(int pid, bool (*f)(const struct proc_mapping *m, void *arg), void *arg)
{
    char path[64], buf[4096 + 256]; /* a name has at most 4096 */
    bool go_on = true;
    long n = 0;
    int fd = (int)sys4(SYS_openat, AT_FDCWD, proc_path(path, pid, "/maps"), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    /* A read gives whole lines (seq_read). */
    while (go_on && (n = sys3(SYS_read, fd, buf, sizeof buf)) > 0)
        for (long at = 0, end; at < n && go_on; at = end + 1) {
            for (end = at; end < n && buf[end] != '\n';)
                end++;
            const struct proc_mapping m = parse_mapping(buf + at, buf + end);
            go_on = f(&m, arg);
        }
    sys1(SYS_close, fd);
    return n < 0 ? -ESRCH : 0;
}

static bool is_other_inode(const struct proc_mapping *m, void *inode)
{
    if (m->inode != *(uint64_t *)inode)
        return true;
    *(uint64_t *)inode = 0;
    return false;
}

bool proc_maps_inode(int pid, uint64_t inode)
{
    return proc_each_mapping(pid, is_other_inode, &inode) != 0 || inode == 0;
}

bool proc_status_has(int pid, const char *set, int sig)
{
    char path[64], buf[4096];
    int fd = (int)sys4(SYS_openat, AT_FDCWD, proc_path(path, pid, "/status"), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long n = sys3(SYS_read, fd, buf, sizeof buf);
    sys1(SYS_close, fd);
    const size_t digits = 16, skip = 8; /* "SigBlk:\t" */
    for (size_t at = 0; n > 0 && at + skip + digits <= (size_t)n; at++) {
        if (memcmp(buf + at, set, skip - 2) != 0 || buf[at + skip - 2] != ':')
            continue;
        unsigned digit = (unsigned)(sig - 1) / 4; /* from the right */
        char c = buf[at + skip + digits - 1 - digit];
        unsigned value = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        return value >> ((unsigned)(sig - 1) % 4) & 1;
    }
    return false;
}

bool proc_blocks(int tid, int sig)
{
    return proc_status_has(tid, "SigBlk", sig);
}

static bool is_ancestor(const struct socket_walk *w, int pid)
{
    for (int i = 0; i < ANCESTORS && w->ancestors[i] > 0; i++)
        if (w->ancestors[i] == pid)
            return true;
    return false;
}

static void note_unseen(struct socket_walk *w, int pid, int err)
{
    enum proc_membership what = w->membership((uint64_t)pid);
    if (what == PROC_MEMBER)
        w->unseen->members = true;
    else if (what == PROC_HELPER)
        w->unseen->helpers = true;
    else if (err == -EACCES && sys1(SYS_getsid, pid) == sys1(SYS_getsid, 0))
        w->unseen->external = true; /* a process of a session holds what its relatives hold, under whatever uid */
    else if (err == -EACCES && is_ancestor(w, pid))
        w->unseen->ancestors = true;
}

static void visit_process(int dir, const char *name, uint64_t pid, void *arg)
{
    struct socket_walk *w = arg;
    char path[32];
    if (pid == w->self)
        return;
    fd_path(path, name);
    w->looked_at = pid;
    int fds = open_dir(dir, path);
    if (fds >= 0)
        each_number(fds, visit_descriptor, w);
    else if (fds != -ENOENT && fds != -ESRCH) /* it has just ended */
        note_unseen(w, (int)pid, fds);
}

bool proc_other_sockets(enum proc_membership (*membership)(uint64_t pid),
                        void (*f)(uint64_t inode, uint64_t pid, void *arg), void *arg, struct proc_unseen *unseen)
{
    struct socket_walk w = {membership, f, arg, (uint64_t)sys0(SYS_getpid), 0, unseen, {0}};
    memset(unseen, 0, sizeof *unseen);
    for (int i = 0, pid = (int)w.self; i < ANCESTORS && pid > 0; i++)
        w.ancestors[i] = pid = proc_parent(pid);
    return proc_each_number("/proc", visit_process, &w) == 0 && !unseen->external;
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
    char buf[1024];
    const char *at = proc_stat((int)sys0(SYS_getpid), buf, sizeof buf);
    return !at || (*at != 'R' && *at != 'D');
}

nsec_t proc_main_spent(void)
{
    /* A thread's processor time is a clock, numbered by the complement of its id (posix-timers.h:
     * MAKE_THREAD_CPUCLOCK). */
    enum { PER_THREAD = 4, SCHED = 2 };
    struct timespec t = {0, 0};
    sys2(SYS_clock_gettime, ~sys0(SYS_getpid) * 8 | PER_THREAD | SCHED, &t);
    return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

unsigned proc_threads(void)
{
    /* Each thread is a directory in it, and so a link to it. */
    struct stat st;
    if (sys4(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &st, 0) != 0 || st.st_nlink < 3)
        return 1;
    return (unsigned)st.st_nlink - 2;
}
