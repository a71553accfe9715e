/* thread_x86_64.S: a thread without libc, and the signal return that our handler needs. */
#include <sys/syscall.h>

        .text
/* long thread_clone(unsigned long flags, void *stack_top, void (*run)(void *), void *arg)
 * Returns the thread's id, or -errno. The child calls run(arg) on the new stack (16-byte aligned) and
 * ends if run returns. clone(2). */
        .globl  thread_clone
        .hidden thread_clone
        .type   thread_clone, @function
thread_clone:
        .cfi_startproc
        subq    $16, %rsi
        movq    %rdx, 8(%rsi)           /* run, arg: the only things that the child's stack holds */
        movq    %rcx, 0(%rsi)
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        movl    $SYS_clone, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:      .cfi_undefined rip              /* the bottom of a stack: unwinders end here */
        xorl    %ebp, %ebp
        popq    %rdi
        popq    %rax
        call    *%rax
        xorl    %edi, %edi
        movl    $SYS_exit, %eax
        syscall
        hlt
        .cfi_endproc
        .size   thread_clone, .-thread_clone

/* void thread_call_on(void *stack_top, void (*run)(void *), void *arg): run(arg) on another stack. */
        .globl  thread_call_on
        .hidden thread_call_on
        .type   thread_call_on, @function
thread_call_on:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        call    *%rsi
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   thread_call_on, .-thread_call_on

/* The restorer of rt_sigaction(2). Unwinders know it by these very bytes (libgcc: x86_64_fallback_frame_state). */
        .globl  signal_return
        .hidden signal_return
        .type   signal_return, @function
        nop
signal_return:
        movq    $SYS_rt_sigreturn, %rax
        syscall
        .size   signal_return, .-signal_return

        .section .note.GNU-stack,"",@progbits
