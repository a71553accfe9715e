/* internal.c: see internal.h. */
#include "track/internal.h"

#include "sys/syscall.h"

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static size_t size_of(const struct sock_address *a)
{
    return a->family == 4 ? 4 : 16;
}

/* 127/8, ::1, or the unspecified address, which connect(2) takes for it. */
static bool is_loopback(const struct sock_address *a)
{
    if (is_zero(a->addr, size_of(a)))
        return true;
    return a->family == 4 ? a->addr[0] == 127 : is_zero(a->addr, 15) && a->addr[15] == 1;
}

/* unix(7): a path may be followed by its NUL, and more; a name in the abstract namespace is all bytes. */
static size_t path_size(const struct sock_address *a)
{
    size_t n = 0;
    if (a->path_len > 0 && a->path[0] == '\0')
        return a->path_len;
    while (n < a->path_len && a->path[n])
        n++;
    return n;
}

/* A listener of all addresses has another host's port too: of that one, only what is plainly this host is counted. */
static bool leads_to(const struct sock_address *to, const struct listener *l)
{
    const struct sock_address *at = &l->name;
    if (to->family == 1)
        return at->family == 1 && path_size(to) > 0 && path_size(to) == path_size(at) &&
               memcmp(to->path, at->path, path_size(to)) == 0;
    if (at->family == 1 || to->port != at->port)
        return false;
    if (is_zero(at->addr, size_of(at)))
        return (at->family == 6 || to->family == 4) && is_loopback(to);
    return to->family == at->family && memcmp(to->addr, at->addr, size_of(at)) == 0;
}

void internal_connected(const void *addr, unsigned len)
{
    struct spoken_table *table = listeners_shared();
    struct sock_address to = {.family = 0};
    if (!table)
        return;
    sock_address_of(addr, len, &to);
    for (unsigned i = 0; i < listeners.used && to.family != 0; i++) {
        const struct listener *l = &listeners.entry[i]; /* this process may have closed it: the router has */
        if (l->inode != 0 && !l->ignored && leads_to(&to, l)) {
            spoken_connected(table, l->inode);
            return;
        }
    }
}

void internal_accepted(struct listener *l)
{
    static uint32_t nowhere;
    uint32_t *accepts = LOAD(l->accepts);
    if (UNLIKELY(!accepts)) {
        struct spoken_table *table = listeners_shared();
        accepts = table ? spoken_accepts(table, l->inode) : NULL;
        STORE(l->accepts, accepts ? accepts : (accepts = &nowhere));
    }
    __atomic_add_fetch(accepts, 1, __ATOMIC_RELAXED);
}

/* A connection may be accepted before its client, which is about to return from connect, has counted it. */
bool internal_is(const struct listener *l)
{
    enum { YIELDS = 50 };
    const struct spoken_table *table = listeners_shared();
    bool is = table && spoken_is_internal(table, l->inode);
    for (int i = 0; table && !is && spoken_is_connected(table, l->inode) && i < YIELDS; i++) {
        sys0(SYS_sched_yield);
        is = spoken_is_internal(table, l->inode);
    }
    return is;
}
