/* ipc.c: hooks of the System V and POSIX calls that wait for another process or thread, and that SA_RESTART does not
 * restart (signal(7): semop, msgrcv; sem_timedwait and aio_suspend with a time-out). An EINTR that only our own handler
 * caused is not shown: servers take it for a lock that they could not get. */
#include "hook/waiting.h"

#include <sys/sem.h>

#define WAIT(type, call)                                \
    do {                                                \
        unsigned runs = hook_runs();                    \
        type ret;                                       \
        do                                              \
            ret = call;                                 \
        while (UNLIKELY(ret < 0) && hook_again(&runs)); \
        return ret;                                     \
    } while (0)

int hook_semop(int id, struct sembuf *ops, size_t count)
{
    WAIT(int, real.semop(id, ops, count));
}

int hook_semtimedop(int id, struct sembuf *ops, size_t count, const struct timespec *timeout)
{
    struct timespec rest;
    struct waiting w = {arch_ticks(), hook_runs()};
    int ret = real.semtimedop(id, ops, count, timeout);
    while (waiting_again(&w, ret))
        ret = real.semtimedop(id, ops, count, waiting_left_ts(&w, timeout, &rest));
    return ret;
}

int hook_msgsnd(int id, const void *msg, size_t size, int flags)
{
    WAIT(int, real.msgsnd(id, msg, size, flags));
}

ssize_t hook_msgrcv(int id, void *msg, size_t size, long type, int flags)
{
    WAIT(ssize_t, real.msgrcv(id, msg, size, type, flags));
}

/* The time is absolute. */
int hook_sem_timedwait(void *sem, const struct timespec *until)
{
    WAIT(int, real.sem_timedwait(sem, until));
}

int hook_sem_clockwait(void *sem, int clock, const struct timespec *until)
{
    WAIT(int, real.sem_clockwait(sem, clock, until));
}

int hook_aio_suspend(const void *const *list, int count, const struct timespec *timeout)
{
    struct timespec rest;
    struct waiting w = {arch_ticks(), hook_runs()};
    int ret = real.aio_suspend(list, count, timeout);
    while (waiting_again(&w, ret))
        ret = real.aio_suspend(list, count, waiting_left_ts(&w, timeout, &rest));
    return ret;
}

int hook_aio_suspend64(const void *const *list, int count, const struct timespec *timeout)
{
    return hook_aio_suspend(list, count, timeout);
}
