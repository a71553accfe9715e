/* entry_injected_x86_64.S: where the library starts in a static program. */
#include <sys/syscall.h>

        .text

/* The entry point of the library, where the launcher has mapped it into a static program (shim/launcher/run/inject.c): on the program's
 * first stack, before its first instruction. It traps for the launcher's process, which tells it in rdi which one it is, and
 * in rbx where the program begins; that one ends, is reaped here, and the program begins as if nothing had been. */
        .globl  go_injected
        .hidden go_injected
        .type   go_injected, @function
go_injected:
        .cfi_startproc
        .cfi_undefined rip
        xorl    %ebp, %ebp
        cld
        movq    %rsp, %r12
        movl    (%rsp), %edi
        leaq    8(%rsp), %rsi
        leaq    16(%rsp,%rdi,8), %rdx
        andq    $-16, %rsp
        call    start
        int3
        movq    %rdi, %r13
1:      movl    $SYS_wait4, %eax
        movq    %r13, %rdi
        xorl    %esi, %esi
        movl    $0x40000000, %edx       /* __WALL: it sends no signal */
        xorl    %r10d, %r10d
        syscall
        cmpl    $-4, %eax               /* EINTR */
        je      1b
        movq    %r12, %rsp
        movq    %rbx, -8(%rsp)
        xorl    %eax, %eax              /* as exec leaves them (ELF_PLAT_INIT) */
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        xorl    %r11d, %r11d
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        jmp     *-8(%rsp)
        .cfi_endproc
        .size   go_injected, .-go_injected

        .section .note.GNU-stack,"",@progbits
