/* disposition.h: the dispositions of the drain signals. While a signal is held, the kernel has our handler, and the
 * program sees and sets a view of its own (core/signal_view.h; DESIGN section 7). Any thread, any signal handler. */
#ifndef LASTCALL_SIGNAL_DISPOSITION_H
#define LASTCALL_SIGNAL_DISPOSITION_H

#include "core/drain.h"
#include "core/signal_view.h"

#include <signal.h>

typedef void disposition_handler(int sig, siginfo_t *info, void *context);

struct dispositions {
    struct signal_view view; /* changed under the lock */
    uint8_t lock;
    uintptr_t raising[8]; /* thread pointers of threads that are in a lent raise; 0: free. For more there is no room */
    uint64_t given;  /* signals (bit n) that were given back for the program's shutdown: see take_for_the_end */
    uint64_t waited; /* signals (bit n) that the program takes by sigwait or from a signalfd */
    disposition_handler *handler, *on_command; /* lastcall's: see dispositions_init */
};
extern HIDDEN struct dispositions dispositions;

static inline bool signal_is_held(int sig)
{
    return signal_view_holds(&dispositions.view, sig);
}

/* Does a change of this disposition concern lastcall? Else the kernel alone is to be asked. */
static inline bool disposition_is_watched(int sig)
{
    return sig > 0 && sig < SIGNAL_VIEW_MAX && ((dispositions.view.held | dispositions.given) >> sig & 1) != 0;
}

/* handler: for the drain signals that are held; on_command: for SIGCONT (dispositions_accept_commands). Once, before
 * any other call that changes a disposition. */
void dispositions_init(disposition_handler *handler, disposition_handler *on_command);

/* Hold the drain signals of the configuration. A signal that the kernel (a sandbox) does not let lastcall hold goes
 * to the program at once, which is logged. */
void dispositions_take(void);

/* Hold none any more: the program's dispositions are in the kernel. */
void dispositions_give_back(void);

/* Is there a drain signal, and does the program ignore all of them? Then no command can reach this process. */
bool dispositions_are_ignored(void);

/* The program asks for the disposition of sig (old), or sets it (act); either may be NULL. False: sig is not held, and
 * the kernel is to be asked. */
bool dispositions_change(int sig, const struct ksigaction *act, struct ksigaction *old);

/* The program has taken sig, or is about to, by sigwait or from a signalfd. */
static inline void dispositions_note_waited(int sig)
{
    __atomic_or_fetch(&dispositions.waited, (uint64_t)1 << sig, __ATOMIC_RELAXED);
}

/* What does the program do when it gets sig? */
enum program_answer dispositions_answer(int sig);

/* A worker: its coordinator may have no right to send it a drain signal (root without CAP_KILL, as hardened containers
 * have it), but SIGCONT may be sent to a process of another user if it is of the same session (kill(2)). */
void dispositions_accept_commands(void);

/* Undo dispositions_accept_commands. */
void dispositions_refuse_commands(void);

/* The next signal is the delivery: a call that it meets fails with EINTR, if the program's own handler would make it so
 * (uvicorn's parent waits for a futex), and is not restarted after our handler. */
void dispositions_interrupt(int first, int delivered);

/* Around the program's raise(sig), which must not return before the program's own handler has (C11 7.14.2.1): the
 * program's disposition is in the kernel for that time. False: nothing to undo, since sig is not held, or has no
 * handler of the program. */
bool dispositions_lend(int sig);
void dispositions_lend_end(int sig);
/* Is the calling thread between the two? */
bool dispositions_are_lent(void);

/* A fork's child has its parent's view; the lock is of a thread that is not there. */
void dispositions_after_fork(void);

/* ---- for deliver.c and eintr.c: without the lock ---- */

/* Put the program's own disposition into the kernel. False: a sandbox that was installed meanwhile forbids it. */
bool dispositions_put(int sig, struct ksigaction own);

/* Hold sig no longer. Returns what the program has from now on. */
struct ksigaction dispositions_release(int sig);

/* Is `handler` lastcall's handler of the drain signals? */
static inline bool dispositions_is_ours(uintptr_t handler)
{
    return handler == (uintptr_t)dispositions.handler;
}

#endif
