/* hook.h: what every hook body needs: its prototype, the next definition, errno. */
#ifndef LASTCALL_HOOK_H
#define LASTCALL_HOOK_H

#include "base.h"

#include <signal.h>
#include <sys/types.h>

struct iovec;
struct msghdr;
struct mmsghdr;
struct timespec;
struct timeval;
struct epoll_event;
struct pollfd;
struct sembuf;

typedef void (*sig_handler)(int);

/* hook_X is exported as X; inside we call it hook_X, so nothing here can be interposed, and no libc
 * prototype of X gets in the way. (In a test that is linked with the hooks, X is libc's: tests/tsan.) */
#ifndef HOOK_PREFIX
#define HOOK_PREFIX ""
#endif
#define HOOK(returns, name, params, args, early) EXPORT returns hook_##name params __asm__(HOOK_PREFIX #name);
#define HOOK_VARIADIC(returns, name, params)     EXPORT returns hook_##name params __asm__(HOOK_PREFIX #name);
#define HOOK_ASM                                 HOOK
#include "hook/hooks.def"
#undef HOOK
#undef HOOK_ASM
#undef HOOK_VARIADIC

/* The next definitions. Before the constructor has run: the early forms of hooks.def. */
struct real {
#define HOOK(returns, name, params, args, early) returns(*name) params;
#define HOOK_VARIADIC(returns, name, params)
#define HOOK_ASM HOOK
#include "hook/hooks.def"
#undef HOOK
#undef HOOK_ASM
#undef HOOK_VARIADIC
};
extern HIDDEN struct real real;

/* Bind all names (constructor; once). */
HIDDEN void real_bind(void);

#endif
