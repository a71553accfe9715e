/* stacks.c: see stacks.h. */
#include "sys/stacks.h"

#include "sys/syscall.h"

#include <sys/mman.h>

enum { EACH = 1 << STACKS_SHIFT, GUARD = ARCH_PAGE_MAX, ALL = STACKS_WORDS * 64 * EACH };

HIDDEN uint64_t stacks_free[STACKS_WORDS];
HIDDEN char *stacks_base;

/* Stacks that go down run into the end of the one below; only the lowest has a guard. That they do not is tested. */
bool stacks_make(void)
{
    long at = sys6(SYS_mmap, 0, GUARD + ALL, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if ((unsigned long)at >= -4095ul) /* an error number */
        return false;
    sys3(SYS_mprotect, at, GUARD, PROT_NONE);
    sys3(SYS_madvise, at, GUARD + ALL, MADV_NOHUGEPAGE); /* else one touched page may cost 2 MiB */
    stacks_base = (char *)at + GUARD;
    memset(stacks_free, 0xff, sizeof stacks_free);
    return true;
}

int *stacks_errno(void)
{
    uintptr_t offset = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)stacks_base;
    if (!stacks_base || offset >= ALL)
        return NULL;
    return (int *)(void *)(stacks_base + (offset & ~(uintptr_t)(EACH - 1)));
}
