/* map.c: see map.h. */
#include "sys/map.h"

#include "sys/syscall.h"

#include <sys/mman.h>

void *map_zeroed(size_t size)
{
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

void map_free(void *memory, size_t size)
{
    sys2(SYS_munmap, memory, size);
}
