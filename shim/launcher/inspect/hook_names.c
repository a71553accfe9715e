/* hook_names.c: see hook_names.h. */
#include "launcher/inspect/hook_names.h"

#include <string.h>

const char *const hook_names[HOOKS] = {
#define HOOK(returns, name, parameters, arguments, early) #name,
#define HOOK_ASM                                          HOOK
#define HOOK_VARIADIC(returns, name, parameters)          #name,
#include "hook/hooks.def"
};

enum hook hook_names_find(const char *name)
{
    enum hook i = 0;
    while (i < HOOKS && strcmp(hook_names[i], name) != 0)
        i++;
    return i;
}
