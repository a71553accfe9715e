/* syscall.h: raw system calls, returning -errno. The system calls that the library needs for itself go through here,
 * so that they never meet its own hooks, change no thread's errno, and need no libc. */
#ifndef LASTCALL_SYSCALL_H
#define LASTCALL_SYSCALL_H

#include "base.h"

#include <sys/syscall.h>

#include "sys/arch.h"

#define SYS_ARG_(x)            ((long)(x))
#define sys0(n)                arch_syscall(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a)             arch_syscall(n, SYS_ARG_(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b)          arch_syscall(n, SYS_ARG_(a), SYS_ARG_(b), 0, 0, 0, 0)
#define sys3(n, a, b, c)       arch_syscall(n, SYS_ARG_(a), SYS_ARG_(b), SYS_ARG_(c), 0, 0, 0)
#define sys4(n, a, b, c, d)    arch_syscall(n, SYS_ARG_(a), SYS_ARG_(b), SYS_ARG_(c), SYS_ARG_(d), 0, 0)
#define sys5(n, a, b, c, d, e) arch_syscall(n, SYS_ARG_(a), SYS_ARG_(b), SYS_ARG_(c), SYS_ARG_(d), SYS_ARG_(e), 0)
#define sys6(n, a, b, c, d, e, f) \
    arch_syscall(n, SYS_ARG_(a), SYS_ARG_(b), SYS_ARG_(c), SYS_ARG_(d), SYS_ARG_(e), SYS_ARG_(f))

/* Error numbers as the kernel gives them: no libc header is needed to name them. */
#include <asm-generic/errno.h>

#endif
