/* arch_aarch64.h: how this architecture enters the kernel. Facts only. Source: syscall(2), AAPCS64, the Arm ARM. */
#ifndef LASTCALL_ARCH_AARCH64_H
#define LASTCALL_ARCH_AARCH64_H

#include <errno.h>
#include <ucontext.h>

#define ARCH_NAME  "aarch64"
#define ARCH_AUDIT 0xc00000b7u /* linux/audit.h */

/* Pages have 4, 16 or 64 KiB, as the kernel was built: what has this size and alignment is whole pages in all of
 * them. */
enum { ARCH_PAGE_MAX = 65536 };

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

/* Which thread this is, without asking the kernel: the thread pointer. 0 in a program without TLS. */
static inline uintptr_t arch_thread_pointer(void)
{
    uintptr_t tp;
    __asm__("mrs %0, tpidr_el0" : "=r"(tp));
    return tp;
}

/* A counter that runs evenly; the clock itself reads it too. */
static inline uint64_t arch_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

/* Nanoseconds, where no clock may be asked. */
static inline uint64_t arch_ticks_nsec(uint64_t ticks)
{
    uint64_t rate;
    __asm__("mrs %0, cntfrq_el0" : "=r"(rate));
    return ticks / rate * 1000000000 + ticks % rate * 1000000000 / rate;
}
#define ARCH_TICKS_NSEC(ticks) arch_ticks_nsec(ticks)

/* A jump to anywhere, that changes no register but x16, which every call may change: ldr x16, 8; br x16; .quad to. */
enum { ARCH_JUMP = 16 };
static inline void arch_write_jump(unsigned char *at, void (*to)(void))
{
    uint32_t code[4] = {0x58000050, 0xd61f0200, (uint32_t)(uintptr_t)to, (uint32_t)((uintptr_t)to >> 32)};
    __builtin_memcpy(at, code, sizeof code);
    /* No line of a cache is smaller than a word: each word, so that their sizes need not be asked for. */
    for (unsigned i = 0; i < sizeof code; i += 4)
        __asm__ volatile("dc cvau, %0" : : "r"(at + i) : "memory");
    __asm__ volatile("dsb ish" : : : "memory");
    for (unsigned i = 0; i < sizeof code; i += 4)
        __asm__ volatile("ic ivau, %0" : : "r"(at + i) : "memory");
    __asm__ volatile("dsb ish\n\tisb" : : : "memory");
}

/* A handler's context: has the signal made a system call fail with EINTR, with nothing in between? (A handler that is
 * stacked upon another one sees that one's first instruction, with the signal's number in x0: setup_return. The
 * instruction before pc is not looked at: code need not be readable.) */
#define arch_interrupted_call(context) ((long)((const ucontext_t *)(context))->uc_mcontext.regs[0] == -EINTR)

/* Where a handler's context will go on. */
static inline const unsigned char *arch_code_ahead(const void *context)
{
    return (const unsigned char *)((const ucontext_t *)context)->uc_mcontext.pc;
}

/* The number of the system call that begins with the code ahead (readable), -1: none, and the second argument of it. */
static inline long arch_call_ahead(const void *context, long *second)
{
    const ucontext_t *uc = context;
    uint32_t code;
    __builtin_memcpy(&code, arch_code_ahead(context), sizeof code);
    *second = (long)uc->uc_mcontext.regs[1];
    return code == 0xd4000001 /* svc #0 */ ? (long)uc->uc_mcontext.regs[8] : -1;
}

/* The call is not made: it has failed with EINTR. */
static inline void arch_interrupt_call_ahead(void *context)
{
    ucontext_t *uc = context;
    uc->uc_mcontext.pc += 4;
    uc->uc_mcontext.regs[0] = (unsigned long)-EINTR;
}

#endif
