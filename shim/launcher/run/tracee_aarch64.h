/* tracee_aarch64.h: the registers of this architecture that hold a stopped process's address and its system call.
 * Facts only. Source: ptrace(2), syscall(2). */
#ifndef LASTCALL_LAUNCHER_RUN_TRACEE_AARCH64_H
#define LASTCALL_LAUNCHER_RUN_TRACEE_AARCH64_H

#include <elf.h>
#include <string.h>
#include <sys/user.h>

typedef struct user_regs_struct tracee_regs;

/* svc 0; brk 0: after the call it stops. */
static const uint8_t tracee_code[] = {0x01, 0x00, 0x00, 0xd4, 0x00, 0x00, 0x20, 0xd4};
enum { TRACEE_TRAP = 4 };

enum { TRACEE_RELATIVE = R_AARCH64_RELATIVE, TRACEE_SLOT = R_AARCH64_GLOB_DAT, TRACEE_ADDRESS = R_AARCH64_ABS64 };

static inline uint64_t tracee_at(const tracee_regs *r)
{
    return r->pc;
}

static inline void tracee_go_to(tracee_regs *r, uint64_t address)
{
    r->pc = address;
}

static inline void tracee_ask(tracee_regs *r, long nr, const long a[6])
{
    r->regs[8] = (unsigned long)nr;
    for (unsigned i = 0; i < 6; i++)
        r->regs[i] = (unsigned long)a[i];
}

static inline long tracee_answer(const tracee_regs *r)
{
    return (long)r->regs[0];
}

/* The registers that go_injected (go/entry_aarch64.S) reads after its brk; the kernel does not advance pc past a
 * brk. */
static inline void tracee_tell(tracee_regs *r, int tracer, uint64_t entry)
{
    r->regs[19] = (unsigned long)tracer;
    r->regs[20] = entry;
    r->pc += 4;
}

#endif
