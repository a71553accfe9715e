/* hook_names.h: the names of the interposed functions, for the inspector; from THE table, hooks.def. */
#ifndef LASTCALL_LAUNCHER_INSPECT_HOOK_NAMES_H
#define LASTCALL_LAUNCHER_INSPECT_HOOK_NAMES_H

#include "base.h"

enum hook {
#define HOOK(returns, name, parameters, arguments, early) HOOK_##name,
#define HOOK_ASM                                          HOOK
#define HOOK_VARIADIC(returns, name, parameters)          HOOK_##name,
#include "hook/hooks.def"
#undef HOOK
#undef HOOK_ASM
#undef HOOK_VARIADIC
    HOOKS
};

extern const char *const hook_names[HOOKS];

/* The row of this name, or HOOKS. */
enum hook hook_names_find(const char *name);

#endif
