/* exec.c: hooks of the calls that make a process, and of those that make it another program. */
#include "hook/hook_call.h"

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

/* The real call has come back: it failed, its errno stands. */
static int exec_failed(bool told, int ret)
{
    if (told)
        shim_exec_failed();
    return ret;
}

int hook_execve(const char *path, char *const *argv, char *const *envp)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.execve(path, argv, envp));
}

int hook_execv(const char *path, char *const *argv)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.execv(path, argv));
}

int hook_execvp(const char *file, char *const *argv)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.execvp(file, argv));
}

int hook_execvpe(const char *file, char *const *argv, char *const *envp)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.execvpe(file, argv, envp));
}

int hook_fexecve(int fd, char *const *argv, char *const *envp)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.fexecve(fd, argv, envp));
}

int hook_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags)
{
    bool told = shim_exec_begin();
    return exec_failed(told, real.execveat(dir, path, argv, envp, flags));
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
