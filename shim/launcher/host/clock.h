/* clock.h: the clocks of the launcher, in nanoseconds. */
#ifndef LASTCALL_LAUNCHER_HOST_CLOCK_H
#define LASTCALL_LAUNCHER_HOST_CLOCK_H

#include "base.h"

#include <time.h>

static inline nsec_t clock_read(clockid_t which)
{
    struct timespec t = {0, 0};
    clock_gettime(which, &t);
    return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

/* For intervals and deadlines. */
static inline nsec_t clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* For logs and reports: milliseconds since 1970. */
static inline uint64_t clock_wall_ms(void)
{
    return clock_read(CLOCK_REALTIME) / NSEC_PER_MSEC;
}

#endif
