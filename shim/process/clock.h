/* clock.h: what time it is. Any thread, any signal handler. */
#ifndef LASTCALL_PROCESS_CLOCK_H
#define LASTCALL_PROCESS_CLOCK_H

#include "base.h"

/* Note the time and the processor's counter together: two such pairs tell what a tick is worth. When the process begins
 * to serve. */
void clock_start(void);

/* CLOCK_MONOTONIC. */
nsec_t clock_now(void);

/* Nanoseconds since arch_ticks() was `began`. */
nsec_t clock_since(uint64_t began);

/* Unix time in milliseconds. */
uint64_t clock_wall_ms(void);

#endif
