/* clock.c: see clock.h. */
#include "process/clock.h"

#include "sys/syscall.h"

#include <time.h>

static struct {
    uint64_t ticks; /* arch_ticks() at one moment, and the time then */
    nsec_t ticks_at;
} clock_state;

void clock_start(void)
{
    clock_state.ticks_at = clock_now();
    clock_state.ticks = arch_ticks();
}

nsec_t clock_now(void)
{
    struct timespec now;
    if (UNLIKELY(sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0) &&
        sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0)
        /* A sandbox may not know that it is a system call too: programs ask the vDSO. */
        return clock_state.ticks_at + ARCH_TICKS_NSEC(arch_ticks() - clock_state.ticks);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

nsec_t clock_since(uint64_t began)
{
    uint64_t ticks = arch_ticks();
    nsec_t now = clock_now();
    if (ticks <= clock_state.ticks || ticks <= began) /* the counter has begun anew (suspend) */
        return 0;
    double worth = (double)(now - clock_state.ticks_at) / (double)(ticks - clock_state.ticks);
    return (nsec_t)((double)(ticks - began) * worth);
}

uint64_t clock_wall_ms(void)
{
    struct timespec wall = {0, 0};
    sys2(SYS_clock_gettime, CLOCK_REALTIME, &wall);
    return (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
}
