/* stacks.h: small stacks of our own, for hooks that are called where there is none to spare: a goroutine's has 2 KiB
 * and grows only by itself. Taken and given back in assembly (on_our_stack, hook/go/entry_*.S), lowest first, so that
 * few of them ever cost memory. Held for the moments of a hook, never while a call of the program blocks. */
#ifndef LASTCALL_STACKS_H
#define LASTCALL_STACKS_H

#define STACKS_WORDS 4  /* 64 stacks each */
#define STACKS_SHIFT 15 /* 32 KiB each: the deepest hook uses 8 (tests/e2e/go_stress.py measures it) */

#ifndef __ASSEMBLER__
#include "base.h"

/* A bit for each that is free; and where the first of them begins. Zero: there are none. */
extern HIDDEN uint64_t stacks_free[STACKS_WORDS];
extern HIDDEN char *stacks_base;

/* Map them. False: no memory. */
bool stacks_make(void);

/* The errno of the lastcall stack that the caller runs on; NULL if the caller runs on another stack. A program
 * without libc has no other errno. */
int *stacks_errno(void);
#endif

#endif
