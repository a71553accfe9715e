/* waiting.h: one wait of the program that SA_RESTART does not restart (signal(7)): if only our own handler has
 * interrupted it, it goes on with the time that is left. */
#ifndef LASTCALL_HOOK_WAITING_H
#define LASTCALL_HOOK_WAITING_H

#include "hook/hook_call.h"

#include <time.h>

/* One wait. When it began is asked of the processor, not of the clock, which would cost more than all the rest: what
 * its ticks are worth is found in the rare case that we have to know. */
struct waiting {
    uint64_t began;
    unsigned runs;
};

static inline struct waiting waiting_begin(void)
{
    self_settle();
    return (struct waiting){arch_ticks(), hook_runs()};
}

static inline nsec_t waiting_nsec(const struct timespec *t)
{
    const nsec_t most = (nsec_t)1 << 33; /* seconds: some say `for ever` so, and the product must not overflow */
    nsec_t seconds = (nsec_t)t->tv_sec;
    return (seconds < most ? seconds : most) * NSEC_PER_SEC + (nsec_t)t->tv_nsec;
}

/* Did the wait fail only because of lastcall's handler? Then prepare the next round. */
static inline bool waiting_again(struct waiting *w, int ret)
{
    return UNLIKELY(ret < 0) && hook_again(&w->runs);
}

static inline nsec_t waiting_left(const struct waiting *w, nsec_t timeout)
{
    nsec_t since = clock_since(w->began);
    return since < timeout ? timeout - since : 0;
}

static inline int waiting_left_ms(const struct waiting *w, int timeout)
{
    if (timeout <= 0)
        return timeout;
    return (int)((waiting_left(w, (nsec_t)timeout * NSEC_PER_MSEC) + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

static inline const struct timespec *waiting_left_ts(const struct waiting *w, const struct timespec *timeout,
                                                     struct timespec *out)
{
    if (!timeout)
        return NULL;
    nsec_t ns = waiting_left(w, waiting_nsec(timeout));
    out->tv_sec = (time_t)(ns / NSEC_PER_SEC);
    out->tv_nsec = (long)(ns % NSEC_PER_SEC);
    return out;
}

/* A call on a socket with a time-out of its own (timed.c): the real call, made again where only our own handler has
 * interrupted it (out: one that writes). */
bool hook_timed_again(struct waiting *w, int fd, bool out);
#define WAITING_TIMED(type, fd, out, real_call)                                    \
    do {                                                                           \
        struct waiting timed_wait = {arch_ticks(), hook_runs()};                   \
        type timed_ret;                                                            \
        do                                                                         \
            timed_ret = real_call;                                                 \
        while (UNLIKELY(timed_ret < 0) && hook_timed_again(&timed_wait, fd, out)); \
        return timed_ret;                                                          \
    } while (0)

/* A transfer of `n` bytes has moved only `done`. Has our own handler cut it short? A blocking call moves all of it
 * otherwise, and many a program counts on that. runs: before the call; flags: of send and recv, else 0. */
bool hook_cut_short(unsigned runs, int fd, ssize_t done, size_t n, int flags);
static INLINE bool waiting_cut_short(unsigned runs, int fd, ssize_t done, size_t n, int flags)
{
    return UNLIKELY(runs != hook_runs()) && hook_cut_short(runs, fd, done, n, flags);
}

static INLINE bool waiting_is_timed(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_TIMED);
}

#endif
