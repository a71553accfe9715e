/* go.h: the other edge. A Go program makes no libc calls; it enters the kernel in one routine (core/go_signature.h),
 * which we replace by a jump to go_entry (entry_*.S). That asks the two functions below, and makes the call itself. */
#ifndef LASTCALL_GO_H
#define LASTCALL_GO_H

/* struct go_call lies on the goroutine's stack, in the room that Go leaves there for routines which do not check it: at
 * Syscall6 at least 500 bytes in every version (go build -ldflags=-debugnosplit). */
#define GO_CALL_ARGS 8
#define GO_CALL_RET  56
#define GO_CALL_SIZE 112

/* What is to be done next. */
#define GO_DONE  0 /* ret is the answer */
#define GO_MAKE  1 /* make the call, and tell go_after */
#define GO_PLAIN 2 /* make the call: it is none of our business */
#define GO_ASK   3 /* go_before, or go_after, shall say */

/* go_numbers: what a system call number wants. */
#define GO_PASS  0 /* nothing */
#define GO_HOOK  1 /* always go_before */
#define GO_OF_FD 2 /* only if the first argument is a descriptor that we know */

#ifndef __ASSEMBLER__
#include "hook/hook_call.h"

struct go_call {
    long nr;
    long arg[6];
    long ret; /* -errno, as from the kernel */
    union {
        struct io_call bytes; /* a call that moves bytes */
        struct hook_accept accept;
        bool told; /* execve: others know of it */
    };
    bool out; /* splice: into a connection, not out of one */
};

_Static_assert(offsetof(struct go_call, arg) == GO_CALL_ARGS && offsetof(struct go_call, ret) == GO_CALL_RET &&
                   sizeof(struct go_call) <= GO_CALL_SIZE,
               "as the assembly has it");

/* Called on a stack of lastcall, by any thread. Neither function blocks, nor touches anything of Go's. */
int go_before(struct go_call *g);
int go_after(struct go_call *g);

/* Asked first, on the goroutine's stack: the common cases in service, which need no other stack. These functions
 * call nothing and need no room on the stack (tests/guard/go_small.sh). */
int go_begins(struct go_call *g);
int go_ends(struct go_call *g);

/* The routine that takes the place of Go's (assembly), and the numbers for which it asks. */
HIDDEN void go_entry(void);
void go_want_numbers(void);

/* If this program is a Go program: take its system calls. auxv: as the kernel has put it on the first stack; NULL:
 * unknown. Constructor only. */
HIDDEN void go_attach(const unsigned long *auxv);
#endif

#endif
