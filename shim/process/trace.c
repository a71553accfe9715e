/* trace.c: see trace.h. */
#include "process/trace.h"

#include "process/clock.h"

enum { RING = 4096 };

struct record {
    uint32_t turn; /* the number of this record in the ring's history, plus one; written last; 0: being written */
    int fd;
    uint64_t value;
    nsec_t at;
    uint8_t what;
};

static struct record *ring;
static uint32_t written, taken;

size_t trace_size(void)
{
    return RING * sizeof *ring;
}

void trace_open(void *memory)
{
    ring = memory;
}

void trace_put(enum trace what, int fd, uint64_t value)
{
    if (!ring)
        return;
    uint32_t turn = __atomic_fetch_add(&written, 1, __ATOMIC_RELAXED);
    struct record *r = &ring[turn % RING];
    __atomic_exchange_n(&r->turn, 0, __ATOMIC_ACQ_REL); /* being written: a reader shall not take half of it */
    r->what = (uint8_t)what;
    r->fd = fd;
    r->value = value;
    r->at = clock_now();
    __atomic_store_n(&r->turn, turn + 1, __ATOMIC_RELEASE);
}

void trace_take(void (*f)(enum trace what, int fd, uint64_t value, nsec_t at))
{
    if (!ring)
        return;
    uint32_t end = __atomic_load_n(&written, __ATOMIC_ACQUIRE);
    if (end - taken > RING)
        taken = end - RING;
    for (; taken != end; taken++) {
        struct record *at = &ring[taken % RING];
        if (__atomic_load_n(&at->turn, __ATOMIC_ACQUIRE) != taken + 1)
            break; /* being written: next time */
        struct record r = *at;
        if (__atomic_fetch_add(&at->turn, 0, __ATOMIC_ACQ_REL) != taken + 1) /* no read of the copy comes after it */
            break; /* given to a later one meanwhile: it is lost, and the next look goes on behind it */
        f(r.what, r.fd, r.value, r.at);
    }
}

const char *trace_name(enum trace what)
{
    static const char *const names[TRACE_KINDS] = {
        [TRACE_CLOSE_SENT] = "close option sent",
        [TRACE_IDLE] = "idle",
        [TRACE_READ_SHUT] = "idle window over: read shutdown",
        [TRACE_HALF_CLOSED] = "half-closed",
        [TRACE_LINGER] = "closed by the program, lingering",
        [TRACE_ACKED] = "output acknowledged",
        [TRACE_DROPPED] = "lingering socket closed",
        [TRACE_LATE_DATA] = "late data, discarded",
        [TRACE_OPAQUE] = "opaque",
        [TRACE_HANDED] = "the primary hands over no more",
    };
    return names[what];
}
