/* descendants.c: see descendants.h. */
#include "launcher/run/descendants.h"

#include "launcher/host/process.h"
#include "sys/proc.h"
#include "sys/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void put_name(const struct descendants *b, int fd)
{
    char name[GROUP_TABLE_NAME_MAX];
    struct text t;
    text_init(&t, name, sizeof name);
    group_table_name(&t, fd, b->table->cookie, (int)getpid(), 0);
    name[sizeof GROUP_TABLE_VARIABLE - 1] = '\0';
    setenv(GROUP_TABLE_VARIABLE, name + sizeof GROUP_TABLE_VARIABLE, 1);
}

/* Making a file larger than RLIMIT_FSIZE would raise SIGXFSZ. */
static bool may_be_made(size_t size)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= size;
}

void descendants_open(struct descendants *b, bool history)
{
    uint64_t cookie;
    int fd = -1;
    memset(b, 0, sizeof *b);
    b->fd = -1;
    unsetenv(GROUP_TABLE_VARIABLE);
    b->size = history && may_be_made(sizeof(struct group_memory)) ? sizeof(struct group_memory) : sizeof *b->table;
    if (may_be_made(b->size))
        b->table = memfd_make(b->size, &fd);
    if (b->table && fd >= 0 && getrandom(&cookie, sizeof cookie, GRND_NONBLOCK) == sizeof cookie) {
        group_table_init(b->table, cookie | 1);
        put_name(b, fd);
        fcntl(fd, F_SETFD, 0); /* the command may change its user before it serves, and then cannot open it here */
        b->fd = fd;
        return;
    }
    if (b->table)
        munmap(b->table, b->size);
    if (fd >= 0)
        close(fd);
    b->table = NULL; /* each group below the launcher makes its own memory, unknown to the launcher */
}

void descendants_close(struct descendants *b)
{
    if (!b->table)
        return;
    unsetenv(GROUP_TABLE_VARIABLE);
    munmap(b->table, b->size);
    close(b->fd);
    b->table = NULL;
}

static bool lives(const struct member *who)
{
    uint32_t state = __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
    return state == MEMBER_SERVES || state == MEMBER_STARTING;
}

static uint32_t phase_of(const struct member *who)
{
    return __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
}

bool descendants_serves(const struct descendants *b, int pid)
{
    int at = b->table ? group_table_find(b->table, pid) : MEMBER_NONE;
    return at != MEMBER_NONE && lives(&b->table->member[at]);
}

/* Is the process with this pid the member that has joined? Every process of the group can write the table, and a pid
 * may be reused: so the process must be a descendant of the launcher, and as old as the table says. */
static bool is_same_process(const struct member *who)
{
    enum { GENERATIONS = 64 };
    nsec_t started;
    int pid = who->pid;
    if (pid <= 0 || !proc_started(pid, &started) || started + 20 * NSEC_PER_MSEC < who->started_at ||
        started > who->started_at + 2 * NSEC_PER_SEC)
        return false;
    for (int i = 0; i < GENERATIONS && pid > 1 && pid != (int)getpid(); i++)
        pid = proc_parent(pid);
    return pid == (int)getpid();
}

static int send(int pidfd, int pid, int sig)
{
    int ret = (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
    return ret != 0 && errno == ENOSYS ? kill(pid, sig) : ret;
}

static void forget(struct descendants *b, int at)
{
    if (b->sent[at].serial != 0)
        close(b->sent[at].pidfd);
    b->sent[at].serial = 0;
}

/* Frees the slot of a member that has ended without leaving, unless a coordinator waits for the member's end. */
static void reap_slot(struct descendants *b, int at)
{
    int coordinator = group_table_coordinator(b->table, at);
    if (coordinator == MEMBER_NONE || coordinator == at)
        group_table_leave(b->table, at, b->table->member[at].serial, false);
}

static bool has_ended(int pidfd)
{
    struct pollfd end = {pidfd, POLLIN, 0};
    return poll(&end, 1, 0) == 1;
}

/* Open a pidfd for the outermost member in slot `at`. False: the slot's process has ended, or may not be opened. */
static bool take(struct descendants *b, int at)
{
    struct member *who = &b->table->member[at];
    if (b->sent[at].serial == who->serial)
        return true;
    forget(b, at);
    int fd = who->pid > 0 ? (int)syscall(SYS_pidfd_open, who->pid, 0) : -1;
    if (fd < 0 && who->pid > 0 && errno == ESRCH)
        reap_slot(b, at);
    if (fd < 0 || !is_same_process(who)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    b->sent[at].pidfd = fd;
    b->sent[at].serial = who->serial;
    return true;
}

/* Is the process that was sent the signal still to be waited for? The slot may belong to another process by now: a
 * member leaves its slot before it ends. */
static bool is_awaited(struct descendants *b, int at)
{
    const struct member *who = &b->table->member[at];
    bool its_own = b->sent[at].serial == who->serial;
    if (has_ended(b->sent[at].pidfd)) {
        if (its_own)
            reap_slot(b, at);
        forget(b, at);
        return false;
    }
    return !b->sent[at].ignores_signal && (!its_own || __atomic_load_n(&who->state, __ATOMIC_ACQUIRE) != MEMBER_AWAY);
}

/* Send the signal to the member in slot `at`, if the member is an outermost one that has to receive the signal. */
static void send_one(struct descendants *b, int at, int sig, bool again)
{
    const struct member *who = &b->table->member[at];
    bool known = b->sent[at].serial == who->serial;
    uint32_t phase = phase_of(who);
    if (who->pid == b->command || !lives(who) || group_table_parent(b->table, at) != MEMBER_NONE || !take(b, at))
        return;
    if (!known)
        b->sent[at].ignores_signal = process_ignores(
            who->pid, sig); /* or the shell that started the member in the background ignores the signal (INT, QUIT) */
    bool wants = phase == DRAIN_SERVING ? again || !known : again && phase < DRAIN_DONE;
    if (wants && send(b->sent[at].pidfd, who->pid, sig) != 0)
        forget(b, at); /* the process is another user's: no permission (EPERM) */
}

unsigned descendants_drain(struct descendants *b, int sig, bool again)
{
    unsigned awaited = 0;
    for (int i = 0; b->table && i < group_table_top(b->table); i++) {
        bool waits = b->sent[i].serial != 0 && is_awaited(b, i);
        if (!waits || b->sent[i].serial == b->table->member[i].serial)
            send_one(b, i, sig, again);
        awaited += b->sent[i].serial != 0 && is_awaited(b, i);
    }
    return awaited;
}

unsigned descendants_poll(const struct descendants *b, struct pollfd *to)
{
    unsigned n = 0;
    for (int i = 0; b->table && i < group_table_top(b->table); i++)
        if (b->sent[i].serial != 0)
            to[n++] = (struct pollfd){b->sent[i].pidfd, POLLIN, 0};
    return n;
}

void descendants_reaped(struct descendants *b, int pid)
{
    int at = b->table ? group_table_find(b->table, pid) : MEMBER_NONE;
    if (at != MEMBER_NONE && b->sent[at].serial == 0)
        reap_slot(b, at);
}
