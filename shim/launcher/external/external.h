/* external.h: an external drain, for programs into which the library cannot be loaded (static, setuid,
 * set-capability). `run` defers the signal and asks this module, from its own loop, when to deliver the signal. The
 * module starts no thread, and does nothing before the signal.
 *
 *   struct external *x = external_begin(child, SIGTERM, &options, now);
 *   loop: poll external_fd(x) for POLLIN, at the latest until *wake_at; then external_step(), which passes the signal
 *   on when it is time. EXTERNAL_OVER: external_end(x).
 *   If the program ends before: external_program_ended(x, killed, now), which still writes the report, then
 *   external_end(x).
 *
 * A program with a handler of its own has its signal some time before the deadline (or at once, with
 * LASTCALL_DELIVER=first), and is watched on: its own grace period runs inside the deadline. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H
#define LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H

#include "core/options.h"

struct external;

enum external_next {
    EXTERNAL_WAIT,    /* step again, when the descriptor is readable or at *wake_at */
    EXTERNAL_OVER,    /* the program has its signal: no more steps */
    EXTERNAL_ABORTED, /* the same, and the program was killed, at the deadline, with requests in flight */
};

/* A drain signal came at `now` (CLOCK_MONOTONIC). `root` is the program's first process; its descendants drain too,
 * and so do the orphans that the caller has adopted (the caller is their subreaper, or PID 1). *o must stay valid
 * until external_end. NULL: no listener or connection could be drained or seen (the reason was logged): deliver the
 * signal at once. */
struct external *external_begin(int root, int signal, const struct options *o, nsec_t now);

/* A drain signal came again: within a second the signal counts as a repeat, later the second signal ends the drain,
 * or is the program's, if it has had the first. Step afterwards. */
void external_again(struct external *x, nsec_t now);

/* To be polled for POLLIN: readable when a socket of the program has ended. -1: there is none, and the caller steps
 * by *wake_at alone. */
int external_fd(const struct external *x);

/* Scans the connections, and acts. *wake_at is set with EXTERNAL_WAIT. Takes a few milliseconds. */
enum external_next external_step(struct external *x, nsec_t now, nsec_t *wake_at);

/* The program has ended before external_step said so; killed: by a signal. */
void external_program_ended(struct external *x, bool killed, nsec_t now);

/* Closes all descriptors and frees x. */
void external_end(struct external *x);

#endif
