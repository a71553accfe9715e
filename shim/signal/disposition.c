/* disposition.c: see disposition.h. */
#include "signal/disposition.h"

#include "process/config.h"
#include "process/deferred.h"
#include "process/log.h"
#include "process/self.h"
#include "sys/sigmask.h"
#include "sys/syscall.h"

#define SA_RESTORER_ 0x04000000ul

extern HIDDEN void signal_return(void);

HIDDEN struct dispositions dispositions;

void dispositions_init(disposition_handler *handler, disposition_handler *on_command)
{
    dispositions.handler = handler;
    dispositions.on_command = on_command;
}

void dispositions_after_fork(void)
{
    dispositions.lock = 0;
    dispositions.given = 0;
}

/* ---- the kernel's table ------------------------------------------------------------------------------------------ */

static bool get_action(int sig, struct ksigaction *now)
{
    return sys4(SYS_rt_sigaction, sig, 0, now, 8) == 0;
}

static bool put_action(int sig, const struct ksigaction *act)
{
    return sys4(SYS_rt_sigaction, sig, act, 0, 8) == 0;
}

/* libc puts in the restorer that the kernel wants; where the program has given none, lastcall's restorer is put in. */
static void complete(struct ksigaction *own)
{
    if ((own->flags & SA_RESTORER_) != 0)
        return;
    own->flags |= SA_RESTORER_;
    own->restorer = (uintptr_t)signal_return;
}

bool dispositions_put(int sig, struct ksigaction own)
{
    complete(&own);
    return put_action(sig, &own) || put_action(sig, &own);
}

/* All signals are blocked in our handlers. */
static struct ksigaction ours(disposition_handler *handler, unsigned long restart)
{
    return (struct ksigaction){
        .handler = (uintptr_t)handler,
        .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER_ | restart,
        .restorer = (uintptr_t)signal_return,
        .mask = ~(uint64_t)0,
    };
}

static bool put_ours(int sig, unsigned long restart)
{
    struct ksigaction act = ours(dispositions.handler, restart);
    return put_action(sig, &act);
}

/* ---- the lock of the view ---------------------------------------------------------------------------------------- */

/* One change of a disposition at a time. The holder of the lock is never interrupted; it makes a few system calls. */
static uint64_t lock_view(void)
{
    uint64_t mask = sigmask_block_all();
    while (__atomic_exchange_n(&dispositions.lock, 1, __ATOMIC_ACQUIRE))
        sys0(SYS_sched_yield);
    return mask;
}

static void unlock_view(uint64_t mask)
{
    __atomic_store_n(&dispositions.lock, 0, __ATOMIC_RELEASE);
    sigmask_restore(mask);
}

/* ---- holding, and giving back ------------------------------------------------------------------------------------ */

static bool take(int sig)
{
    struct ksigaction now;
    if (!get_action(sig, &now))
        return false;
    if (dispositions_is_ours(now.handler))
        return true; /* a fork's child: inherited, and so is its view */
    signal_view_hold(&dispositions.view, sig, &now);
    if (now.handler == SIGNAL_VIEW_IGNORE || put_ours(sig, SA_RESTART))
        return true;
    signal_view_release(&dispositions.view, sig);
    return false;
}

void dispositions_take(void)
{
    for (int sig = 1; sig < SIGNAL_VIEW_MAX; sig++)
        if ((config.signals >> sig & 1) != 0 && !take(sig))
            log_warning("a signal cannot be deferred: it ends the process as without lastcall");
}

/* Where our handler is no longer in the kernel, the program has set its own by means that are not seen (Go's runtime,
 * by a system call of its own): that one stands. Where our handler cannot be replaced, the signal stays held. */
struct ksigaction dispositions_release(int sig)
{
    struct ksigaction own = signal_view_release(&dispositions.view, sig), now;
    if (deferred_phase() == DRAIN_GUARDING)
        dispositions.given |= (uint64_t)1 << sig;
    if (own.handler != SIGNAL_VIEW_IGNORE && get_action(sig, &now) && !dispositions_is_ours(now.handler))
        return now;
    if (!dispositions_put(sig, own))
        signal_view_hold(&dispositions.view, sig, &own);
    return own;
}

void dispositions_give_back(void)
{
    uint64_t mask = lock_view();
    for (int sig = 1; sig < SIGNAL_VIEW_MAX; sig++)
        if (signal_is_held(sig))
            dispositions_release(sig);
    unlock_view(mask);
}

bool dispositions_are_ignored(void)
{
    uint64_t mask = lock_view();
    bool ignored = dispositions.view.held != 0;
    for (int sig = 1; sig < SIGNAL_VIEW_MAX; sig++)
        if (signal_is_held(sig) && dispositions.view.program[sig].handler != SIGNAL_VIEW_IGNORE)
            ignored = false;
    unlock_view(mask);
    return ignored;
}

/* A handler that is called once only will most likely raise the signal again, by default (node). */
enum program_answer dispositions_answer(int sig)
{
    struct ksigaction own;
    uint64_t mask = lock_view();
    bool known = signal_is_held(sig) || get_action(sig, &own);
    if (signal_is_held(sig))
        own = dispositions.view.program[sig];
    unlock_view(mask);
    if ((dispositions.waited >> sig & 1) != 0)
        return PROGRAM_SHUTS_DOWN;
    if (!known || own.handler <= SIGNAL_VIEW_IGNORE)
        return PROGRAM_DIES;
    return own.flags & SA_RESETHAND ? PROGRAM_MAY_DIE : PROGRAM_SHUTS_DOWN;
}

/* ---- the program's calls ----------------------------------------------------------------------------------------- */

/* A child of vfork (python's subprocess resets all handlers in it) has the view of its parent in its memory, and a
 * table of its own in the kernel: only the table is changed. */
static void change_of_vfork_child(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    struct ksigaction kernel, own;
    if (act) {
        own = *act;
        complete(&own);
    }
    sys4(SYS_rt_sigaction, sig, act ? &own : NULL, &kernel, 8);
    if (old)
        *old = dispositions_is_ours(kernel.handler) ? dispositions.view.program[sig] : kernel;
}

/* The program has its signal, has shut down, and wants to die of the signal after all: default disposition, then raise.
 * It is held once more, so that this death is an exit, which the drain can guard and report. Under the lock. */
static bool take_for_the_end(int sig, const struct ksigaction *act)
{
    struct ksigaction now;
    if (!disposition_is_watched(sig) || deferred_phase() != DRAIN_GUARDING || !self_is_our_process() || !act ||
        act->handler != SIGNAL_VIEW_DEFAULT || !get_action(sig, &now))
        return false;
    signal_view_hold(&dispositions.view, sig, &now);
    return true;
}

bool dispositions_change(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    if (signal_is_held(sig) && !self_is_our_process()) {
        change_of_vfork_child(sig, act, old);
        return true;
    }
    uint64_t mask = lock_view();
    bool held = signal_is_held(sig) || take_for_the_end(sig, act);
    if (held && old)
        *old = dispositions.view.program[sig];
    if (held && act && signal_view_set(&dispositions.view, sig, act))
        put_ours(sig, SA_RESTART);
    else if (held && act)
        put_action(sig, act);
    unlock_view(mask);
    return held;
}

/* Under the lock. One that has left the handler of an earlier raise by longjmp is there still. */
static void change_raising(uintptr_t from, uintptr_t to)
{
    if (to != 0 && dispositions_are_lent())
        return;
    for (unsigned i = 0; i < COUNT(dispositions.raising); i++)
        if (dispositions.raising[i] == from) {
            STORE(dispositions.raising[i], to);
            return;
        }
}

bool dispositions_are_lent(void)
{
    for (unsigned i = 0; i < COUNT(dispositions.raising); i++)
        if (LOAD(dispositions.raising[i]) == arch_thread_pointer())
            return true;
    return false;
}

bool dispositions_lend(int sig)
{
    if (!signal_is_held(sig) || !self_is_our_process())
        return false;
    uint64_t mask = lock_view();
    const struct ksigaction *own = &dispositions.view.program[sig];
    bool put = signal_is_held(sig) && own->handler > SIGNAL_VIEW_IGNORE && dispositions_put(sig, *own);
    if (put)
        change_raising(0, arch_thread_pointer());
    unlock_view(mask);
    return put;
}

/* The handler may have changed the view, and with SA_RESETHAND the kernel has. */
void dispositions_lend_end(int sig)
{
    struct ksigaction now;
    uint64_t mask = lock_view();
    struct ksigaction *own = &dispositions.view.program[sig];
    change_raising(arch_thread_pointer(), 0);
    if (signal_is_held(sig) && own->handler != SIGNAL_VIEW_IGNORE) {
        if ((own->flags & SA_RESETHAND) != 0 && get_action(sig, &now) && now.handler == SIGNAL_VIEW_DEFAULT)
            own->handler = SIGNAL_VIEW_DEFAULT;
        put_ours(sig, SA_RESTART);
    }
    unlock_view(mask);
}

/* ---- for a drain ------------------------------------------------------------------------------------------------- */

void dispositions_accept_commands(void)
{
    struct ksigaction now, act = ours(dispositions.on_command, SA_RESTART);
    if (get_action(SIGCONT, &now) && now.handler == SIGNAL_VIEW_DEFAULT)
        put_action(SIGCONT, &act);
}

void dispositions_refuse_commands(void)
{
    struct ksigaction now, none = {.handler = SIGNAL_VIEW_DEFAULT};
    if (get_action(SIGCONT, &now) && now.handler == (uintptr_t)dispositions.on_command)
        put_action(SIGCONT, &none);
}

void dispositions_interrupt(int first, int delivered)
{
    uint64_t mask = lock_view();
    const struct ksigaction *program = &dispositions.view.program[delivered];
    if (signal_is_held(first) && program->handler > SIGNAL_VIEW_IGNORE && (program->flags & SA_RESTART) == 0)
        put_ours(first, 0);
    unlock_view(mask);
}
