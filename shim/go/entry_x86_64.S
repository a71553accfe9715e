/* entry_x86_64.S: what Go's Syscall6 becomes. It is called by Go's own convention (ABIInternal, src/cmd/compile/abi-internal.md):
 *
 *   number ax, arguments bx cx di si r8 r9; answer ax, its second half bx, error number cx
 *   to be kept: sp, bp, r14 (g), X15 = 0; all others are scratch
 *
 * The stack is the goroutine's: small, and Go may look at it while the call blocks, so only the call itself happens on it;
 * a signal handler of Go's that finds our code, or our stack, takes it for C's. */
#include "go/go.h"
#include "sys/stacks.h"

#include <sys/syscall.h>

        .text
        .globl  go_entry
        .hidden go_entry
        .type   go_entry, @function
go_entry:
        .cfi_startproc
        cmpq    $511, %rax
        ja      .Lpass
        leaq    go_numbers(%rip), %r11
        movzbl  (%r11,%rax), %r10d
        testl   %r10d, %r10d
        jz      .Lpass
        cmpl    $GO_OF_FD, %r10d
        jne     .Lhook
        movl    %ebx, %r10d
        cmpl    fd_slots(%rip), %r10d
        jae     .Lpass
        movq    fd_slot(%rip), %r11
        cmpl    $0, (%r11,%r10,4)
        jne     .Lhook

.Lpass: movq    %rsi, %r10
        movq    %rdi, %rdx
        movq    %rcx, %rsi
        movq    %rbx, %rdi
        syscall
.Lanswer:
        cmpq    $-4095, %rax
        ja      1f
        movq    %rdx, %rbx
        xorl    %ecx, %ecx
        ret
1:      negq    %rax
        movq    %rax, %rcx
        movq    $-1, %rax
        xorl    %ebx, %ebx
        ret

.Lhook: subq    $GO_CALL_SIZE, %rsp
        .cfi_adjust_cfa_offset GO_CALL_SIZE
        movq    %rax, (%rsp)
        movq    %rbx, GO_CALL_ARGS(%rsp)
        movq    %rcx, GO_CALL_ARGS+8(%rsp)
        movq    %rdi, GO_CALL_ARGS+16(%rsp)
        movq    %rsi, GO_CALL_ARGS+24(%rsp)
        movq    %r8, GO_CALL_ARGS+32(%rsp)
        movq    %r9, GO_CALL_ARGS+40(%rsp)
        movq    %rsp, %rdi
        call    go_begins
        cmpl    $GO_MAKE, %eax
        je      .Lmake
        leaq    go_before(%rip), %r13
        call    on_our_stack
        jc      .Ldry
        cmpl    $GO_MAKE, %eax
        jb      .Ldone
        je      .Lmake
.Ldry:  call    kernel                  /* no stack is free: as if we were not there */
        jmp     .Ldone
.Lmake: call    kernel
        movq    %rsp, %rdi
        call    go_ends
        testl   %eax, %eax
        jz      .Ldone
1:      leaq    go_after(%rip), %r13
        call    on_our_stack
        jc      2f
        testl   %eax, %eax
        jnz     .Lmake
.Ldone: movq    GO_CALL_RET(%rsp), %rax
        movq    GO_CALL_ARGS+16(%rsp), %rdx
        xorps   %xmm15, %xmm15
        addq    $GO_CALL_SIZE, %rsp
        .cfi_adjust_cfa_offset -GO_CALL_SIZE
        jmp     .Lanswer
        .cfi_adjust_cfa_offset GO_CALL_SIZE
2:      movl    $SYS_sched_yield, %eax  /* a begun call must end; a thread keeps a stack for a moment only */
        syscall
        jmp     1b
        .cfi_endproc
        .size   go_entry, .-go_entry

/* The call of the go_call behind the return address; its answer goes there. */
        .type   kernel, @function
kernel:
        .cfi_startproc
        movq    8(%rsp), %rax
        movq    8+GO_CALL_ARGS(%rsp), %rdi
        movq    8+GO_CALL_ARGS+8(%rsp), %rsi
        movq    8+GO_CALL_ARGS+16(%rsp), %rdx
        movq    8+GO_CALL_ARGS+24(%rsp), %r10
        movq    8+GO_CALL_ARGS+32(%rsp), %r8
        movq    8+GO_CALL_ARGS+40(%rsp), %r9
        syscall
        movq    %rax, 8+GO_CALL_RET(%rsp)
        ret
        .cfi_endproc
        .size   kernel, .-kernel

/* r13(the go_call behind the return address) on a stack of ours. Carry: none was free, nothing has been called. */
        .type   on_our_stack, @function
on_our_stack:
        .cfi_startproc
        leaq    8(%rsp), %rdi
        leaq    stacks_free(%rip), %r10
        xorl    %r8d, %r8d
1:      movq    (%r10,%r8,8), %rax
        bsfq    %rax, %rcx
        jz      3f
        movq    %rax, %rdx
        btrq    %rcx, %rdx
        lock cmpxchgq %rdx, (%r10,%r8,8)
        jne     1b
        shll    $6, %r8d
        addl    %ecx, %r8d
        movq    %r8, %r12               /* which one it is */
        incq    %r8
        shlq    $STACKS_SHIFT, %r8
        addq    stacks_base(%rip), %r8
        movq    %rsp, -16(%r8)
        leaq    -16(%r8), %rsp
        .cfi_escape 0x0f, 0x05, 0x77, 0x00, 0x06, 0x23, 0x08 /* CFA: *rsp + 8 */
        cld
        call    *%r13
        movq    (%rsp), %rsp
        .cfi_def_cfa rsp, 8
        leaq    stacks_free(%rip), %r10
        lock btsq %r12, (%r10)          /* the bit was 0: the carry is, too */
        ret
3:      incl    %r8d
        cmpl    $STACKS_WORDS, %r8d
        jb      1b
        stc
        ret
        .cfi_endproc
        .size   on_our_stack, .-on_our_stack

        .section .note.GNU-stack,"",@progbits
