/* mem.c: the four functions a freestanding compiler may call for itself. */
#include "base.h"

/* Word loops, not the compiler's idiom recognition: it would turn these into calls of themselves. */
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

enum { WORD = sizeof(uint64_t) };

HIDDEN void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *start = dst;
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
#else
    unsigned char *to = dst;
    const unsigned char *from = src;
    for (; n >= WORD; n -= WORD, to += WORD, from += WORD)
        __builtin_memcpy(to, from, WORD);
    for (; n > 0; n--)
        *(volatile unsigned char *)to++ = *from++;
#endif
    return start;
}

HIDDEN void *memmove(void *dst, const void *src, size_t n)
{
    unsigned char *to = dst;
    const unsigned char *from = src;
    if (to <= from || to >= from + n)
        return memcpy(dst, src, n);
    while (n > 0) {
        n--;
        ((volatile unsigned char *)to)[n] = from[n];
    }
    return dst;
}

HIDDEN void *memset(void *dst, int byte, size_t n)
{
    void *start = dst;
#if defined(__x86_64__)
    __asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(byte) : "memory");
#else
    unsigned char *to = dst;
    const uint64_t word = (unsigned char)byte * 0x0101010101010101u;
    for (; n >= WORD; n -= WORD, to += WORD)
        __builtin_memcpy(to, &word, WORD);
    for (; n > 0; n--)
        *(volatile unsigned char *)to++ = (unsigned char)byte;
#endif
    return start;
}

HIDDEN int memcmp(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *p = a, *q = b;
    for (; n > 0; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}
