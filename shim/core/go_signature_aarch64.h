/* go_signature_aarch64.h: Go's routine on this architecture, all of its bytes. Facts only; included by go_signature.c.
 * Source: src/runtime/internal/syscall/asm_linux_arm64.s, the same from Go 1.19 to 1.27. */
#ifndef LASTCALL_GO_SIGNATURE_AARCH64_H
#define LASTCALL_GO_SIGNATURE_AARCH64_H

enum { ALIGNMENT = 16 }; /* Go's linker begins functions at multiples of 16 (cmd/link, arm64: funcAlign) */

/* From its first byte to its last return. Arguments and answers are on the stack (ABI0). */
/* clang-format off */
#define WORD(w) (w) & 0xff, (w) >> 8 & 0xff, (w) >> 16 & 0xff, (w) >> 24
static const uint8_t routine[] = {
    WORD(0xf94007e8), /* ldr x8, [sp, 8] */
    WORD(0xf9400be0), /* ldr x0, [sp, 16] */
    WORD(0xf9400fe1), /* ldr x1, [sp, 24] */
    WORD(0xf94013e2), /* ldr x2, [sp, 32] */
    WORD(0xf94017e3), /* ldr x3, [sp, 40] */
    WORD(0xf9401be4), /* ldr x4, [sp, 48] */
    WORD(0xf9401fe5), /* ldr x5, [sp, 56] */
    WORD(0xd4000001), /* svc 0 */
    WORD(0xb13ffc1f), /* cmn x0, 4095 */
    WORD(0x540000e3), /* b.cc over the next six */
    WORD(0x92800004), /* mov x4, -1 */
    WORD(0xf90023e4), /* str x4, [sp, 64] */
    WORD(0xf90027ff), /* str xzr, [sp, 72] */
    WORD(0xcb0003e0), /* neg x0, x0 */
    WORD(0xf9002be0), /* str x0, [sp, 80] */
    WORD(0xd65f03c0), /* ret */
    WORD(0xf90023e0), /* str x0, [sp, 64] */
    WORD(0xf90027e1), /* str x1, [sp, 72] */
    WORD(0xf9002bff), /* str xzr, [sp, 80] */
    WORD(0xd65f03c0), /* ret */
};
#undef WORD
/* clang-format on */

static const struct {
    const uint8_t *byte;
    size_t size;
} bodies[] = {{routine, sizeof routine}};

#endif
