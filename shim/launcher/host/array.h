/* array.h: an array that grows. */
#ifndef LASTCALL_LAUNCHER_HOST_ARRAY_H
#define LASTCALL_LAUNCHER_HOST_ARRAY_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Make room for one more entry of `size` bytes after the first `count`. `array` is the address of the pointer to the
 * first entry. False: no memory; the array is as it was. */
static inline bool array_grow(void *array, unsigned count, unsigned *room, size_t size)
{
    void *at, *grown;
    if (count < *room)
        return true;
    memcpy(&at, array, sizeof at); /* a pointer of any type may not be read as a void * */
    unsigned more = *room ? 2 * *room : 64;
    if (!(grown = reallocarray(at, more, size)))
        return false;
    memcpy(array, &grown, sizeof grown);
    *room = more;
    return true;
}

#endif
