/* thread_aarch64.S: a thread without libc, and the signal return that our handler needs. */
#include <sys/syscall.h>

        .text
/* long thread_clone(unsigned long flags, void *stack_top, void (*run)(void *), void *arg)
 * Returns the thread's id, or -errno. The child calls run(arg) on the new stack (16-byte aligned) and
 * ends if run returns. clone(2). */
        .globl  thread_clone
        .hidden thread_clone
        .type   thread_clone, %function
thread_clone:
        .cfi_startproc
        stp     x2, x3, [x1, #-16]!     /* run, arg: the only things that the child's stack holds */
        mov     x2, xzr
        mov     x3, xzr
        mov     x4, xzr
        mov     x8, #SYS_clone
        svc     #0
        cbz     x0, 1f
        ret
1:      .cfi_undefined x30              /* the bottom of a stack: unwinders end here */
        mov     x29, xzr
        mov     x30, xzr
        ldp     x1, x0, [sp], #16
        blr     x1
        mov     x0, xzr
        mov     x8, #SYS_exit
        svc     #0
        brk     #0
        .cfi_endproc
        .size   thread_clone, .-thread_clone

/* void thread_call_on(void *stack_top, void (*run)(void *), void *arg): run(arg) on another stack. */
        .globl  thread_call_on
        .hidden thread_call_on
        .type   thread_call_on, %function
thread_call_on:
        .cfi_startproc
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        .cfi_def_cfa_register x29
        mov     sp, x0
        mov     x0, x2
        blr     x1
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #16
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   thread_call_on, .-thread_call_on

/* The restorer of rt_sigaction(2). Unwinders know it by these very bytes (libgcc: aarch64_fallback_frame_state). */
        .globl  signal_return
        .hidden signal_return
        .type   signal_return, %function
        nop
signal_return:
        mov     x8, #SYS_rt_sigreturn
        svc     #0
        .size   signal_return, .-signal_return

        .section .note.GNU-stack,"",%progbits
