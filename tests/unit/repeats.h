/* repeats.h: how often something is tried at random. The same numbers come in each run, so that a later run finds what
 * an earlier one has found: `make test` tries the first part of them, `make soak` (SOAK in the environment) all, and
 * libFuzzer others each time. */
#ifndef LASTCALL_REPEATS_H
#define LASTCALL_REPEATS_H

#include <stdlib.h>

static inline unsigned repeats(unsigned all)
{
    return getenv("SOAK") ? all : all / 8;
}

#endif
