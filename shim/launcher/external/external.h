/* external.h: an external drain, for programs into which the library cannot be loaded (static, setuid,
 * set-capability). `run` defers the signal and asks this module, from its own loop, when to deliver the signal. The
 * module starts no thread, and does nothing before the signal.
 *
 *   struct external *x = external_begin(child, SIGTERM, &options, now);
 *   loop: poll external_fd(x) for POLLIN, at the latest until *wake_at; then external_step().
 *   EXTERNAL_PASS_ON: external_pass_on(x), once, then external_end(x).
 *   If the program ends before: external_program_ended(x, killed, now), which still writes the report, then
 *   external_end(x). */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H
#define LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H

#include "core/options.h"

struct external;

enum external_next {
    EXTERNAL_WAIT,    /* step again, when the descriptor is readable or at *wake_at */
    EXTERNAL_PASS_ON, /* pass the signal on now; no more steps */
};

/* A drain signal came at `now` (CLOCK_MONOTONIC). `root` is the program's first process; its descendants drain too,
 * and so do the orphans that the caller has adopted (the caller is their subreaper, or PID 1). *o must stay valid
 * until external_end. NULL: no listener or connection could be drained or seen (the reason was logged): deliver the
 * signal at once. */
struct external *external_begin(int root, int signal, const struct options *o, nsec_t now);

/* A drain signal came again: within a second the signal counts as a repeat, later the second signal ends the drain.
 * Step afterwards. */
void external_again(struct external *x, nsec_t now);

/* To be polled for POLLIN: readable when a socket of the program has ended. -1: there is none, and the caller steps
 * by *wake_at alone. */
int external_fd(const struct external *x);

/* Scans the connections, and acts. *wake_at is set with EXTERNAL_WAIT. Takes a few milliseconds. */
enum external_next external_step(struct external *x, nsec_t now, nsec_t *wake_at);

/* Sends the signal (LASTCALL_FORWARD, or the one that came) to the program's first process. If the first process
 * holds no listener (a shell that stays as the parent), also to each server process that has no ancestor with a
 * listener. */
void external_pass_on(struct external *x);

/* The program has ended before the signal was delivered; killed: by a signal. */
void external_program_ended(struct external *x, bool killed, nsec_t now);

/* Closes all descriptors and frees x. */
void external_end(struct external *x);

#endif
