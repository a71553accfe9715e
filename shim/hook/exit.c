/* exit.c: hooks of the ways out of the process. */
#include "hook/hook_call.h"

void hook_exit(int status)
{
    shim_exit();
    real.exit(status);
    __builtin_unreachable();
}

void hook__exit(int status)
{
    shim_exit();
    real._exit(status);
    __builtin_unreachable();
}

void hook__Exit(int status)
{
    shim_exit();
    real._Exit(status);
    __builtin_unreachable();
}

void hook_quick_exit(int status)
{
    shim_exit();
    real.quick_exit(status);
    __builtin_unreachable();
}

/* After delivery a program that wants to die of its signal after all (node: SA_RESETHAND, then raise) would live on
 * as PID 1, where the kernel ignores a default disposition (pid_namespaces(7)), with its listeners stopped. */
int hook_raise(int sig)
{
    struct ksigaction now;
    if (UNLIKELY(deferred.delivering) && sig > 0 && sig < SIGNAL_VIEW_MAX && (config.signals >> sig & 1) != 0 &&
        sys0(SYS_getpid) == 1 && sys4(SYS_rt_sigaction, sig, 0, &now, 8) == 0 && now.handler == SIGNAL_VIEW_DEFAULT)
        sys1(SYS_exit_group, 128 + sig);
    return real.raise(sig);
}
