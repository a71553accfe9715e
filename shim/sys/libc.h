/* libc.h: the little we take from whatever libc the program has, if it has one. */
#ifndef LASTCALL_LIBC_H
#define LASTCALL_LIBC_H

#include "base.h"

/* The definition of `name` that the program would get without lastcall, or NULL. Constructor only: dlsym is not safe
 * in a signal handler. */
void *libc_next(const char *name);

/* Forget the "symbol not found" that a failed libc_next may have left for the program's dlerror. */
void libc_clear_error(void);

/* The calling thread's errno; in a program without libc that of the lastcall stack that the thread runs on, or a
 * throw-away int. */
int *libc_errno(void);

/* glibc? (libcs differ in the disposition that signal() sets.) */
bool libc_is_gnu(void);

/* Find that out (constructor). */
void libc_bind_facts(void);

/* Does this process run with rights that its caller has not (set-user-ID, set-group-ID, file capabilities)?
 * Constructor. */
bool libc_is_privileged(void);

/* Ask for f to run at exit (also when main returns). False where there is no libc. */
bool libc_at_exit(void (*f)(void *));

#endif
