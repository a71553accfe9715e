/* join.c: see join.h. */
#include "group/join.h"

#include "group/member.h"

#include "sys/proc.h"
#include "sys/memfd.h"
#include "sys/syscall.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>

extern char **environ __attribute__((weak, visibility("default")));

/* perl compares environ with what it was at the beginning, and frees another one, and all its strings, as its own
 * (perl_destruct, my_setenv). */
extern int perl_destruct(void *interpreter) __attribute__((weak, visibility("default")));

/* ---- the environment --------------------------------------------------------------------------------------- */

static const char variable[] = GROUP_TABLE_VARIABLE "=";
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

/* What the program starts from now on shall find the group. The program's own array may lie on the stack and have no room:
 * environ becomes a larger copy. Not under perl: a program that perl starts finds the group at its ancestors. */
static void put_entry(void)
{
    struct text t;
    char **old = find_entry();
    size_t count = 0;
    if (!&environ || group.fd < 0)
        return;
    text_init(&t, entry, sizeof entry);
    group_table_name(&t, group.fd, group.table->cookie);
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
    size_t size = sizeof(struct group_table);
    struct group_table *m = memfd_join(fd, size);
    if (!m)
        m = memfd_join(fd, size = sizeof(struct group_memory));
    if (!m)
        return false;
    if (!group_table_is_valid(m, any_cookie ? m->cookie : cookie)) {
        sys2(SYS_munmap, m, size);
        return false;
    }
    group.table = m;
    group.history = size == sizeof(struct group_memory) ? &((struct group_memory *)m)->history : NULL;
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
    /* A descriptor that was closed on the way is common (python's subprocess), and is not reported. */
    if (parse_entry(*found + sizeof variable - 1, &fd, &cookie) && sys2(SYS_fcntl, fd, 1 /* F_GETFD */) < 0)
        return;
    size_t n = 0;
    while ((*found)[n])
        n++;
    text_str(complaints, "lastcall: ");
    text_quoted(complaints, *found, n, false);
    text_str(complaints, " names no group that can be joined; another one is looked for\n");
}

/* The group of a process that has served before it started this one (node's cluster), or that has closed the
 * descriptor on the way. */
static void join_ancestor(void)
{
    enum { GENERATIONS = 6 };
    int pid = (int)sys0(SYS_getpid);
    for (int i = 0; i < GENERATIONS && !group.table; i++) {
        pid = proc_parent(pid);
        if (pid <= 0)
            return;
        int fd = memfd_of(pid);
        if (fd >= 0 && !join(fd, 0, true))
            sys1(SYS_close, fd);
    }
}

/* A file larger than the process may make would be a SIGXFSZ. */
static bool may_be_large(void)
{
    struct rlimit limit;
    return sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) == 0 && limit.rlim_cur >= sizeof(struct group_memory);
}

static void found(struct text *complaints, bool history)
{
    uint64_t cookie = 0;
    history = history && may_be_large();
    group.table = memfd_make(history ? sizeof(struct group_memory) : sizeof *group.table, &group.fd);
    if (group.table && history)
        group.history = &((struct group_memory *)group.table)->history;
    if (!group.table) {
        text_str(complaints, "lastcall: no memory that processes could share; each drains alone\n");
        return;
    }
    if (sys3(SYS_getrandom, &cookie, sizeof cookie, 1 /* GRND_NONBLOCK */) != sizeof cookie)
        cookie = group_boottime() ^ (uint64_t)sys0(SYS_getpid) << 40;
    group_table_init(group.table, cookie | 1);
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
        int at = group_table_find(group.table, pid);
        if (at != MEMBER_NONE)
            return at;
    }
    return MEMBER_NONE;
}

static void take_place(bool joined, struct text *complaints)
{
    int pid = (int)sys0(SYS_getpid);
    group.at = joined ? group_table_find(group.table, pid) : MEMBER_NONE; /* forked by a member, then exec'd */
    if (group.at == MEMBER_NONE)
        group.at = member_claim(joined ? find_parent() : MEMBER_NONE, MEMBER_STARTING);
    struct member *self = group_self();
    if (!self) {
        text_str(complaints, "lastcall: the group is full: this process drains alone\n");
        return;
    }
    if (!proc_started(pid, &self->born_at))
        self->born_at = group_boottime();
    self->pid = self->own_pid = pid;
    if (joined)
        member_set_flags(MEMBER_EXECED);
    __atomic_store_n(&self->state, MEMBER_SERVES, __ATOMIC_RELEASE);
}

void join_group(struct text *complaints, bool history)
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
