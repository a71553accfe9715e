/* entry_aarch64.S: what Go's Syscall6 becomes. It is called by Go's old convention (ABI0):
 *
 *   above the stack pointer: the caller's link register, number, six arguments; then room for answer, second half, error number
 *   to be kept: sp, x18, x28 (g), x29; all others are scratch
 *
 * The stack is the goroutine's: small, and Go may look at it while the call blocks, so only the call itself happens on it;
 * a signal handler of Go's that finds our code, or our stack, takes it for C's. Without cgo that handler takes what x28 holds for
 * g, wherever it comes in between: so our C never uses x28 (Makefile, -ffixed-x28). */
#include "go/go.h"
#include "sys/stacks.h"

#include <sys/syscall.h>

#define FRAME (GO_CALL_SIZE + 16) /* the go_call, our link register */
#define NUMBER 8
#define ARGS 16
#define ANSWER 64

        .text
        .globl  go_entry
        .hidden go_entry
        .type   go_entry, %function
go_entry:
        .cfi_startproc
        ldr     x8, [sp, #NUMBER]
        cmp     x8, #511
        b.hi    .Lpass
        adrp    x9, go_numbers
        add     x9, x9, :lo12:go_numbers
        ldrb    w10, [x9, x8]
        cbz     w10, .Lpass
        cmp     w10, #GO_OF_FD
        b.ne    .Lhook
        ldr     w10, [sp, #ARGS]
        adrp    x9, fd_slots
        ldr     w11, [x9, :lo12:fd_slots]
        cmp     w10, w11
        b.hs    .Lpass
        adrp    x9, fd_slot
        ldr     x9, [x9, :lo12:fd_slot]
        ldr     w11, [x9, w10, uxtw #2]
        cbnz    w11, .Lhook

.Lpass: ldp     x0, x1, [sp, #ARGS]
        ldp     x2, x3, [sp, #ARGS+16]
        ldp     x4, x5, [sp, #ARGS+32]
        svc     #0
.Lanswer:
        cmn     x0, #4095
        b.cs    1f
        stp     x0, x1, [sp, #ANSWER]
        str     xzr, [sp, #ANSWER+16]
        ret
1:      mov     x1, #-1
        neg     x0, x0
        stp     x1, xzr, [sp, #ANSWER]
        str     x0, [sp, #ANSWER+16]
        ret

.Lhook: ldp     x0, x1, [sp, #ARGS]
        ldp     x2, x3, [sp, #ARGS+16]
        ldp     x4, x5, [sp, #ARGS+32]
        sub     sp, sp, #FRAME
        .cfi_adjust_cfa_offset FRAME
        str     x30, [sp, #GO_CALL_SIZE]
        .cfi_rel_offset x30, GO_CALL_SIZE
        stp     x8, x0, [sp]
        stp     x1, x2, [sp, #GO_CALL_ARGS+8]
        stp     x3, x4, [sp, #GO_CALL_ARGS+24]
        str     x5, [sp, #GO_CALL_ARGS+40]
        mov     x0, sp
        bl      go_begins
        cmp     w0, #GO_MAKE
        b.eq    .Lmake
        adrp    x20, go_before
        add     x20, x20, :lo12:go_before
        bl      on_our_stack
        cmp     w0, #GO_MAKE
        b.eq    .Lmake
        cbz     w0, .Ldone
        bl      kernel                  /* GO_PLAIN; or no stack is free: as if we were not there */
        b       .Ldone
.Lmake: bl      kernel
        mov     x0, sp
        bl      go_ends
        cbz     w0, .Ldone
1:      adrp    x20, go_after
        add     x20, x20, :lo12:go_after
        bl      on_our_stack
        tbnz    w0, #31, 2f
        cbnz    w0, .Lmake
.Ldone: ldr     x0, [sp, #GO_CALL_RET]
        ldr     x1, [sp, #GO_CALL_ARGS+8]
        ldr     x30, [sp, #GO_CALL_SIZE]
        add     sp, sp, #FRAME
        .cfi_remember_state
        .cfi_adjust_cfa_offset -FRAME
        .cfi_restore x30
        b       .Lanswer
        .cfi_restore_state
2:      mov     x8, #SYS_sched_yield    /* a begun call must end; a thread keeps a stack for a moment only */
        svc     #0
        b       1b
        .cfi_endproc
        .size   go_entry, .-go_entry

/* The call of the go_call at sp; its answer goes there. */
        .type   kernel, %function
kernel:
        .cfi_startproc
        ldp     x8, x0, [sp]
        ldp     x1, x2, [sp, #GO_CALL_ARGS+8]
        ldp     x3, x4, [sp, #GO_CALL_ARGS+24]
        ldr     x5, [sp, #GO_CALL_ARGS+40]
        svc     #0
        str     x0, [sp, #GO_CALL_RET]
        ret
        .cfi_endproc
        .size   kernel, .-kernel

/* x20(the go_call at sp) on a stack of ours. -1: none was free, nothing has been called. Uses x19 to x25, which are nobody's
 * in ABI0 and which C keeps. */
        .type   on_our_stack, %function
on_our_stack:
        .cfi_startproc
        mov     x0, sp
        adrp    x23, stacks_free
        add     x23, x23, :lo12:stacks_free
        mov     w10, #0
1:      ldaxr   x12, [x23]
        cbz     x12, 3f
        rbit    x13, x12
        clz     x13, x13
        mov     x22, #1
        lsl     x22, x22, x13
        bic     x12, x12, x22
        stlxr   w14, x12, [x23]
        cbnz    w14, 1b
        add     w10, w13, w10, lsl #6   /* which one it is */
        add     w10, w10, #1
        lsl     x10, x10, #STACKS_SHIFT
        adrp    x11, stacks_base
        ldr     x11, [x11, :lo12:stacks_base]
        add     x10, x10, x11
        mov     x24, sp
        mov     x25, x30
        .cfi_def_cfa_register x24
        .cfi_register x30, x25
        mov     sp, x10
        blr     x20
        mov     sp, x24
        mov     x30, x25
        .cfi_def_cfa_register sp
        .cfi_restore x30
2:      ldxr    x12, [x23]
        orr     x12, x12, x22
        stlxr   w14, x12, [x23]
        cbnz    w14, 2b
        ret
3:      clrex
        add     x23, x23, #8
        add     w10, w10, #1
        cmp     w10, #STACKS_WORDS
        b.lo    1b
        mov     w0, #-1
        ret
        .cfi_endproc
        .size   on_our_stack, .-on_our_stack

        .section .note.GNU-stack,"",%progbits
