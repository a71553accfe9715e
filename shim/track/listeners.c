/* listeners.c: see listeners.h. */
#include "track/listeners.h"

#include "core/conn_spoken.h"
#include "sys/syscall.h"
#include "track/slots.h"

#include <sys/epoll.h>

HIDDEN struct listeners listeners;

struct listener *listeners_of(int fd)
{
    uint32_t slot = slot_of(fd);
    return fd_slot_kind(slot) == FD_LISTENER ? &listeners.entry[fd_slot_index(slot)] : NULL;
}

/* Threads that listen at once get an entry each: of two listeners in one entry only one would ever be stopped. */
static struct listener *claim(void)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        struct listener *l = &listeners.entry[i];
        if (__atomic_load_n(&l->taken, __ATOMIC_RELAXED) == 0 &&
            __atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQ_REL) == 0)
            return l;
    }
    return NULL;
}

struct listener *listeners_take(void)
{
    struct listener *l = claim();
    if (!l)
        return NULL;
    memset((char *)l + sizeof l->taken, 0, sizeof *l - sizeof l->taken);
    unsigned above = (unsigned)(l - listeners.entry) + 1, used = __atomic_load_n(&listeners.used, __ATOMIC_RELAXED);
    while (used < above &&
           !__atomic_compare_exchange_n(&listeners.used, &used, above, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
    return l;
}

void listeners_give_back(struct listener *l)
{
    l->live = false;
    __atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
}

bool listeners_have_port(uint16_t port)
{
    for (unsigned i = 0; i < listeners.used && port != 0; i++)
        if (listeners.entry[i].live && !listeners.entry[i].ignored && listeners.entry[i].port == port &&
            (listeners.entry[i].named || LOAD(listeners.entry[i].spoken) != SPOKEN_OTHER))
            return true;
    return false;
}

bool listeners_lock_inherited(void)
{
    return __atomic_exchange_n(&listeners.inherited_lock, 1, __ATOMIC_ACQUIRE) == 0;
}

void listeners_unlock_inherited(void)
{
    __atomic_store_n(&listeners.inherited_lock, 0, __ATOMIC_RELEASE);
}

/* A listener that is in one set more than are noted stays so: i stops short of it. */
void listeners_note_epoll(struct listener *l, int ep, int op, uint32_t events, uint64_t data)
{
    unsigned i = 0;
    while (i < l->epolls && i < LISTENER_EPOLLS && l->epoll[i].fd != ep)
        i++;
    if (op == EPOLL_CTL_DEL) {
        if (i < l->epolls && l->epolls <= LISTENER_EPOLLS)
            l->epoll[i] = l->epoll[--l->epolls];
        return;
    }
    if (i == l->epolls)
        l->epolls++;
    if (i < LISTENER_EPOLLS) {
        l->epoll[i].fd = ep;
        l->epoll[i].events = events;
        l->epoll[i].data = data;
    }
}

void listeners_await_swap(const struct listener *l)
{
    enum { YIELDS = 10000 };
    for (int i = 0; i < YIELDS && __atomic_load_n(&l->swapping, __ATOMIC_SEQ_CST) != 0; i++)
        sys0(SYS_sched_yield);
}

bool listeners_survive_exec(void)
{
    enum { F_GETFD_ = 1, FD_CLOEXEC_ = 1 };
    for (unsigned i = 0; i < listeners.used; i++) {
        const struct listener *l = &listeners.entry[i];
        long flags = l->live && l->aliases == 1 ? sys2(SYS_fcntl, l->fd, F_GETFD_) : 0;
        if (l->live && flags >= 0 && (flags & FD_CLOEXEC_) == 0)
            return true;
    }
    return false;
}

void listeners_share(void)
{
    for (unsigned i = 0; i < listeners.used; i++)
        listeners.entry[i].shared = true;
}

void listeners_after_fork(void)
{
    listeners.inherited_lock = 0; /* of a thread that is not here */
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        l->swapping = 0;
        l->taken = l->live; /* else it was taken by a thread that is not here */
        if (l->epolls > 0)  /* a set of the parent's, which may be using it: more than are noted */
            l->epolls = LISTENER_EPOLLS + 1;
    }
    listeners_share();
}

/* ---- what is spoken ------------------------------------------------------------------------------------ */

static struct spoken_table *shared; /* with the group; NULL: alone */

void listeners_share_spoken(struct spoken_table *table)
{
    shared = table;
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].live)
            listeners_tell_choice(&listeners.entry[i]);
}

void listeners_tell_choice(const struct listener *l)
{
    if (shared && (l->named || l->ignored))
        spoken_choose(shared, l->inode, l->named ? CHOICE_NAMED : CHOICE_IGNORED);
}

struct spoken_table *listeners_shared(void)
{
    return shared;
}

enum spoken listeners_spoken(struct listener *l)
{
    enum spoken here = (enum spoken)LOAD(l->spoken), there = shared ? spoken_get(shared, l->inode) : SPOKEN_UNKNOWN;
    if (there > here)
        STORE(l->spoken, (uint8_t)there);
    return there > here ? there : here;
}

bool listeners_tell(const struct listener *l)
{
    return !shared || spoken_tell(shared, l->inode);
}

static void put(struct listener *l, enum spoken what)
{
    if (listeners_spoken(l) >= what)
        return;
    STORE(l->spoken, (uint8_t)what);
    if (shared)
        spoken_put(shared, l->inode, what);
}

/* The entry of c may be given to another connection meanwhile: then what was read means nothing. */
void listeners_judge(struct conn *c)
{
    uint32_t generation = __atomic_load_n(&c->generation, __ATOMIC_ACQUIRE);
    uint16_t at = LOAD(c->listener);
    enum spoken what = conn_spoken(c);
    if (what == SPOKEN_UNKNOWN || at >= LISTENERS_MAX ||
        __atomic_load_n(&c->generation, __ATOMIC_ACQUIRE) != generation)
        return;
    __atomic_fetch_and(&c->attention, (uint8_t)~CONN_JUDGED, __ATOMIC_RELAXED);
    /* A worker may have closed the listener; its entry still tells the inode. */
    const struct listener *own = &listeners.entry[at];
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l == own || (!own->unix_ && !l->unix_ && l->port == own->port)) /* the same server's, of another address */
            put(l, what);
    }
}
