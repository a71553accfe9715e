/* arch_x86_64.h: how this architecture enters the kernel. Facts only. Source: syscall(2), the psABI. */
#ifndef LASTCALL_ARCH_X86_64_H
#define LASTCALL_ARCH_X86_64_H

#include <errno.h>
#include <ucontext.h>

#define ARCH_NAME  "x86_64"
#define ARCH_AUDIT 0xc000003eu /* linux/audit.h */

/* What has this size and alignment is whole pages. */
enum { ARCH_PAGE_MAX = 4096 };

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Which thread this is, without asking the kernel: the thread pointer. 0 in a program without TLS. */
static inline uintptr_t arch_thread_pointer(void)
{
    uintptr_t tp;
    __asm__("movq %%fs:0, %0" : "=r"(tp));
    return tp;
}

/* A counter that runs evenly, at a rate we do not know; 25 cycles against the 60 and more of a clock. */
static inline uint64_t arch_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

/* Nanoseconds, more or less, where no clock may be asked. */
#define ARCH_TICKS_NSEC(ticks) ((ticks) / 3)

/* A jump to anywhere, that changes no register but r11, which a system call destroys as well: movabs $to, %r11; jmp
 * *%r11. */
enum { ARCH_JUMP = 13 };
static inline void arch_write_jump(unsigned char *at, void (*to)(void))
{
    uintptr_t target = (uintptr_t)to;
    at[0] = 0x49, at[1] = 0xbb;
    for (int i = 0; i < 8; i++)
        at[2 + i] = (unsigned char)(target >> 8 * i);
    at[10] = 0x41, at[11] = 0xff, at[12] = 0xe3;
}

/* A handler's context: has the signal made a system call fail with EINTR, with nothing in between? (A handler that is
 * stacked upon another one sees that one's first instruction, with 0 in rax: setup_rt_frame.) */
#define arch_interrupted_call(context) (((const ucontext_t *)(context))->uc_mcontext.gregs[REG_RAX] == -EINTR)

/* Where a handler's context will go on. */
static inline const unsigned char *arch_code_ahead(const void *context)
{
    return (const unsigned char *)((const ucontext_t *)context)
        ->uc_mcontext.gregs[REG_RIP]; /* NOLINT: it is an address */
}

/* The number of the system call that begins with the code ahead (readable), -1: none, and the second argument of it. */
static inline long arch_call_ahead(const void *context, long *second)
{
    const greg_t *reg = ((const ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = arch_code_ahead(context);
    *second = (long)reg[REG_RSI];
    return code[0] == 0x0f && code[1] == 0x05 ? (long)reg[REG_RAX] : -1;
}

/* The call is not made: it has failed with EINTR. */
static inline void arch_interrupt_call_ahead(void *context)
{
    greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;
    reg[REG_RIP] += 2;
    reg[REG_RAX] = -EINTR;
}

#endif
