/* slots.c: see slots.h. */
#include "track/slots.h"

#include "sys/map.h"
#include "sys/syscall.h"

HIDDEN uint32_t *fd_slot;
HIDDEN unsigned fd_slots;
HIDDEN struct slots slots;

uint32_t slots_settled(int fd)
{
    uint32_t slot;
    while (UNLIKELY((slot = slot_of(fd)) == LOOKED_AT))
        sys0(SYS_sched_yield);
    return slot;
}

bool slots_possible(int fd)
{
    if (UNLIKELY(fd_slots == 0)) {
        uint32_t *none = NULL, *table = map_zeroed(FD_MAX * sizeof *table);
        if (!table)
            return false;
        if (!__atomic_compare_exchange_n(&fd_slot, &none, table, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            map_free(table, FD_MAX * sizeof *table);
        __atomic_store_n(&fd_slots, FD_MAX, __ATOMIC_RELEASE);
    }
    return (unsigned)fd < FD_MAX;
}

static void (*on_close[SPECIAL_KINDS])(int fd);

void slots_mark(int fd, enum fd_special what)
{
    if (slots_possible(fd))
        slots_set(fd, fd_slot_make(FD_SPECIAL, what));
}

void slots_on_close(enum fd_special what, void (*f)(int fd))
{
    on_close[what] = f;
}

void slots_closed(int fd, uint32_t slot)
{
    uint32_t what = fd_slot_index(slot);
    if (what < COUNT(on_close) && on_close[what])
        on_close[what](fd);
}

void slots_drop(void)
{
    __atomic_store_n(&fd_slots, 0, __ATOMIC_SEQ_CST); /* the table stays: another thread may be reading there */
}

void slots_after_fork(void)
{
    if (slot_of(slots.looked_at) == LOOKED_AT)
        slots_set(slots.looked_at, 0);
    slots.looked_at = 0;
}
