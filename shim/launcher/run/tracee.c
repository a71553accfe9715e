/* tracee.c: see tracee.h. */
#include "launcher/run/tracee.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int trace(int request, int pid, uintptr_t address, uintptr_t data)
{
    return ptrace(request, pid, address, data) == -1 ? -errno : 0;
}

int tracee_seize(int pid)
{
    return trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXEC);
}

/* The tracee has stopped for another reason than the tracer's: continue the tracee as if it were not traced. */
static int pass_on(int pid, int status)
{
    int sig = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_STOP)
        return trace(sig == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, pid, 0, 0);
    return trace(PTRACE_CONT, pid, 0, event ? 0 : (uintptr_t)sig);
}

/* Wait for a SIGTRAP of this kind. */
static int await(int pid, int event)
{
    for (;;) {
        int status;
        if (waitpid(pid, &status, __WALL) != pid)
            return errno == EINTR ? -EAGAIN : -errno;
        if (!WIFSTOPPED(status))
            return -ESRCH;
        if (WSTOPSIG(status) == SIGTRAP && status >> 16 == event)
            return 0;
        if (event == 0 && status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP)
            return -EFAULT; /* all signals are blocked: the tracee's own instruction raised this one */
        int ret = pass_on(pid, status);
        if (ret != 0)
            return ret;
    }
}

int tracee_await_exec(int pid)
{
    return await(pid, PTRACE_EVENT_EXEC);
}

static int get_regs(int pid, tracee_regs *regs)
{
    struct iovec all = {regs, sizeof *regs};
    return trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (uintptr_t)&all);
}

static int set_regs(int pid, const tracee_regs *regs)
{
    struct iovec all = {(void *)(uintptr_t)regs, sizeof *regs};
    return trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, (uintptr_t)&all);
}

static int plant_code(struct tracee *t)
{
    long word;
    errno = 0;
    t->code = tracee_at(&t->regs);
    t->under_code = ptrace(PTRACE_PEEKTEXT, t->pid, t->code, 0);
    if (errno != 0)
        return -errno;
    word = t->under_code;
    memcpy(&word, tracee_code, sizeof tracee_code);
    return trace(PTRACE_POKETEXT, t->pid, t->code, (uintptr_t)word);
}

/* Continue the tracee with these registers, until the next trap. */
static int go_on(const struct tracee *t, const tracee_regs *regs)
{
    int ret = set_regs(t->pid, regs);
    if (ret == 0)
        ret = trace(PTRACE_CONT, t->pid, 0, 0);
    return ret != 0 ? ret : await(t->pid, 0);
}

/* The tracee is still in execve: when execve returns, the kernel writes the return value 0 over the register that
 * would hold the number of the tracer's first system call. So the tracee first returns from execve, to the trap
 * instruction in the tracer's code. */
static int leave_exec(const struct tracee *t)
{
    tracee_regs regs = t->regs;
    tracee_go_to(&regs, t->code + TRACEE_TRAP);
    return go_on(t, &regs);
}

int tracee_begin(struct tracee *t, int pid)
{
    const uint64_t all = ~(uint64_t)0;
    t->pid = pid;
    int ret = get_regs(pid, &t->regs);
    if (ret == 0)
        ret = trace(PTRACE_GETSIGMASK, pid, sizeof t->mask, (uintptr_t)&t->mask);
    if (ret == 0)
        ret = trace(PTRACE_SETSIGMASK, pid, sizeof all, (uintptr_t)&all);
    if (ret == 0)
        ret = plant_code(t);
    return ret != 0 ? ret : leave_exec(t);
}

int tracee_call(struct tracee *t, long *ret, long nr, const long arguments[6])
{
    tracee_regs regs = t->regs;
    tracee_go_to(&regs, t->code);
    tracee_ask(&regs, nr, arguments);
    int error = go_on(t, &regs);
    if (error == 0)
        error = get_regs(t->pid, &regs);
    *ret = tracee_answer(&regs);
    return error;
}

int tracee_put(const struct tracee *t, uint64_t address, uint64_t word)
{
    return trace(PTRACE_POKEDATA, t->pid, address, word);
}

int tracee_run(struct tracee *t, uint64_t address)
{
    tracee_regs regs = t->regs;
    tracee_go_to(&regs, address);
    return go_on(t, &regs);
}

int tracee_end(struct tracee *t, bool trapped)
{
    tracee_regs regs = t->regs;
    int ret = trace(PTRACE_POKETEXT, t->pid, t->code, (uintptr_t)t->under_code);
    if (trapped && ret == 0) {
        ret = get_regs(t->pid, &regs);
        tracee_tell(&regs, getpid(), t->code);
    } else {
        tracee_go_to(&regs, t->code);
    }
    if (ret == 0)
        ret = set_regs(t->pid, &regs);
    if (ret == 0)
        ret = trace(PTRACE_SETSIGMASK, t->pid, sizeof t->mask, (uintptr_t)&t->mask);
    int gone = trace(PTRACE_DETACH, t->pid, 0, 0);
    return ret != 0 ? ret : gone;
}
