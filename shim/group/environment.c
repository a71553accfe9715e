/* environment.c: see environment.h. */
#include "group/environment.h"

#include "group/member.h"
#include "process/self.h"
#include "sys/memfd.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <limits.h>

/* The list lies on the stack of the process that starts a program, and such a stack may be small. */
enum { LONGEST = 2048 };

static const char variable[] = GROUP_TABLE_VARIABLE "=";
static const char preload[] = "LD_PRELOAD=";
static const char disable[] = "LASTCALL_DISABLE=1";
static const char off[] = "off";

HIDDEN struct environment_name environment_name;

static bool begins(const char *entry, const char *with)
{
    while (*with && *entry == *with)
        entry++, with++;
    return !*with;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_number(const char **at, int *number)
{
    const char *from = *at;
    *number = 0;
    for (; **at >= '0' && **at <= '9' && *number < INT_MAX / 10 - 1; ++*at)
        *number = *number * 10 + (**at - '0');
    return *at != from;
}

static bool parse(const char *value, struct environment_name *n)
{
    unsigned digits = 0;
    if (!parse_number(&value, &n->fd) || *value++ != ':')
        return false;
    for (n->cookie = 0; hex(*value) >= 0 && digits < 16; value++, digits++)
        n->cookie = n->cookie << 4 | (uint64_t)hex(*value);
    if (digits == 16 && *value == ':') {
        value++;
        if (!parse_number(&value, &n->holder))
            return false;
        if (*value == ':' && (value++, !parse_number(&value, &n->signal)))
            return false;
        return *value == '\0';
    }
    return digits == 16 && *value == '\0';
}

void environment_read(const char *const *env)
{
    struct environment_name *n = &environment_name;
    for (; env && *env; env++)
        if (begins(*env, variable)) {
            n->text = *env;
            n->off = begins(*env + sizeof variable - 1, off);
            n->valid = !n->off && parse(*env + sizeof variable - 1, n);
            return;
        }
}

bool environment_is_of_this_process(void)
{
    return environment_name.valid && environment_name.holder == (int)sys0(SYS_getpid);
}

void environment_switch_off(void)
{
    __atomic_store_n(&environment_name.off, true, __ATOMIC_RELEASE);
}

/* ---- starting programs ------------------------------------------------------------------------------------------- */

size_t environment_room(char *const *env)
{
    size_t count = 0;
    bool loads = false, named = false, disabled = false;
    if (!env || (!environment_name.off && (!group.table || group.fd < 0)))
        return 0;
    for (; env[count] && count < LONGEST; count++) {
        loads |= begins(env[count], preload);
        named |= begins(env[count], variable);
        disabled |= begins(env[count], disable);
    }
    return loads && !disabled && count < LONGEST ? count + !named + 1 : 0;
}

/* The process that will go on living: a pre-exec child is about to become another program. */
static int settled_holder(void)
{
    if (!self_is_pre_exec())
        return self_pid();
    for (int at = group.at, i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; i++) {
        at = group_table_parent(group.table, at);
        if (at != MEMBER_NONE && member_at(at)->state == MEMBER_SERVES)
            return member_at(at)->own_pid;
    }
    return (int)sys0(SYS_getppid);
}

static void fill(struct environment_start *start, char **list, char *const *env, int holder, int signal)
{
    struct text t;
    bool named = false;
    text_init(&t, start->entry, sizeof start->entry);
    if (environment_name.off) {
        text_str(&t, variable);
        text_str(&t, off);
    } else {
        group_table_name(&t, group.fd, group.table->cookie, holder, signal);
    }
    for (; *env; env++) {
        bool here = begins(*env, variable);
        *list++ = here ? start->entry : *env;
        named |= here;
    }
    if (!named)
        *list++ = start->entry;
    *list = NULL;
}

void environment_spawn(struct environment_start *start, char **list, char *const *env)
{
    start->inherited = false;
    fill(start, list, env, environment_name.off ? 0 : settled_holder(), 0);
}

void environment_exec(struct environment_start *start, char **list, char *const *env, bool own_process, int signal)
{
    if (environment_name.off) {
        environment_spawn(start, list, env);
        return;
    }
    bool in_place = own_process && !self_is_pre_exec();
    int holder = own_process ? settled_holder() : self_pid();
    fill(start, list, env, holder, signal);
    start->inherited = in_place || !memfd_may_be_opened(holder, group.fd);
    if (start->inherited)
        sys3(SYS_fcntl, group.fd, F_SETFD, 0);
}

void environment_exec_failed(const struct environment_start *start)
{
    if (start->inherited)
        sys3(SYS_fcntl, group.fd, F_SETFD, FD_CLOEXEC);
}
