/* gocode.c: see gocode.h. */
#include "gocode.h"

enum { ALIGNMENT = 16 }; /* Go's linker begins functions at multiples of 32 (amd64) */

/* All of the routine, from its first byte to its last return. The assembler has learnt a shorter way to load 0. */
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

static bool is_body(const uint8_t *at, size_t left)
{
    for (unsigned i = 0; i < COUNT(bodies); i++)
        if (left >= bodies[i].size && memcmp(at, bodies[i].byte, bodies[i].size) == 0)
            return true;
    return false;
}

void gocode_find(const uint8_t *text, size_t n, uint64_t address, struct gocode *found)
{
    uint64_t first, word;
    __builtin_memcpy(&first, long_zeros, sizeof first); /* a load, not a call: there are a million places to look at */
    for (size_t at = (size_t)(-address % ALIGNMENT); at + sizeof word <= n; at += ALIGNMENT) {
        __builtin_memcpy(&word, text + at, sizeof word);
        if (UNLIKELY(word == first) && is_body(text + at, n - at)) {
            found->hits++;
            found->at = at;
        }
    }
}

bool gocode_is_note(const uint8_t *note, size_t n)
{
    enum { HEADER = 12, GO_BUILD_ID = 4 };
    static const uint8_t name[4] = {'G', 'o', 0, 0};
    while (n >= HEADER + sizeof name) {
        uint32_t name_size, size, type;
        memcpy(&name_size, note, 4);
        memcpy(&size, note + 4, 4);
        memcpy(&type, note + 8, 4);
        if (name_size == sizeof name && type == GO_BUILD_ID && memcmp(note + HEADER, name, sizeof name) == 0)
            return true;
        uint64_t whole = HEADER + (((uint64_t)name_size + 3) & ~(uint64_t)3) + (((uint64_t)size + 3) & ~(uint64_t)3);
        if (whole > n)
            return false;
        note += whole;
        n -= (size_t)whole;
    }
    return false;
}

bool gocode_has_buildinfo(const uint8_t *data, size_t n)
{
    static const uint8_t magic[14] = {0xff, ' ', 'G', 'o', ' ', 'b', 'u', 'i', 'l', 'd', 'i', 'n', 'f', ':'};
    for (size_t at = 0; at + sizeof magic <= n; at += 16)
        if (data[at] == magic[0] && memcmp(data + at, magic, sizeof magic) == 0)
            return true;
    return false;
}
