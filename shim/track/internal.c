/* internal.c: see internal.h. */
#include "track/internal.h"

#include "process/clock.h"
#include "sys/fd.h"

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

uint32_t internal_connecting(void)
{
    struct spoken_table *table = listeners.used > 0 ? listeners_shared() : NULL;
    return table ? spoken_connecting(table, clock_now()) : 0;
}

/* A listener may be closed in this process (by the router) and open in another one (its workers). */
static uint64_t inode_at(const struct sock_address *to)
{
    for (unsigned i = 0; i < listeners.used; i++) {
        const struct listener *l = &listeners.entry[i];
        if (l->inode != 0 && !l->ignored && leads_to(to, l))
            return l->inode;
    }
    return 0;
}

/* Not a datagram socket, and not the second connect by which a program learns that the first one is over (connect(2)):
 * a connection that were counted twice would hide somebody else's. */
static bool is_new_connection(int fd, bool done)
{
    bool unix_, listening;
    return sock_is_stream(fd, &unix_, &listening) && (unix_ || !done || !fd_is_nonblocking(fd));
}

/* The kernel knows where to: the program may have changed its memory meanwhile, which before the call may not be read
 * (it may be none of the program's: EFAULT). Only of a connection that is still being made the kernel says nothing. */
static void destination(int fd, const void *addr, unsigned len, struct sock_address *to)
{
    if (addr && !sock_peer(fd, to))
        sock_address_of(addr, len, to);
}

void internal_connected(uint32_t begun, int fd, const void *addr, unsigned len, bool done)
{
    struct sock_address to = {.family = 0};
    destination(fd, addr, len, &to);
    uint64_t inode = to.family != 0 ? inode_at(&to) : 0;
    spoken_connected(listeners_shared(), inode != 0 && is_new_connection(fd, done) ? inode : 0, begun);
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

bool internal_is(const struct listener *l)
{
    const struct spoken_table *table = listeners_shared();
    return table && spoken_is_internal(table, l->inode, clock_now());
}
