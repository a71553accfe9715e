/* entry_injected_aarch64.S: where the library starts in a static program. */
#include <sys/syscall.h>

        .text

/* The entry point of the library, where the launcher has mapped it into a static program (shim/launcher/run/inject.c): on the program's
 * first stack, before its first instruction. It traps for the launcher's process, which tells it in x19 which one it is, and
 * in x20 where the program begins; that one ends, is reaped here, and the program begins as if nothing had been (but for x16,
 * which exec leaves 0 and no program may count on). */
        .globl  go_injected
        .hidden go_injected
        .type   go_injected, %function
go_injected:
        .cfi_startproc
        .cfi_undefined x30
        mov     x29, xzr
        mov     x30, xzr
        mov     x21, sp
        ldr     x0, [sp]
        add     x1, sp, #8
        add     x2, x1, x0, lsl #3
        add     x2, x2, #8
        bl      start
        brk     #0
1:      mov     x8, #SYS_wait4
        mov     x0, x19
        mov     x1, xzr
        mov     x2, #0x40000000         /* __WALL: it sends no signal */
        mov     x3, xzr
        svc     #0
        cmn     w0, #4                  /* EINTR */
        b.eq    1b
        mov     sp, x21
        mov     x16, x20
        .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        mov     x\r, xzr
        .endr
        br      x16
        .cfi_endproc
        .size   go_injected, .-go_injected

        .section .note.GNU-stack,"",%progbits
