/* slots.h: what is known of each descriptor, one word each (core/fd_slot.h). Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_SLOTS_H
#define LASTCALL_TRACK_SLOTS_H

#include "core/fd_slot.h"

/* FD_MAX of them, mapped when the first is set: a process that never serves has none, for the loader would need a
 * system call more for so large a .bss. */
extern HIDDEN uint32_t *fd_slot;
extern HIDDEN unsigned fd_slots; /* 0 or FD_MAX; set after fd_slot */

struct slots {
    int top;       /* highest descriptor that ever had a slot */
    int looked_at; /* by the sweep: its slot says so */
};
extern HIDDEN struct slots slots;

static inline uint32_t slot_of(int fd)
{
    if (UNLIKELY((unsigned)fd >= __atomic_load_n(&fd_slots, __ATOMIC_ACQUIRE)))
        return 0;
    return __atomic_load_n(&fd_slot[fd], __ATOMIC_RELAXED);
}

/* The sweep is looking at this descriptor: see slots_settled. */
static const uint32_t LOOKED_AT = (uint32_t)FD_SPECIAL << 30 | SPECIAL_LOOKED_AT;

/* The slot, once the sweep has finished with the descriptor: waits for a few system calls. */
uint32_t slots_settled(int fd);

/* Can fd have a slot? Maps the table if there is none yet. */
bool slots_possible(int fd);

/* Two threads may do so at once: a look at all slots up to the top must miss neither. */
static inline void slots_raise_top(int fd)
{
    int top = LOAD(slots.top);
    while (UNLIKELY(fd > top) &&
           !__atomic_compare_exchange_n(&slots.top, &top, fd, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Set the slot, regardless of its old value. Without a table nothing happens: fd had no slot. */
static inline void slots_set(int fd, uint32_t slot)
{
    if ((unsigned)fd >= fd_slots)
        return;
    slots_raise_top(fd);
    __atomic_store_n(&fd_slot[fd], slot, __ATOMIC_RELEASE);
}

/* fd can have a slot. False: it is not `from`, and stays as it is. */
static inline bool slots_change(int fd, uint32_t from, uint32_t to)
{
    if (!__atomic_compare_exchange_n(&fd_slot[fd], &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    slots_raise_top(fd);
    return true;
}

/* fd has this special meaning from now on, whatever it was before. */
void slots_mark(int fd, enum fd_special what);

/* When a descriptor that is marked `what` is closed, or replaced by another: f is called. Set once, by the
 * constructor. */
void slots_on_close(enum fd_special what, void (*f)(int fd));
/* fd, which had this special slot, is closed. */
void slots_closed(int fd, uint32_t slot);

/* No descriptor has a slot any more. */
void slots_drop(void);

/* A fork's child: the sweep is its parent's. */
void slots_after_fork(void);

#endif
