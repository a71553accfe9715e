/* group.c: see group.h. */
#include "group.h"

#include "sys/proc.h"
#include "sys/shared.h"
#include "sys/syscall.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

HIDDEN struct group group = {.at = MEMBER_NONE, .fd = -1, .leader = MEMBER_NONE};

extern char **environ __attribute__((weak, visibility("default")));

/* perl compares environ with what it was at the beginning, and frees another one, and all its strings, as its own
 * (perl_destruct, my_setenv). */
extern int perl_destruct(void *interpreter) __attribute__((weak, visibility("default")));

nsec_t group_boottime(void)
{
    struct timespec now = {0, 0};
    sys2(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

/* ---- the environment --------------------------------------------------------------------------------------- */

static const char variable[] = MEMBERS_VARIABLE "=";
static char entry[sizeof variable + 32];

static char **find_entry(void)
{
    if (!&environ || !environ)
        return NULL;
    for (char **at = environ; *at; at++) {
        unsigned i = 0;
        while (variable[i] && (*at)[i] == variable[i])
            i++;
        if (!variable[i])
            return at;
    }
    return NULL;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_entry(const char *value, int *fd, uint64_t *cookie)
{
    unsigned digits = 0;
    *fd = 0;
    *cookie = 0;
    for (; *value >= '0' && *value <= '9' && *fd < INT_MAX / 10 - 1; value++, digits++)
        *fd = *fd * 10 + (*value - '0');
    if (digits == 0 || *value++ != ':')
        return false;
    for (digits = 0; hex(*value) >= 0 && digits < 16; value++, digits++)
        *cookie = *cookie << 4 | (uint64_t)hex(*value);
    return digits == 16 && *value == '\0';
}

/* What the program starts from now on shall find us. Its own array may lie on the stack and have no room: it gets
 * another one. Not under perl: what that starts finds us at its ancestors. */
static void put_entry(void)
{
    struct text t;
    char **old = find_entry();
    size_t count = 0;
    if (!&environ || group.fd < 0)
        return;
    text_init(&t, entry, sizeof entry);
    members_name(&t, group.fd, group.table->cookie);
    if (old) {
        *old = entry;
        return;
    }
    if (&perl_destruct)
        return;
    while (environ && environ[count])
        count++;
    long at =
        sys6(SYS_mmap, 0, (count + 2) * sizeof *environ, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return;
    char **grown = (char **)at;
    for (size_t i = 0; i < count; i++)
        grown[i] = environ[i];
    grown[count] = entry;
    __atomic_store_n(&environ, grown, __ATOMIC_RELEASE);
}

/* ---- joining -------------------------------------------------------------------------------------------------- */

static bool join(int fd, uint64_t cookie, bool any_cookie)
{
    size_t size = sizeof(struct members);
    struct members *m = shared_join(fd, size);
    if (!m)
        m = shared_join(fd, size = sizeof(struct members_memory));
    if (!m)
        return false;
    if (!members_are_valid(m, any_cookie ? m->cookie : cookie)) {
        sys2(SYS_munmap, m, size);
        return false;
    }
    group.table = m;
    group.history = size == sizeof(struct members_memory) ? &((struct members_memory *)m)->history : NULL;
    group.fd = fd;
    return true;
}

static void join_environment(struct text *complaints)
{
    uint64_t cookie;
    int fd;
    char **found = find_entry();
    if (!found || (parse_entry(*found + sizeof variable - 1, &fd, &cookie) && join(fd, cookie, false)))
        return;
    /* A descriptor that somebody has closed on the way is common (python's subprocess), and needs no word. */
    if (parse_entry(*found + sizeof variable - 1, &fd, &cookie) && sys2(SYS_fcntl, fd, 1 /* F_GETFD */) < 0)
        return;
    size_t n = 0;
    while ((*found)[n])
        n++;
    text_str(complaints, "lastcall: ");
    text_quoted(complaints, *found, n, false);
    text_str(complaints, " names no group that can be joined; another one is looked for\n");
}

/* Of a process that has served before it started us (node's cluster), or that has closed the descriptor on the way. */
static void join_ancestor(void)
{
    enum { GENERATIONS = 6 };
    int pid = (int)sys0(SYS_getpid);
    for (int i = 0; i < GENERATIONS && !group.table; i++) {
        pid = proc_parent(pid);
        if (pid <= 0)
            return;
        int fd = shared_of(pid);
        if (fd >= 0 && !join(fd, 0, true))
            sys1(SYS_close, fd);
    }
}

/* A file larger than the process may make would be a SIGXFSZ. */
static bool may_be_large(void)
{
    struct rlimit limit;
    return sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) == 0 && limit.rlim_cur >= sizeof(struct members_memory);
}

static void found(struct text *complaints, bool history)
{
    uint64_t cookie = 0;
    history = history && may_be_large();
    group.table = shared_make(history ? sizeof(struct members_memory) : sizeof *group.table, &group.fd);
    if (group.table && history)
        group.history = &((struct members_memory *)group.table)->history;
    if (!group.table) {
        text_str(complaints, "lastcall: no memory that processes could share; each drains alone\n");
        return;
    }
    if (sys3(SYS_getrandom, &cookie, sizeof cookie, 1 /* GRND_NONBLOCK */) != sizeof cookie)
        cookie = group_boottime() ^ (uint64_t)sys0(SYS_getpid) << 40;
    members_init(group.table, cookie | 1);
}

/* The nearest ancestor that is a member. */
static int find_parent(void)
{
    enum { GENERATIONS = 6 };
    int pid = (int)sys0(SYS_getpid);
    for (int i = 0; i < GENERATIONS; i++) {
        pid = i == 0 ? (int)sys0(SYS_getppid) : proc_parent(pid);
        if (pid <= 0)
            break;
        int at = members_find(group.table, pid);
        if (at != MEMBER_NONE)
            return at;
    }
    return MEMBER_NONE;
}

/* Does its pid mean the same process to us? It is numbered where its parent lives (pid_namespaces(7)). */
static bool numbered_here(const struct member *who)
{
    const struct member *self = group_self();
    if (who->pid <= 0 || !self)
        return false;
    return who->parent == self->serial || (who->parent == self->parent && self->pid == self->own_pid);
}

/* Slots of processes that have died without a word, and of ends that nobody asks for any more. */
static void bury_the_dead(void)
{
    struct members *m = group.table;
    for (int i = 0; i < members_top(m); i++) {
        struct member *who = &m->member[i];
        uint32_t state = who->state, left = MEMBER_LEFT;
        if (state == MEMBER_LEFT && members_leader(m, i) == MEMBER_NONE)
            __atomic_compare_exchange_n(&who->state, &left, MEMBER_FREE, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        else if (state != MEMBER_FREE && numbered_here(who) && sys2(SYS_kill, who->pid, 0) == -ESRCH)
            members_leave(m, i, who->serial, false);
    }
}

static int claim(int parent, enum member_state state)
{
    int at = members_claim(group.table, parent, state, group_boottime());
    if (at == MEMBER_NONE) {
        bury_the_dead();
        at = members_claim(group.table, parent, state, group_boottime());
    }
    return at;
}

static void take_place(bool joined, struct text *complaints)
{
    int pid = (int)sys0(SYS_getpid);
    group.at = joined ? members_find(group.table, pid) : MEMBER_NONE; /* forked by a member, then exec'd */
    if (group.at == MEMBER_NONE)
        group.at = claim(joined ? find_parent() : MEMBER_NONE, MEMBER_BORN);
    struct member *self = group_self();
    if (!self) {
        text_str(complaints, "lastcall: the group is full: this process drains alone\n");
        return;
    }
    if (!proc_started(pid, &self->born_at))
        self->born_at = group_boottime();
    self->pid = self->own_pid = pid;
    if (joined)
        group_marks(MEMBER_EXECED);
    __atomic_store_n(&self->state, MEMBER_SERVES, __ATOMIC_RELEASE);
}

void group_open(struct text *complaints, bool history)
{
    join_environment(complaints);
    if (!group.table)
        join_ancestor();
    bool joined = group.table != NULL;
    if (!joined)
        found(complaints, history);
    if (!group.table)
        return;
    take_place(joined, complaints);
    put_entry();
}

/* Also of a fork's child: its memory is laid out as its parent's. */
static void show(struct member *self)
{
    self->timeout = group.timeout;
    __atomic_store_n(&self->view, group.view, __ATOMIC_RELEASE);
}

void group_show(const void *view, nsec_t timeout)
{
    struct member *self = group_self();
    group.view = (uintptr_t)view;
    group.timeout = timeout;
    if (self)
        show(self);
}

/* ---- the life of a member ------------------------------------------------------------------------------------ */

int group_fork_begin(void)
{
    return group_self() ? claim(group.at, MEMBER_BORN) : MEMBER_NONE;
}

void group_forked_parent(int slot, int pid)
{
    if (slot == MEMBER_NONE)
        return;
    struct member *child = &group.table->member[slot];
    if (pid > 0)
        __atomic_store_n(&child->pid, pid, __ATOMIC_RELEASE);
    else
        members_leave(group.table, slot, child->serial, false);
}

void group_forked_child(int slot)
{
    if (!group.table)
        return;
    group.at = slot != MEMBER_NONE ? slot : group_fork_begin();
    group.leader = MEMBER_NONE;
    group.marks = 0;
    struct member *self = group_self();
    if (!self)
        return;
    show(self);
    __atomic_store_n(&self->own_pid, (int32_t)sys0(SYS_getpid), __ATOMIC_RELEASE);
}

void group_marks(uint32_t flags)
{
    struct member *self = group_self();
    group.marks |= flags;
    if (self)
        __atomic_fetch_or(&self->flags, flags, __ATOMIC_RELAXED);
}

/* It, and whoever has made it: a process that only waits for a worker of its own is on its way to no exec either. */
void group_serves(void)
{
    struct members *m = group.table;
    if (!group_self())
        return;
    bool grown = false;
    for (int at = group.at, i = 0; at != MEMBER_NONE && i < MEMBERS_MAX; at = members_parent(m, at), i++) {
        uint32_t born = MEMBER_BORN;
        grown |= __atomic_compare_exchange_n(&m->member[at].state, &born, MEMBER_SERVES, false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_RELAXED);
    }
    if (grown && group_leader())
        group_report();
}

bool group_has_grown(void)
{
    const struct member *self = group_self();
    return self && __atomic_load_n(&self->state, __ATOMIC_ACQUIRE) == MEMBER_SERVES; /* AWAY: it is at its exec */
}

void group_unmarks(uint32_t flags)
{
    struct member *self = group_self();
    group.marks &= ~flags;
    if (self)
        __atomic_fetch_and(&self->flags, ~flags, __ATOMIC_RELAXED);
}

void group_exec(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    if (self->state != MEMBER_AWAY)
        group.state = self->state;
    __atomic_store_n(&self->state, MEMBER_AWAY, __ATOMIC_RELEASE);
    if (group_leader())
        group_report();
}

void group_exec_failed(void)
{
    struct member *self = group_self();
    if (self)
        __atomic_store_n(&self->state, group.state, __ATOMIC_RELEASE);
}

void group_leave(void)
{
    struct member *self = group_self();
    if (!self)
        return;
    bool drains = group_leader() != NULL;
    int at = group.at;
    group.at = MEMBER_NONE;
    members_leave(group.table, at, self->serial, drains);
    if (drains)
        group_report();
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

struct member *group_leader(void)
{
    int leader = group_self() ? members_leader(group.table, group.at) : MEMBER_NONE;
    return leader == MEMBER_NONE ? NULL : &group.table->member[leader];
}

bool group_is_free(void)
{
    const struct members *m = group.table;
    if (!group_self())
        return false;
    int leader = group.leader;
    if (leader != MEMBER_NONE && m->member[leader].serial == group.leader_serial)
        return m->member[leader].phase == DRAIN_RELEASED;
    for (int at = members_master(m, group.at), i = 0; at != MEMBER_NONE && i < MEMBERS_MAX; i++) {
        if (__atomic_load_n(&m->member[at].phase, __ATOMIC_ACQUIRE) == DRAIN_RELEASED)
            return true;
        at = members_master(m, at);
    }
    return false;
}

bool group_has_serial(uint32_t serial)
{
    for (int i = 0; group.table && i < members_top(group.table); i++)
        if (group.table->member[i].serial == serial && group.table->member[i].state != MEMBER_FREE)
            return true;
    return false;
}

bool group_knows(int pid)
{
    return pid > 0 && group.table && members_find(group.table, pid) != MEMBER_NONE;
}

void *group_order(void)
{
    return (void *)(uintptr_t)(group.table ? group.table->cookie : 0);
}

bool group_is_mapped_by(int pid)
{
    uint64_t inode = group.table ? shared_inode(group.fd, sizeof *group.table) : 0;
    return inode == 0 || proc_maps_inode(pid, inode);
}

bool group_is_order(const void *value)
{
    return group.table && value == group_order();
}

static void wake(uint32_t *word)
{
    __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
    sys3(SYS_futex, word, FUTEX_WAKE, INT_MAX); /* not private: other processes wait on it */
}

void group_report(void)
{
    if (group.table)
        wake(&group.table->reports);
}

void group_command(void)
{
    if (group.table)
        wake(&group.table->orders);
}

void group_queue_moved(void)
{
    group_report();
    group_command();
}
