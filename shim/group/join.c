/* join.c: see join.h. */
#include "group/join.h"

#include "group/environment.h"
#include "group/member.h"

#include "sys/proc.h"
#include "sys/memfd.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

/* The descriptor was inherited; or it is opened at its holder. */
static bool join_named(const struct environment_name *n)
{
    if (join(n->fd, n->cookie, false))
        return true;
    int fd = n->holder ? memfd_open(n->holder, n->fd) : -1;
    if (fd >= 0 && !join(fd, n->cookie, false))
        sys1(SYS_close, fd);
    return group.table != NULL;
}

static void join_environment(struct text *errors)
{
    const struct environment_name *n = &environment_name;
    if (!n->text || (n->valid && join_named(n)))
        return;
    /* A descriptor that was closed on the way is common (python's subprocess), and so is a holder that has ended:
     * neither is reported. */
    if (n->valid && (n->holder || sys2(SYS_fcntl, n->fd, F_GETFD) < 0))
        return;
    size_t length = 0;
    while (n->text[length] && length < 2 * GROUP_TABLE_NAME_MAX)
        length++;
    text_str(errors, "lastcall: ");
    text_quoted(errors, n->text, length, false);
    text_str(errors, " names no group that can be joined; another one is looked for\n");
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

static void found(struct text *errors, bool history)
{
    uint64_t cookie = 0;
    history = history && may_be_large();
    group.table = memfd_make(history ? sizeof(struct group_memory) : sizeof *group.table, &group.fd);
    if (group.table && history)
        group.history = &((struct group_memory *)group.table)->history;
    if (!group.table) {
        text_str(errors, "lastcall: no memory that processes could share; each drains alone\n");
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

static void take_place(bool joined, struct text *errors)
{
    int pid = (int)sys0(SYS_getpid);
    group.at = joined ? group_table_find(group.table, pid) : MEMBER_NONE; /* forked by a member, then exec'd */
    if (group.at == MEMBER_NONE)
        group.at = member_claim(joined ? find_parent() : MEMBER_NONE, MEMBER_STARTING);
    struct member *self = group_self();
    if (!self) {
        text_str(errors, "lastcall: the group is full: this process drains alone\n");
        return;
    }
    if (!proc_started(pid, &self->started_at))
        self->started_at = group_boottime();
    self->pid = self->own_pid = pid;
    if (joined)
        member_set_flags(MEMBER_EXECED);
    __atomic_store_n(&self->state, MEMBER_SERVES, __ATOMIC_RELEASE);
}

void join_group(struct text *errors, bool history)
{
    join_environment(errors);
    if (!group.table)
        join_ancestor();
    bool joined = group.table != NULL;
    if (!joined)
        found(errors, history);
    if (!group.table)
        return;
    sys3(SYS_fcntl, group.fd, F_SETFD, FD_CLOEXEC); /* it was inherited: what this process starts need not be */
    take_place(joined, errors);
}
