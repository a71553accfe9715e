/* external.h: an external drain, for programs in which no object of ours can live (static, setuid, set-capability).
 * `run` holds the signal back and asks this, from its own loop, when to pass it on. No thread, nothing before the signal.
 *
 *   struct external *x = external_begin(child, SIGTERM, &options, now);
 *   loop: poll external_fd(x) for POLLIN, at the latest until *wake_at; then external_step().
 *   EXTERNAL_PASS_ON: external_pass_on(x), once, then external_end(x).
 *   Should the program end before: external_program_ended(x, killed, now), which writes the report all the same, then external_end(x). */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H
#define LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H

#include "core/options.h"

struct external;

enum external_next {
    EXTERNAL_WAIT,    /* step again, when the descriptor is readable or at *wake_at */
    EXTERNAL_PASS_ON, /* pass the signal on now; no more steps */
};

/* A drain signal came at `now` (CLOCK_MONOTONIC). `root` is the program's first process; its descendants, and those
 * that the caller has adopted (it is their subreaper, or PID 1), drain with it. *o must live as long. NULL:
 * there is nothing that could be drained, or seen (it was said): pass the signal on at once. */
struct external *external_begin(int root, int signal, const struct options *o, nsec_t now);

/* A drain signal came again: within a second it is the same one, later it ends the drain. Step afterwards. */
void external_again(struct external *x, nsec_t now);

/* To be polled for POLLIN: a socket of the program has ended. -1: none; time alone tells. */
int external_fd(const struct external *x);

/* Looks, and acts. *wake_at is set with EXTERNAL_WAIT. Takes a few milliseconds. */
enum external_next external_step(struct external *x, nsec_t now, nsec_t *wake_at);

/* Sends the signal (LASTCALL_FORWARD, or the one that came) to the program's first process, and, if that does not serve
 * itself (a shell that stays as the parent), to those servers of which no ancestor serves. */
void external_pass_on(struct external *x);

/* The program has ended before its signal was passed on; killed: by a signal. */
void external_program_ended(struct external *x, bool killed, nsec_t now);

/* Lets go of everything; x is no more. */
void external_end(struct external *x);

#endif
