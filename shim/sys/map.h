/* map.h: memory from the kernel. Any thread, any signal handler. */
#ifndef LASTCALL_SYS_MAP_H
#define LASTCALL_SYS_MAP_H

#include "base.h"

/* Private memory, zeroed; NULL: there is none. */
void *map_zeroed(size_t size);
void map_free(void *memory, size_t size);

#endif
