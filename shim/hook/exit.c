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
