/* external.h: a drain from outside, for programs in which no object of ours can live (static, setuid, set-capability).
 * `run` holds the signal back and asks this, from its own loop, when to pass it on. No thread, nothing before the signal.
 *
 *   struct outside *x = outside_begin(child, SIGTERM, &options, now);
 *   loop: poll outside_fd(x) for POLLIN, at the latest until *wake_at; then outside_step().
 *   OUTSIDE_PASS_ON: outside_pass_on(x), once, then outside_end(x).
 *   Should the program end before: outside_gone(x, killed, now), which writes the report all the same, then outside_end(x). */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H
#define LASTCALL_LAUNCHER_EXTERNAL_EXTERNAL_H

#include "core/options.h"

struct outside;

enum outside_next {
    OUTSIDE_WAIT,    /* step again, when the descriptor is readable or at *wake_at */
    OUTSIDE_PASS_ON, /* pass the signal on now; no more steps */
};

/* A drain signal came at `now` (CLOCK_MONOTONIC). `root` is the program's first process; its descendants, and those
 * that the caller has adopted (it is their subreaper, or PID 1), drain with it. *o must live as long. NULL:
 * there is nothing that could be drained, or seen (it was said): pass the signal on at once. */
struct outside *outside_begin(int root, int signal, const struct options *o, nsec_t now);

/* A drain signal came again: within a second it is the same one, later it ends the drain. Step afterwards. */
void outside_again(struct outside *x, nsec_t now);

/* To be polled for POLLIN: a socket of the program has ended. -1: none; time alone tells. */
int outside_fd(const struct outside *x);

/* Looks, and acts. *wake_at is set with OUTSIDE_WAIT. Takes a few milliseconds. */
enum outside_next outside_step(struct outside *x, nsec_t now, nsec_t *wake_at);

/* Sends the signal (LASTCALL_FORWARD, or the one that came) to the program's first process, and, if that does not serve
 * itself (a shell that stays as the parent), to those servers of which no ancestor serves. */
void outside_pass_on(struct outside *x);

/* The program has ended before its signal was passed on; killed: by a signal. */
void outside_gone(struct outside *x, bool killed, nsec_t now);

/* Lets go of everything; x is no more. */
void outside_end(struct outside *x);

#endif
