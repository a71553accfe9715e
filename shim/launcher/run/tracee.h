/* tracee.h: a process that is stopped at its exec, before its first instruction, and does what we want meanwhile (ptrace(2)).
 * All return 0 or -errno; -ESRCH: it has gone. */
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
    uint64_t mask;    /* of signals, likewise: all are blocked while it is ours */
    uint64_t code;    /* where it enters the kernel for us: its entry point */
    long under_code;  /* what is there */
};

/* Attach to it, wherever it is. */
int tracee_seize(int pid);

/* Wait until it executes another program. -ECHILD: it will not. */
int tracee_await_exec(int pid);

/* It stands at its entry point: it is ours now. */
int tracee_begin(struct tracee *t, int pid);

/* A system call of its own. *ret: what the kernel says. */
int tracee_call(struct tracee *t, long *ret, long nr, const long arguments[6]);

int tracee_put(const struct tracee *t, uint64_t address, uint64_t word);

/* Let it run at `address`, on its first stack, until it traps. */
int tracee_run(struct tracee *t, uint64_t address);

/* Let it go. From where it has trapped, with what go_injected wants to know (trapped), or from its entry point. */
int tracee_end(struct tracee *t, bool trapped);

#endif
