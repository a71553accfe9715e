/* go_signature_x86_64.h: Go's routine on this architecture, all of its bytes. Facts only; included by go_signature.c.
 * Source: src/runtime/internal/syscall/asm_linux_amd64.s. */
#ifndef LASTCALL_GO_SIGNATURE_X86_64_H
#define LASTCALL_GO_SIGNATURE_X86_64_H

enum { ALIGNMENT = 16 }; /* Go's linker begins functions at multiples of 32 (cmd/link, amd64: funcAlign) */

/* From its first byte to its last return. The assembler has learnt a shorter way to load 0. */
/* clang-format off */
#define ENTER                                                                                          \
    0x49, 0x89, 0xf2,                         /* movq si, r10: ABIInternal's arguments, the kernel's */ \
    0x48, 0x89, 0xfa,                         /* movq di, dx */                                         \
    0x48, 0x89, 0xce,                         /* movq cx, si */                                         \
    0x48, 0x89, 0xdf,                         /* movq bx, di */                                         \
    0x0f, 0x05,                               /* syscall */                                             \
    0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff        /* cmpq ax, $-4095 */
#define FAILED                                                                                         \
    0x48, 0xf7, 0xd8,                         /* negq ax */                                             \
    0x48, 0x89, 0xc1,                         /* movq ax, cx */                                         \
    0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff  /* movq $-1, ax */
#define OK 0x48, 0x89, 0xd3                   /* movq dx, bx */
#define RET 0xc3

static const uint8_t long_zeros[] = { /* Go 1.19 */
    ENTER, 0x76, 0x15, FAILED, 0x48, 0xc7, 0xc3, 0, 0, 0, 0, RET, OK, 0x48, 0xc7, 0xc1, 0, 0, 0, 0, RET
};
static const uint8_t short_zeros[] = { /* Go 1.27 */
    ENTER, 0x76, 0x13, FAILED, 0xbb, 0, 0, 0, 0, RET, OK, 0xb9, 0, 0, 0, 0, RET
};
/* clang-format on */

static const struct {
    const uint8_t *byte;
    size_t size;
} bodies[] = {{long_zeros, sizeof long_zeros}, {short_zeros, sizeof short_zeros}};

#endif
