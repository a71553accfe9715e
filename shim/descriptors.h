/* descriptors.h: the slots of descriptors as those see them who fill them: the choreographer's own files. What the hooks
 * and the pump may do is in shim.h. Any thread, any signal handler. */
#ifndef LASTCALL_DESCRIPTORS_H
#define LASTCALL_DESCRIPTORS_H

#include "shim.h"

/* The sweep is looking at this descriptor: see shim_settled_slot. */
static const uint32_t LOOKED_AT = (uint32_t)FD_SPECIAL << 30 | SPECIAL_LOOKED_AT;

/* Can fd have a slot? Maps the table if there is none yet. */
bool slot_possible(int fd);

/* Whatever it was before. Without a table nothing happens: fd had no slot. */
static inline void slot_set(int fd, uint32_t slot)
{
    if ((unsigned)fd >= fd_slots)
        return;
    if (UNLIKELY(fd > shim.fd_top))
        shim.fd_top = fd;
    __atomic_store_n(&fd_slot[fd], slot, __ATOMIC_RELEASE);
}

/* fd can have a slot. False: it is not `from`, and stays as it is. */
static inline bool slot_change(int fd, uint32_t from, uint32_t to)
{
    if (!__atomic_compare_exchange_n(&fd_slot[fd], &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    if (UNLIKELY(fd > shim.fd_top))
        shim.fd_top = fd;
    return true;
}

/* Make an entry for fd; NULL: no memory, the connection passes through unseen. found: by the sweep, which is looking at it;
 * what has become of it until now is not known. */
struct conn *shim_track(int fd, uint16_t listener, bool unix_, bool found);

/* A sandbox refuses what we ask the kernel, or there is no memory, or no room: said once. */
void shim_cannot_watch(const char *what, uint8_t *said);

/* Private memory; NULL: there is none. */
void *shim_map_zeroed(size_t size);

#endif
