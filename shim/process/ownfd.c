/* ownfd.c: see ownfd.h. A bit for each number. The first page of them is there; others are mapped when they are
 * needed. */
#include "process/ownfd.h"

#include "sys/fd.h"
#include "sys/map.h"
#include "sys/syscall.h"

enum { WORD = 64, WORDS = 64, PAGE = WORD * WORDS, PAGES = OWNFD_END / PAGE };

static uint64_t first_page[WORDS];
static uint64_t *page[PAGES] = {first_page};
static int top; /* no higher number was ever registered */

static uint64_t *page_of(int fd, bool make)
{
    uint64_t **at = &page[fd / PAGE], *none = NULL;
    uint64_t *there = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    if (there || !make)
        return there;
    uint64_t *made = map_zeroed(WORDS * sizeof *made);
    if (made && !__atomic_compare_exchange_n(at, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        map_free(made, WORDS * sizeof *made);
        return none;
    }
    return made;
}

static bool possible(int fd)
{
    return fd >= 0 && fd < OWNFD_END;
}

void ownfd_add(int fd)
{
    uint64_t *p = possible(fd) ? page_of(fd, true) : NULL;
    if (!p)
        return;
    __atomic_fetch_or(&p[fd % PAGE / WORD], (uint64_t)1 << fd % WORD, __ATOMIC_SEQ_CST);
    for (int old = LOAD(top); old < fd;)
        if (__atomic_compare_exchange_n(&top, &old, fd, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            break;
}

void ownfd_remove(int fd)
{
    uint64_t *p = possible(fd) ? page_of(fd, false) : NULL;
    if (p)
        __atomic_fetch_and(&p[fd % PAGE / WORD], ~((uint64_t)1 << fd % WORD), __ATOMIC_SEQ_CST);
}

int ownfd_move_high(int fd)
{
    fd = fd_move_high(fd);
    ownfd_add(fd);
    return fd;
}

void ownfd_close(int fd)
{
    if (fd < 0)
        return;
    ownfd_remove(fd); /* before another descriptor can get the number */
    sys1(SYS_close, fd);
}

bool ownfd_has(int fd)
{
    return fd >= 0 && ownfd_next((unsigned)fd) == fd;
}

/* The bits of one word from `fd` on; 0: none is set. */
static uint64_t bits_from(int fd)
{
    const uint64_t *p = page_of(fd, false);
    return p ? __atomic_load_n(&p[fd % PAGE / WORD], __ATOMIC_SEQ_CST) >> fd % WORD : 0;
}

int ownfd_next(unsigned from)
{
    int last = __atomic_load_n(&top, __ATOMIC_SEQ_CST);
    if (from > (unsigned)last)
        return OWNFD_END;
    for (int fd = (int)from; fd <= last; fd = (fd / WORD + 1) * WORD) {
        uint64_t bits = bits_from(fd);
        if (bits != 0)
            return fd + __builtin_ctzll(bits);
    }
    return OWNFD_END;
}

void ownfd_after_fork(bool (*is_kept)(int fd))
{
    for (int fd = ownfd_next(0); fd < OWNFD_END; fd = ownfd_next((unsigned)fd + 1))
        if (!is_kept(fd))
            ownfd_close(fd);
}
