/* clock.h: the time, as everything here counts it. */
#ifndef LASTCALL_LAUNCHER_HOST_CLOCK_H
#define LASTCALL_LAUNCHER_HOST_CLOCK_H

#include "base.h"

#include <time.h>

static inline nsec_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

#endif
