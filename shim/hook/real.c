/* real.c: the next definition of everything that hooks.def names. */
#include "hook/hook.h"

#include "sys/libc.h"
#include "sys/syscall.h"

#include <sys/select.h>

static long early_result(long ret)
{
    if (ret >= 0 || ret < -4095)
        return ret;
    *libc_errno() = (int)-ret;
    return -1;
}

static long missing(void)
{
    *libc_errno() = ENOSYS;
    return -1;
}

#define RAW(nr, a, b, c, d, e, f) early_result(sys6(nr, a, b, c, d, e, f))
#define LIBC                      missing()
#define LATE                      missing()
#ifdef SYS_poll
#define OLD     RAW
#define HAS_OLD true
#else
#define OLD(...) missing()
#define HAS_OLD  false
#endif
#define NEEDS_LIBC(early) (*(early) == 'L' || (*(early) == 'O' && !HAS_OLD))
#define IS_LATE(early)    ((early)[0] == 'L' && (early)[1] == 'A')

#define HOOK_VARIADIC(returns, name, params)
#define HOOK_ASM                                 HOOK
#define HOOK(returns, name, params, args, early) static returns early_##name params;
#include "hook/hooks.def"
#undef HOOK

#define HOOK(returns, name, params, args, early) .name = early_##name,
HIDDEN struct real real = {
#include "hook/hooks.def"
};
#undef HOOK

static bool bound;

static void bind_one(void *slot, const char *name, bool *failed)
{
    void *next = libc_next(name);
    if (next)
        __atomic_store_n((void **)slot, next, __ATOMIC_RELEASE);
    else
        *failed = true;
}

/* Bind what is called now: all names, or this one again. */
static void bind_now(void *slot, const char *name, bool late)
{
    bool failed = false;
    if (!bound)
        real_bind();
    else if (late)
        bind_one(slot, name, &failed);
    if (failed)
        libc_clear_error();
}

/* LIBC: bound when it is called early, and called again; where no libc has it, ENOSYS. */
#define HOOK(returns, name, params, args, early)          \
    static returns early_##name params                    \
    {                                                     \
        if (NEEDS_LIBC(#early)) {                         \
            bind_now(&real.name, #name, IS_LATE(#early)); \
            if (real.name != early_##name)                \
                return real.name args;                    \
        }                                                 \
        return (returns)(early);                          \
    }
#include "hook/hooks.def"
#undef HOOK

void real_bind(void)
{
    bool failed = false;
    if (bound)
        return;
    bound = true;
#define HOOK(returns, name, params, args, early) bind_one(&real.name, #name, &failed);
#include "hook/hooks.def"
#undef HOOK
#undef HOOK_ASM
#undef HOOK_VARIADIC
    if (failed)
        libc_clear_error();
}

/* For the assembly entry of syscall. */
extern void *const real_syscall;
HIDDEN void *const real_syscall = &real.syscall;
