/* guard_page.h: bytes hard against a page that nobody may touch, so that reading one byte too far in
 * either direction is a fault even where no sanitizer watches (vector loads, assembly). */
#ifndef LASTCALL_TEST_GUARD_PAGE_H
#define LASTCALL_TEST_GUARD_PAGE_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard_page {
    char *map; /* PROT_NONE page, `size` bytes of pages, PROT_NONE page */
    size_t size, page;
};

static inline struct guard_page guard_page_new(size_t most)
{
    struct guard_page g = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    g.size = (most / g.page + 1) * g.page;
    g.map = mmap(NULL, g.size + 2 * g.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(g.map != MAP_FAILED);
    assert(mprotect(g.map + g.page, g.size, PROT_READ | PROT_WRITE) == 0);
    return g;
}

/* A copy whose last byte is the last one before the guard. */
static inline char *guard_page_at_end(struct guard_page *g, const void *data, size_t n)
{
    assert(n <= g->size);
    return memcpy(g->map + g->page + g->size - n, data, n);
}

/* A copy whose first byte is the first one behind the guard. */
static inline char *guard_page_at_start(struct guard_page *g, const void *data, size_t n)
{
    assert(n <= g->size);
    return memcpy(g->map + g->page, data, n);
}

static inline void guard_page_free(struct guard_page *g)
{
    munmap(g->map, g->size + 2 * g->page);
}

#endif
