/* kernel.h: in the place of shim/sys/syscall.h: the system calls of group/ go to edge.c. To be included first. */
#ifndef LASTCALL_SYSCALL_H
#define LASTCALL_SYSCALL_H

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>

long model_call(long nr, long a, long b, long c, long d, long e, long f);

#define ARG_(x)                   ((long)(x))
#define sys0(n)                   model_call(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a)                model_call(n, ARG_(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b)             model_call(n, ARG_(a), ARG_(b), 0, 0, 0, 0)
#define sys3(n, a, b, c)          model_call(n, ARG_(a), ARG_(b), ARG_(c), 0, 0, 0)
#define sys4(n, a, b, c, d)       model_call(n, ARG_(a), ARG_(b), ARG_(c), ARG_(d), 0, 0)
#define sys5(n, a, b, c, d, e)    model_call(n, ARG_(a), ARG_(b), ARG_(c), ARG_(d), ARG_(e), 0)
#define sys6(n, a, b, c, d, e, f) model_call(n, ARG_(a), ARG_(b), ARG_(c), ARG_(d), ARG_(e), ARG_(f))

static inline uintptr_t arch_thread_pointer(void)
{
    return 0;
}

static inline uint64_t arch_ticks(void)
{
    return 0;
}

#endif
