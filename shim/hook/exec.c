/* exec.c: hooks of the calls that make a process, and of those that make it another program. */
#include "hook/hook_call.h"

#include "group/environment.h"
#include "signal/deliver.h"

#include <limits.h>
#include <stdarg.h>

pid_t hook_fork(void)
{
    int slot = shim_fork_begin();
    pid_t pid = real.fork();
    if (pid == 0)
        shim_forked_child(slot);
    else
        shim_forked_parent(slot, pid);
    return pid;
}

/* ---- exec ----
 * A signal handler may call these, and a child of vfork, whose memory is its parent's: here nothing is written but to
 * the stack. */

extern char **environ __attribute__((weak, visibility("default")));

enum exec_how { EXEC_PATH, EXEC_SEARCHED, EXEC_DESCRIPTOR, EXEC_AT };

struct exec {
    enum exec_how how;
    bool environment; /* env was given; else the new program gets environ */
    int fd, flags;
    const char *path;
    char *const *argv, *const *env;
};

/* The call that the program has made, if env is the one that it has given. */
static int call_exec(const struct exec *e, char *const *env)
{
    bool given = e->environment || env != e->env;
    switch (e->how) {
    case EXEC_PATH: return given ? real.execve(e->path, e->argv, env) : real.execv(e->path, e->argv);
    case EXEC_SEARCHED: return given ? real.execvpe(e->path, e->argv, env) : real.execvp(e->path, e->argv);
    case EXEC_DESCRIPTOR: return real.fexecve(e->fd, e->argv, env);
    default: return real.execveat(e->fd, e->path, e->argv, env, e->flags);
    }
}

/* If the real call comes back, it has failed, and its errno stands. */
static int exec(const struct exec *e)
{
    struct environment_start start = {.inherited = false};
    uint64_t mask = 0;
    bool told = shim_exec_begin();
    size_t room = environment_room(e->env);
    int signal = told ? shim_exec_signal(room > 0, &mask) : 0;
    char **list = __builtin_alloca((room + 1) * sizeof *list);
    if (room > 0)
        environment_exec(&start, list, e->env, told, deliver_to_unblock(signal, mask));
    int ret = call_exec(e, room > 0 ? list : e->env);
    environment_exec_failed(&start);
    if (told)
        shim_exec_failed(signal, mask);
    return ret;
}

static char *const *own_environment(void)
{
    return &environ ? environ : NULL;
}

int hook_execve(const char *path, char *const *argv, char *const *envp)
{
    return exec(&(struct exec){EXEC_PATH, true, -1, 0, path, argv, envp});
}

int hook_execv(const char *path, char *const *argv)
{
    return exec(&(struct exec){EXEC_PATH, false, -1, 0, path, argv, own_environment()});
}

int hook_execvp(const char *file, char *const *argv)
{
    return exec(&(struct exec){EXEC_SEARCHED, false, -1, 0, file, argv, own_environment()});
}

int hook_execvpe(const char *file, char *const *argv, char *const *envp)
{
    return exec(&(struct exec){EXEC_SEARCHED, true, -1, 0, file, argv, envp});
}

int hook_fexecve(int fd, char *const *argv, char *const *envp)
{
    return exec(&(struct exec){EXEC_DESCRIPTOR, true, fd, 0, NULL, argv, envp});
}

int hook_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags)
{
    return exec(&(struct exec){EXEC_AT, true, dir, flags, path, argv, envp});
}

/* ---- spawn ---- */

typedef int (*spawn_call)(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const *argv,
                          char *const *envp);

static int spawn(spawn_call call, pid_t *pid, const char *path, const void *actions, const void *attributes,
                 char *const *argv, char *const *envp)
{
    struct environment_start start;
    size_t room = environment_room(envp);
    char **list = __builtin_alloca((room + 1) * sizeof *list);
    if (room > 0)
        environment_spawn(&start, list, envp);
    return call(pid, path, actions, attributes, argv, room > 0 ? list : envp);
}

int hook_posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const *argv,
                     char *const *envp)
{
    return spawn(real.posix_spawn, pid, path, actions, attributes, argv, envp);
}

int hook_posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes, char *const *argv,
                      char *const *envp)
{
    return spawn(real.posix_spawnp, pid, file, actions, attributes, argv, envp);
}

/* ---- exec with a list of arguments ---- */

/* How many arguments there are; more than INT_MAX: too many. arg may be NULL already (execl(path, NULL)). */
static size_t count_list(const char *arg, va_list *rest)
{
    size_t n = 0;
    for (; arg && n <= INT_MAX; arg = va_arg(*rest, const char *))
        n++;
    return n;
}

enum exec_list { LIST_PATH, LIST_SEARCHED, LIST_AND_ENVIRONMENT };

/* On the stack, as libc does it: there is no other memory in a signal handler. */
static int exec_list(enum exec_list kind, const char *path, const char *arg, va_list *rest)
{
    va_list ahead;
    va_copy(ahead, *rest);
    size_t n = count_list(arg, &ahead);
    va_end(ahead);
    if (n > INT_MAX)
        return (int)hook_result(-E2BIG);
    const char **list = __builtin_alloca((n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++, arg = va_arg(*rest, const char *))
        list[i] = arg;
    list[n] = NULL;
    char *const *argv = (char *const *)list;
    switch (kind) {
    case LIST_PATH: return hook_execv(path, argv);
    case LIST_SEARCHED: return hook_execvp(path, argv);
    default:
        while (n == 0 && va_arg(*rest, char *)) /* libc looks for the end after arg, even if arg is NULL */
            ;
        return hook_execve(path, argv, va_arg(*rest, char *const *));
    }
}

int hook_execl(const char *path, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    int ret = exec_list(LIST_PATH, path, arg, &rest);
    va_end(rest);
    return ret;
}

int hook_execlp(const char *file, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    int ret = exec_list(LIST_SEARCHED, file, arg, &rest);
    va_end(rest);
    return ret;
}

int hook_execle(const char *path, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    int ret = exec_list(LIST_AND_ENVIRONMENT, path, arg, &rest);
    va_end(rest);
    return ret;
}
