/* syscall_x86_64.S: the entry of syscall(2). Numbers without a hook go on by a jump: a call would put
 * a return address on a stack that SYS_vfork's child shares with its parent. */
        .text
        .globl  syscall
        .type   syscall, @function
syscall:
        .cfi_startproc
        cmpq    $511, %rdi
        ja      1f
        movl    %edi, %eax
        shrl    $6, %eax
        leaq    syscall_ours(%rip), %r11
        movq    (%r11,%rax,8), %rax
        btq     %rdi, %rax              /* the low six bits of rdi choose the bit */
        jc      2f
1:      movq    real_syscall(%rip), %r11
        jmp     *(%r11)
2:      jmp     syscall_dispatch        /* seven arguments: the seventh is on the stack where it was */
        .cfi_endproc
        .size   syscall, .-syscall
        .section .note.GNU-stack,"",@progbits
