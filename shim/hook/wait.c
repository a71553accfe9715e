/* wait.c: hooks of the calls that SA_RESTART does not restart (signal(7)): an EINTR that only our own handler
 * caused is retried with the time that is left. Some programs die of an EINTR they did not ask for. */
#include "hook/waiting.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

int hook_epoll_wait(int ep, struct epoll_event *events, int max, int timeout)
{
    struct waiting w = waiting_begin();
    int ret = real.epoll_wait(ep, events, max, timeout);
    while (waiting_again(&w, ret))
        ret = real.epoll_wait(ep, events, max, waiting_left_ms(&w, timeout));
    return ret;
}

int hook_epoll_pwait(int ep, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
    struct waiting w = waiting_begin();
    int ret = real.epoll_pwait(ep, events, max, timeout, mask);
    while (waiting_again(&w, ret))
        ret = real.epoll_pwait(ep, events, max, waiting_left_ms(&w, timeout), mask);
    return ret;
}

int hook_epoll_pwait2(int ep, struct epoll_event *events, int max, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec rest;
    struct waiting w = waiting_begin();
    int ret = real.epoll_pwait2(ep, events, max, timeout, mask);
    while (waiting_again(&w, ret))
        ret = real.epoll_pwait2(ep, events, max, waiting_left_ts(&w, timeout, &rest), mask);
    return ret;
}

int hook_poll(struct pollfd *fds, unsigned long count, int timeout)
{
    struct waiting w = waiting_begin();
    int ret = real.poll(fds, count, timeout);
    while (waiting_again(&w, ret))
        ret = real.poll(fds, count, waiting_left_ms(&w, timeout));
    return ret;
}

int hook___poll_chk(struct pollfd *fds, unsigned long count, int timeout, size_t size)
{
    if (size / sizeof *fds < count)
        return real.__poll_chk(fds, count, timeout, size);
    return hook_poll(fds, count, timeout);
}

int hook_ppoll(struct pollfd *fds, unsigned long count, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec rest;
    struct waiting w = waiting_begin();
    int ret = real.ppoll(fds, count, timeout, mask);
    while (waiting_again(&w, ret))
        ret = real.ppoll(fds, count, waiting_left_ts(&w, timeout, &rest), mask);
    return ret;
}

int hook___ppoll_chk(struct pollfd *fds, unsigned long count, const struct timespec *timeout, const sigset_t *mask,
                     size_t size)
{
    if (size / sizeof *fds < count)
        return real.__ppoll_chk(fds, count, timeout, mask, size);
    return hook_ppoll(fds, count, timeout, mask);
}

/* select leaves its sets undefined after an error (in Linux: untouched) and writes the time that is left. */
int hook_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
    self_settle();
    for (;;) {
        unsigned runs = hook_runs();
        int ret = real.select(n, r, w, x, timeout);
        if (LIKELY(ret >= 0) || !hook_interrupted(runs))
            return ret;
    }
}

int hook_pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec rest;
    struct waiting wait = waiting_begin();
    int ret = real.pselect(n, r, w, x, timeout, mask);
    while (waiting_again(&wait, ret))
        ret = real.pselect(n, r, w, x, waiting_left_ts(&wait, timeout, &rest), mask);
    return ret;
}

/* ---- sleeping ---- */

int hook_nanosleep(const struct timespec *want, struct timespec *rest)
{
    struct timespec own;
    struct timespec *to = rest ? rest : &own;
    for (;;) {
        unsigned runs = hook_runs();
        int ret = real.nanosleep(want, to);
        if (LIKELY(ret == 0) || !hook_interrupted(runs))
            return ret;
        own = *to;
        want = &own;
    }
}

int hook_clock_nanosleep(int clock, int flags, const struct timespec *want, struct timespec *rest)
{
    struct timespec own;
    struct timespec *to = rest ? rest : &own;
    for (;;) {
        unsigned runs = hook_runs();
        int err = real.clock_nanosleep(clock, flags, want, to); /* returns the error itself */
        if (LIKELY(err != EINTR) || !eintr_is_ours(runs))
            return err;
        if ((flags & TIMER_ABSTIME) == 0) {
            own = *to;
            want = &own;
        }
    }
}

/* C11: -1 for EINTR, another negative number for any other error. */
int hook_thrd_sleep(const struct timespec *want, struct timespec *rest)
{
    struct timespec own;
    struct timespec *to = rest ? rest : &own;
    for (;;) {
        unsigned runs = hook_runs();
        int ret = real.thrd_sleep(want, to);
        if (LIKELY(ret != -1) || !eintr_is_ours(runs))
            return ret;
        own = *to;
        want = &own;
    }
}

int hook_usleep(unsigned usec)
{
    struct timespec want = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
    return hook_nanosleep(&want, NULL);
}

/* Not by real.sleep: it tells the time that is left in whole seconds, rounded down. */
unsigned hook_sleep(unsigned seconds)
{
    struct timespec want = {(time_t)seconds, 0};
    int saved = *libc_errno();
    if (hook_nanosleep(&want, &want) != 0)
        return (unsigned)want.tv_sec;
    *libc_errno() = saved;
    return 0;
}

int hook_pause(void)
{
    self_settle();
    for (;;) {
        unsigned runs = hook_runs();
        int ret = real.pause();
        if (!hook_interrupted(runs))
            return ret;
    }
}
