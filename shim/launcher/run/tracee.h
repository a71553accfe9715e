/* tracee.h: a process that is stopped at its exec, before its first instruction, and makes system calls for the
 * tracer (ptrace(2)). All functions return 0 or -errno; -ESRCH: the tracee has ended. */
#ifndef LASTCALL_LAUNCHER_RUN_TRACEE_H
#define LASTCALL_LAUNCHER_RUN_TRACEE_H

#include "base.h"

#if defined(__x86_64__)
#include "launcher/run/tracee_x86_64.h"
#elif defined(__aarch64__)
#include "launcher/run/tracee_aarch64.h"
#else
#error "no tracee_*.h for this architecture yet"
#endif

struct tracee {
    int pid;
    tracee_regs regs; /* as exec has left them */
    uint64_t mask;    /* signal mask as exec has left it: all signals are blocked until tracee_end */
    uint64_t code;    /* the address where the tracee makes the tracer's system calls: its entry point */
    long under_code;  /* the original word at `code` */
};

/* Attach to the process, at whatever instruction it is. */
int tracee_seize(int pid);

/* Wait until the tracee executes another program. -ECHILD: the tracee will not. */
int tracee_await_exec(int pid);

/* Take control of the tracee, which is stopped in execve, and bring the tracee to its entry point. */
int tracee_begin(struct tracee *t, int pid);

/* Have the tracee make a system call. *ret: the kernel's return value. */
int tracee_call(struct tracee *t, long *ret, long nr, const long arguments[6]);

int tracee_put(const struct tracee *t, uint64_t address, uint64_t word);

/* Let the tracee run at `address`, on its first stack, until a trap. */
int tracee_run(struct tracee *t, uint64_t address);

/* Detach. The tracee continues after its trap, with the registers that go_injected expects (trapped), or from its
 * entry point. */
int tracee_end(struct tracee *t, bool trapped);

#endif
