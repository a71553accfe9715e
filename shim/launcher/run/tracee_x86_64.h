/* tracee_x86_64.h: the registers of this architecture that hold a stopped process's address and its system call.
 * Facts only. Source: ptrace(2), syscall(2). */
#ifndef LASTCALL_LAUNCHER_RUN_TRACEE_X86_64_H
#define LASTCALL_LAUNCHER_RUN_TRACEE_X86_64_H

#include <elf.h>
#include <string.h>
#include <sys/user.h>

typedef struct user_regs_struct tracee_regs;

/* syscall; int3: after the call it stops. */
static const uint8_t tracee_code[] = {0x0f, 0x05, 0xcc};
enum { TRACEE_TRAP = 2 };

enum { TRACEE_RELATIVE = R_X86_64_RELATIVE, TRACEE_SLOT = R_X86_64_GLOB_DAT, TRACEE_ADDRESS = R_X86_64_64 };

static inline uint64_t tracee_at(const tracee_regs *r)
{
    return r->rip;
}

static inline void tracee_go_to(tracee_regs *r, uint64_t address)
{
    r->rip = address;
    r->orig_rax = (unsigned long)-1; /* it is in no system call that could be restarted */
}

static inline void tracee_ask(tracee_regs *r, long nr, const long a[6])
{
    r->rax = (unsigned long)nr;
    r->rdi = (unsigned long)a[0];
    r->rsi = (unsigned long)a[1];
    r->rdx = (unsigned long)a[2];
    r->r10 = (unsigned long)a[3];
    r->r8 = (unsigned long)a[4];
    r->r9 = (unsigned long)a[5];
}

static inline long tracee_answer(const tracee_regs *r)
{
    return (long)r->rax;
}

/* The registers that go_injected (go/entry_x86_64.S) reads after its trap. */
static inline void tracee_tell(tracee_regs *r, int tracer, uint64_t entry)
{
    r->rdi = (unsigned long)tracer;
    r->rbx = entry;
}

#endif
