/* syscall_aarch64.S: the entry of syscall(2). Numbers without a hook go on by a jump: a call would keep its return
 * address where a child that shares the stack overwrites it. */
        .text
        .globl  syscall
        .type   syscall, %function
syscall:
        .cfi_startproc
        cmp     x0, #511
        b.hi    1f
        adrp    x9, syscall_ours
        add     x9, x9, :lo12:syscall_ours
        lsr     x10, x0, #6
        ldr     x10, [x9, x10, lsl #3]
        lsr     x10, x10, x0            /* by the low six bits of x0 */
        tbnz    x10, #0, 2f
1:      adrp    x16, real_syscall
        ldr     x16, [x16, :lo12:real_syscall]
        ldr     x16, [x16]
        br      x16
2:      b       syscall_dispatch        /* its seven arguments are where they were */
        .cfi_endproc
        .size   syscall, .-syscall
        .section .note.GNU-stack,"",%progbits
