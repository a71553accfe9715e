/* init.c: the constructor. */
#include "compat/node_cluster.h"
#include "compat/node_primary.h"
#include "go/go.h"
#include "group/environment.h"
#include "hook/hook.h"
#include "shim.h"
#include "sys/libc.h"
#include "sys/sigmask.h"

extern char **environ __attribute__((weak, visibility("default")));

extern void syscall_bind(void);

/* The entries that the kernel has put after the environment on the first stack; NULL if this environment is not
 * there any more. */
static const unsigned long *auxv_behind(const char *const *env)
{
    const uintptr_t stack_max = 64 << 20;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if ((uintptr_t)env - here > stack_max)
        return NULL;
    while (*env)
        env++;
    return (const unsigned long *)(env + 1);
}

extern HIDDEN void start(int argc, char **argv, char **envp);

/* glibc's loader passes argc, argv, envp, and so does the entry for static programs (entry_*.S); musl's passes nothing:
 * there environ is always to be had. */
__attribute__((constructor)) void start(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    const char *const *env = (const char *const *)(&environ ? environ : envp);
    real_bind();
    /* The environment of a set-user-ID program is its caller's: paths to write to, a group's memory. There the
     * loader does not preload the library, unless the library has been made set-user-ID too (ld.so(8),
     * secure-execution mode). */
    if (options_disabled(env) || libc_is_privileged())
        return;
    environment_read(env);
    if (environment_name.signal != 0)
        sigmask_let_in(
            environment_name.signal); /* it came in the middle of a drain, to the program that became this one */
    if (environment_name.off)
        return;
    libc_bind_facts();
    syscall_bind();
    config_read(env);
    node_cluster_bind(env);
    node_primary_bind();
    go_attach(auxv_behind(env));
    self_switch_on();
    /* A master that has become itself anew (haproxy -W) has workers that serve: a signal that comes before its first
     * call with a socket must not end it without a drain. (Go's runtime would set its handlers over lastcall's.) */
    if (!self_is_go() && environment_is_of_this_process())
        shim_arm();
}
