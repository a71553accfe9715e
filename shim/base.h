/* base.h: the words every layer shares. No system, no libc, no state. */
#ifndef LASTCALL_BASE_H
#define LASTCALL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LASTCALL_VERSION "0.1.0"

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define HIDDEN      __attribute__((visibility("hidden")))
#define EXPORT      __attribute__((visibility("default")))
#define UNUSED      __attribute__((unused))
#define INLINE      inline __attribute__((always_inline))
#define NOINLINE    __attribute__((noinline))

/* All times inside are nanoseconds of CLOCK_MONOTONIC; 0 = never. */
typedef uint64_t nsec_t;
#define NSEC_PER_USEC ((nsec_t)1000)
#define NSEC_PER_MSEC ((nsec_t)1000000)
#define NSEC_PER_SEC  ((nsec_t)1000000000)

/* A word that several threads read and write, unordered: each thread sees an old value or a new one, never a torn
 * one. */
#define LOAD(word)         __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define STORE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)

/* The four functions that a freestanding compiler may call for itself. The preloaded library has its own
 * (sys/mem.c); the pure core takes those of the program that core is linked into. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
