/* shim.c: the process and its descriptors: what serves, what is a connection, what is ours. */
#include "shim.h"

#include "core/view.h"
#include "group.h"
#include "handoff.h"
#include "record.h"
#include "sys/libc.h"
#include "sys/log.h"
#include "sys/syscall.h"
#include "trace.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

HIDDEN struct shim shim = {.off = true, .epoll = -1, .event = -1, .log_fd = -1, .report_fd = -1};
HIDDEN uint32_t *fd_slot;
HIDDEN unsigned fd_slots;

nsec_t shim_now(void)
{
    struct timespec now;
    if (UNLIKELY(sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0) &&
        sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0)
        /* A sandbox may not know that it is a system call too: programs ask the vDSO. */
        return shim.ticks_at + ARCH_TICKS_NSEC(arch_ticks() - shim.ticks);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

nsec_t shim_since(uint64_t began)
{
    uint64_t ticks = arch_ticks();
    nsec_t now = shim_now();
    if (ticks <= shim.ticks || ticks <= began) /* the counter has begun anew (suspend) */
        return 0;
    double worth = (double)(now - shim.ticks_at) / (double)(ticks - shim.ticks);
    return (nsec_t)((double)(ticks - began) * worth);
}

static void set_slot(int fd, uint32_t slot)
{
    if ((unsigned)fd >= fd_slots)
        return;
    if (UNLIKELY(fd > shim.fd_top))
        shim.fd_top = fd;
    __atomic_store_n(&fd_slot[fd], slot, __ATOMIC_RELEASE);
}

static bool change_slot(int fd, uint32_t from, uint32_t to)
{
    if (!__atomic_compare_exchange_n(&fd_slot[fd], &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    if (UNLIKELY(fd > shim.fd_top))
        shim.fd_top = fd;
    return true;
}

static const uint32_t LOOKED_AT = (uint32_t)FD_SPECIAL << 30 | SPECIAL_LOOKED_AT;

/* The slot, once the sweep is no longer looking: for a few system calls. */
uint32_t shim_settled_slot(int fd)
{
    uint32_t slot;
    while (UNLIKELY((slot = slot_of(fd)) == LOOKED_AT))
        sys0(SYS_sched_yield);
    return slot;
}

static void *map_zeroed(size_t size)
{
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* Can fd have a slot? Maps the table if there is none yet. */
static bool can_have_slot(int fd)
{
    if (UNLIKELY(fd_slots == 0)) {
        uint32_t *none = NULL, *table = map_zeroed(FD_MAX * sizeof *table);
        if (!table)
            return false;
        if (!__atomic_compare_exchange_n(&fd_slot, &none, table, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            sys2(SYS_munmap, table, FD_MAX * sizeof *table);
        __atomic_store_n(&fd_slots, FD_MAX, __ATOMIC_RELEASE);
    }
    return (unsigned)fd < FD_MAX;
}

/* ---- the process serves --------------------------------------------------------------------------- */

static void exit_handler(void *unused)
{
    (void)unused;
    shim_exit();
}

/* The program does not know this descriptor, so it shall not close it among others. */
static void keep_descriptor(int fd)
{
    if (fd >= 0 && can_have_slot(fd))
        set_slot(fd, fd_slot_make(FD_SPECIAL, SPECIAL_OWN));
}

static void join_group(void)
{
    struct text complaints = {0};
    size_t n = 0;
    while (shim.complaints[n])
        n++;
    text_init(&complaints, shim.complaints + n, sizeof shim.complaints - n);
    group_open(&complaints, shim.options.report && shim.options.report_connections);
    keep_descriptor(group.fd);
}

static void show_view(void)
{
    static struct view view;
    view_init(&view, &shim.pool);
    group_show(&view, shim.options.timeout);
}

void shim_arm(void)
{
    static uint8_t once;
    if (LIKELY(shim.armed) || shim.off || __atomic_exchange_n(&once, 1, __ATOMIC_ACQ_REL))
        return;
    shim.pid = (int)sys0(SYS_getpid);
    shim.ticks_at = shim_now();
    shim.ticks = arch_ticks();
    shim.fork_page = map_zeroed(4096);
    if (shim.fork_page && sys3(SYS_madvise, shim.fork_page, 4096, MADV_WIPEONFORK) == 0)
        *shim.fork_page = 1;
    else
        shim.fork_page = NULL;
    if (shim.options.log == LOG_TRACE)
        trace_open(map_zeroed(trace_size()));
    log_remember_stderr(&shim.fd2_dev, &shim.fd2_ino);
    join_group();
    show_view();
    if (shim.complaints[0])
        log_complaints();
    pump_prepare();
    signals_hold();
    __atomic_store_n(&shim.armed, true, __ATOMIC_RELEASE);
    libc_at_exit(exit_handler);
    shim_follow(); /* a worker that is started while its group drains already */
}

bool shim_is_our_process(void)
{
    if ((int)sys0(SYS_getpid) == shim.pid)
        return true;
    if (shim.fork_page && *shim.fork_page == 0)
        shim_forked_child(MEMBER_NONE); /* a fork that did not come through our hook: raw clone */
    return (int)sys0(SYS_getpid) == shim.pid;
}

void shim_grow_up(void)
{
    shim.newborn = false;
    if (group_self())
        signals_hear_leader();
    group_serves();
    shim_follow();
}

/* It has shown what tells a worker that was exec'd from an heir: if its group drains already, so does it. */
static void show(uint32_t what)
{
    if (LIKELY((group.marks & what) == what))
        return;
    group_marks(what);
    shim_follow();
}

bool shim_inherits(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        if (pool_at(&shim.pool, i)->live && pool_at(&shim.pool, i)->inherited)
            return true;
    return false;
}

/* From a fork on, nothing that exists is ours alone: a shutdown() would act on the sibling's too. */
static void share_everything(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        if (pool_at(&shim.pool, i)->live)
            pool_at(&shim.pool, i)->shared = true;
    for (unsigned i = 0; i < shim.listeners; i++)
        shim.listener[i].shared = shim.listener[i].foreign = true;
}

/* A child has its parent's connections, but what was going on with them is not in this process. */
static void inherit(struct conn *c)
{
    c->pin = 0;
    if (c->live && c->stage == CONN_LINGERING) { /* it is in the hands of the parent's pump */
        c->live = false;
        c->calls_in = c->calls_out = 0;
        pool_give(&shim.pool, c);
        return;
    }
    c->inherited = c->live;
    c->track = 0;
    c->calls_in = c->calls_out = c->live ? CONN_UNTOUCHED : 0;
    c->epoll_fd = c->epoll_fd == -1 ? -1 : -2; /* the parent's set: hands off */
}

static void inherit_everything(void)
{
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++)
        inherit(pool_at(&shim.pool, i));
    for (unsigned i = 0; i < shim.listeners; i++) {
        struct listener *l = &shim.listener[i];
        l->swapping = 0;
        if (l->epolls > 0) /* a set of the parent's, which may be using it: more than are noted */
            l->epolls = LISTENER_EPOLLS + 1;
    }
    share_everything();
}

/* The descriptors of a drain that is the parent's. */
static void close_own(void)
{
    for (int fd = shim_next_own(0); fd < FD_MAX; fd = shim_next_own((unsigned)fd + 1))
        if (fd != group.fd)
            sys1(SYS_close, fd);
    shim.epoll = shim.event = shim.log_fd = shim.report_fd = -1;
    lead_forget();
}

int shim_fork_begin(void)
{
    static uint8_t said;
    if (!shim.armed || !shim_is_our_process() || !group_self())
        return MEMBER_NONE;
    int slot = group_fork_begin();
    if (slot == MEMBER_NONE && !__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
        log_warning("the group is full: another process drains alone");
    return slot;
}

void shim_forked_parent(int slot, int pid)
{
    if (!shim.armed)
        return;
    group_forked_parent(slot, pid);
    if (pid > 0)
        share_everything();
}

void shim_forked_child(int slot)
{
    if (!shim.armed)
        return;
    shim.pid = (int)sys0(SYS_getpid);
    if (shim.fork_page)
        *shim.fork_page = 1;
    if (shim.begun)
        close_own();
    record_forget();
    inherit_everything();
    if (slot_of(shim.looked_at) == LOOKED_AT)
        set_slot(shim.looked_at, 0);
    group_forked_child(slot);
    handoff_forget();
    shim.newborn = true;
    shim.sig_lock = 0;
    /* The drain is the parent's, and so is the pump that is not here: the child serves, or execs. */
    shim.phase = DRAIN_SERVING;
    shim.begun = shim.owed = shim.releasing = 0;
    shim.have_info = false;
    shim.signals = 0;
    shim.pump_tid = 0;
    shim.pump_lock = 0;
    shim.witness = NULL;
    shim.exiting_tid = 0;
    shim.exit_called = 0;
    shim.exit_leave = 0;
    shim.accepting = 0;
    shim.called = shim.called_back = 0;
    memset(&shim.counts, 0, sizeof shim.counts);
    memset(&shim.drain, 0, sizeof shim.drain);
    signals_hold();
}

bool shim_exec_begin(void)
{
    if (!shim.armed || (int)sys0(SYS_getpid) != shim.pid)
        return false;
    if (shim.newborn)
        signals_deliver(); /* what is withheld would be forgotten */
    group_exec();
    return true;
}

void shim_exec_failed(void)
{
    group_exec_failed();
}

/* ---- the life of a connection's entry ------------------------------------------------------------- */

void conn_free_if_alone(struct conn *c)
{
    /* Both locks, for good: conn_init opens them for the next use. */
    if (!conn_follow(&c->calls_in))
        return;
    if (!conn_follow(&c->calls_out)) {
        __atomic_fetch_sub(&c->calls_in, CONN_LOCKED, __ATOMIC_RELEASE);
        return;
    }
    STORE(c->live, false);
    __atomic_store_n(&c->dead, false, __ATOMIC_RELEASE);
    STORE(c->generation, c->generation + 1); /* calls that are still at it shall see that it is no longer theirs */
    pool_give(&shim.pool, c);
}

void conn_pin(struct conn *c)
{
    while (!conn_lock(&c->pin))
        sys0(SYS_sched_yield);
}

void conn_unpin(struct conn *c)
{
    __atomic_store_n(&c->pin, 0, __ATOMIC_RELEASE);
}

void shim_free(struct conn *c)
{
    __atomic_store_n(&c->dead, true, __ATOMIC_SEQ_CST);
    conn_free_if_alone(c);
}

static struct conn *take_conn(void)
{
    enum { TRIES = 4 }; /* threads that grow the pool at the same moment may take each other's new entries */
    struct conn *c = pool_take(&shim.pool);
    for (int i = 0; UNLIKELY(!c) && i < TRIES; i++) {
        struct conn_chunk *chunk = map_zeroed(sizeof *chunk);
        if (!chunk)
            return NULL;
        if (!pool_grow(&shim.pool, chunk))
            sys2(SYS_munmap, chunk, sizeof *chunk);
        c = pool_take(&shim.pool);
    }
    return c;
}

static void forget_slot(int fd, uint32_t slot);

/* The number is this connection's from now on. What we knew of it is forgotten only then: it may be the same connection,
 * which the sweep has found (whoever accepts it knows it better), and the pump must never look at a moment in which it is
 * in no table. */
static void claim_number(int fd, uint32_t slot)
{
    uint32_t before;
    do
        before = shim_settled_slot(fd);
    while (!change_slot(fd, before, slot));
    if (before != 0 && (!shim.armed || shim_is_our_process()))
        forget_slot(fd, before);
}

/* A sandbox refuses what we ask the kernel, or there is no memory, or no room: said once. */
static void cannot_watch(const char *what, uint8_t *said)
{
    if (__atomic_exchange_n(said, 1, __ATOMIC_RELAXED))
        return;
    if (!shim.armed) {
        shim.pid = (int)sys0(SYS_getpid);
        log_remember_stderr(&shim.fd2_dev, &shim.fd2_ino);
    }
    log_warning(what);
}

/* Make an entry for fd; NULL: no memory, the connection passes through unseen. found: by the sweep, which is looking at it;
 * what has become of it until now is not known. */
static struct conn *track(int fd, uint16_t listener, bool unix_, bool found)
{
    if (!can_have_slot(fd))
        return NULL;
    struct conn *c = take_conn();
    if (!c) {
        static uint8_t said;
        cannot_watch("no memory to watch a connection: it is not waited for", &said);
        if (fd_slot[fd] != 0 && !found)
            shim_forget(fd); /* stale: closed where we could not see it */
        return NULL;
    }
    conn_init(c, fd, listener, unix_);
    if (UNLIKELY(found)) {
        conn_doubt(c, DOUBT_FOUND);
        c->epoll_fd = -2;
    }
    shim_stays();
    uint32_t slot = fd_slot_make(FD_CONN, c->index);
    if (UNLIKELY(shim_draining())) {
        c->since = shim_now();
        c->late = true;
        if (!found)
            record_new(c, HISTORY_IDLE, c->since); /* else the survey says what it is */
    }
    conn_lives(c); /* with its own idle window: else the pump would take it for one that has had its time */
    if (LIKELY(!found)) {
        claim_number(fd, slot);
    } else if (!change_slot(fd, LOOKED_AT, slot)) { /* no longer the descriptor that we looked at */
        shim_free(c);
        return NULL;
    }
    return c;
}

/* ---- listeners -------------------------------------------------------------------------------------- */

struct listener *shim_listener(int fd)
{
    uint32_t slot = slot_of(fd);
    return fd_slot_kind(slot) == FD_LISTENER ? &shim.listener[fd_slot_index(slot)] : NULL;
}

static unsigned free_listener(void)
{
    for (unsigned i = 0; i < shim.listeners; i++)
        if (!shim.listener[i].live)
            return i;
    return __atomic_fetch_add(&shim.listeners, 1, __ATOMIC_ACQ_REL);
}

static bool wanted(const struct sock_address *name)
{
    return options_listens(&shim.options, name->family, name->port, name->addr, name->path, name->path_len);
}

static struct listener *cannot_watch_listener(void)
{
    static uint8_t said;
    cannot_watch("a listener cannot be watched: its clients are not waited for", &said);
    return NULL;
}

static struct listener *add_listener(int fd, bool ours)
{
    struct sock_address name;
    bool unix_, listening;
    if (!sock_is_stream(fd, &unix_, &listening))
        return sock_answers(fd) ? NULL : cannot_watch_listener();
    if (!listening)
        return NULL;
    if (!sock_local(fd, &name) || !can_have_slot(fd))
        return cannot_watch_listener();
    if (fd_slot[fd] != 0)
        shim_forget(fd);
    unsigned at = free_listener();
    if (at >= LISTENERS_MAX) {
        shim.listeners = LISTENERS_MAX;
        return cannot_watch_listener();
    }
    struct listener *l = &shim.listener[at];
    memset(l, 0, sizeof *l);
    l->fd = fd;
    l->ignored = !wanted(&name);
    l->unix_ = unix_;
    l->shared = l->foreign = l->given = !ours;
    l->reuseport = sock_reuseport(fd);
    l->port = name.port;
    l->name = name;
    l->aliases = 1;
    l->inode = sock_inode(fd);
    l->live = true;
    shim_stays();
    set_slot(fd, fd_slot_make(FD_LISTENER, at));
    return l;
}

void shim_bound(int fd)
{
    if (can_have_slot(fd) && (!shim.armed || shim_is_our_process()))
        set_slot(fd, fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
}

/* One that somebody else has bound may be his too (uvicorn's workers listen on what their parent has bound). */
void shim_listening(int fd)
{
    if (shim.off || fd_slot_kind(shim_settled_slot(fd)) == FD_LISTENER)
        return;
    const struct listener *l = add_listener(fd, slot_of(fd) == fd_slot_make(FD_SPECIAL, SPECIAL_BOUND));
    if (l && !l->ignored)
        shim_arm();
    /* A worker that was exec'd listens on what it was given to serve it. That it waits there may never be seen: libuv tells
     * epoll so by io_uring. (Whoever has bound it himself may only hand it out.) */
    if (l && l->given && (group.marks & MEMBER_EXECED))
        show(MEMBER_ACCEPTS);
}

/* A listener in everything but our having seen it: a worker of ours, or none any more, listens on what we have bound. */
void shim_lent(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != fd_slot_make(FD_SPECIAL, SPECIAL_BOUND) || !sock_is_stream(fd, &unix_, &listening) || !listening)
        return;
    struct listener *l = add_listener(fd, true);
    if (l)
        l->lent = l->shared = l->foreign = true;
}

void shim_given(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) == 0 && sock_is_stream(fd, &unix_, &listening) && listening)
        shim_listening(fd);
}

void shim_accepted(int lfd, int fd)
{
    struct listener *l = shim_listener(lfd);
    if (UNLIKELY(!l) && shim_settled_slot(lfd) != 0)
        l = shim_listener(lfd);
    if (UNLIKELY(!l)) {
        /* A listener that we did not see being made: inherited, or made before us. */
        if (shim.off || !(l = add_listener(lfd, false))) {
            if (slot_of(fd) != 0)
                shim_forget(fd);
            return;
        }
        if (!l->ignored)
            shim_arm();
    }
    if (l->ignored) {
        if (slot_of(fd) != 0)
            shim_forget(fd);
        return;
    }
    track(fd, (uint16_t)(l - shim.listener), l->unix_, false);
    show(MEMBER_ACCEPTS);
    if (shim_draining()) {
        __atomic_store_n(&shim.last_accept, shim_now(), __ATOMIC_RELEASE);
        shim_wake(NULL);
        if (l->shared)
            group_queue_moved();
    }
}

static bool is_our_port(const struct sock_address *local)
{
    for (unsigned i = 0; i < shim.listeners; i++)
        if (shim.listener[i].live && !shim.listener[i].ignored && shim.listener[i].port == local->port &&
            local->port != 0)
            return true;
    return false;
}

/* A listener that we did not see being made. */
static bool adopt_listener(int fd)
{
    const struct listener *l = add_listener(fd, false);
    if (!l || l->ignored)
        return false;
    shim_arm();
    return true;
}

/* A stream socket that was handed to us makes this process one that serves. */
void shim_adopt(int fd)
{
    struct sock_address local, peer;
    bool unix_, listening;
    if (shim.off || slot_of(fd) != 0 || !sock_is_stream(fd, &unix_, &listening) || unix_)
        return;
    if (listening) {
        if (adopt_listener(fd))
            show(MEMBER_RECEIVED);
        return;
    }
    if (!sock_local(fd, &local) || !sock_peer(fd, &peer))
        return;
    shim_arm();
    struct conn *c = track(fd, LISTENERS_MAX, false, false);
    if (c) {
        c->shared = true; /* the sender may hold it still */
        show(MEMBER_RECEIVED);
    }
}

/* A file that one of our system calls is at outlives its close, and stays in the epoll sets that it is in: the program
 * would hear of it when it has freed what it knew of it. So a close waits until we have looked. */
bool shim_find(int fd)
{
    struct sock_address local, peer;
    bool unix_, listening = false;
    struct conn *c = NULL;
    shim.looked_at = fd;
    if (!can_have_slot(fd) || !change_slot(fd, 0, LOOKED_AT))
        return false;
    /* One made by connect() has a local port that nobody here listens on. */
    if (sock_is_stream(fd, &unix_, &listening) && !unix_ && !listening && sock_local(fd, &local) &&
        sock_peer(fd, &peer) && is_our_port(&local))
        c = track(fd, LISTENERS_MAX, false, true);
    if (!c)
        change_slot(fd, LOOKED_AT, 0);
    if (!c && listening && !unix_)
        adopt_listener(fd);
    return c != NULL;
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

void shim_alias(int fd, int copy)
{
    uint32_t slot = shim_settled_slot(fd);
    if (fd == copy)
        return;
    if (!shim_is_our_process()) {
        /* vfork's child puts a listener where the program that it becomes will look for it, and that one is a stranger. */
        if (shim.injected && fd_slot_kind(slot) == FD_LISTENER)
            shim_share(fd);
        return;
    }
    if (slot_of(copy) != 0)
        shim_forget(copy);
    if (slot == 0 || (unsigned)copy >= FD_MAX)
        return;
    if (fd_slot_kind(slot) == FD_CONN)
        __atomic_add_fetch(&pool_of_slot(&shim.pool, slot)->aliases, 1, __ATOMIC_RELAXED);
    else if (fd_slot_kind(slot) == FD_LISTENER)
        __atomic_add_fetch(&shim.listener[fd_slot_index(slot)].aliases, 1, __ATOMIC_RELAXED);
    set_slot(copy, slot);
}

/* Another descriptor with the same slot; -1 if there is none (then it was counted wrongly). */
static int find_alias(int fd, uint32_t slot)
{
    for (int i = 0; i <= shim.fd_top; i++)
        if (i != fd && fd_slot[i] == slot)
            return i;
    return -1;
}

void shim_forget(int fd)
{
    uint32_t slot = shim_settled_slot(fd);
    if (slot == 0 || (shim.armed && !shim_is_our_process()))
        return;
    set_slot(fd, 0);
    forget_slot(fd, slot);
}

/* What was under this number is there no longer. */
static void forget_slot(int fd, uint32_t slot)
{
    if (fd == group.fd) { /* the program has put another descriptor there: that one is its own */
        group.fd = -1;
    } else if (handoff_is(slot)) {
        handoff_closed();
    } else if (fd_slot_kind(slot) == FD_LISTENER) {
        struct listener *l = &shim.listener[fd_slot_index(slot)];
        if (__atomic_sub_fetch(&l->aliases, 1, __ATOMIC_ACQ_REL) == 0)
            l->live = false;
        else if (l->fd == fd)
            l->fd = find_alias(fd, slot);
    } else if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&shim.pool, slot);
        if (__atomic_sub_fetch(&c->aliases, 1, __ATOMIC_ACQ_REL) > 0) {
            if (c->fd == fd)
                c->fd = find_alias(fd, slot);
            return;
        }
        bool draining = shim_draining();
        if (draining) {
            conn_pin(c); /* the pump may be at it; conn_init opens the pin for the next use */
            record(c, HISTORY_CLOSED);
        }
        shim_free(c);
        if (draining)
            shim_wake(c);
    }
}

void shim_waits(int lfd)
{
    if (shim.armed && fd_slot_kind(slot_of(lfd)) == FD_LISTENER && (group.marks & MEMBER_ACCEPTS) == 0 &&
        shim_is_our_process())
        show(MEMBER_ACCEPTS);
}

/* A set that has one entry more than are noted stays so: i stops short of it. */
static void listener_in_epoll(struct listener *l, int ep, int op, uint32_t events, uint64_t data)
{
    unsigned i = 0;
    if (op == EPOLL_CTL_ADD && !shim.go) /* Go's poller is told of each that is made, whoever serves it */
        show(MEMBER_ACCEPTS);
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

void shim_in_epoll(int ep, int op, int fd, uint32_t events, uint64_t data)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_LISTENER) {
        listener_in_epoll(&shim.listener[fd_slot_index(slot)], ep, op, events, data);
    } else if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&shim.pool, slot);
        if (op == EPOLL_CTL_ADD)
            c->epoll_fd = c->epoll_fd == -1 || c->epoll_fd == ep ? ep : -2;
        else if (op == EPOLL_CTL_DEL && c->epoll_fd == ep)
            c->epoll_fd = -1;
    }
}

void shim_share(int fd)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&shim.pool, slot);
        c->shared = c->sent = true;
    } else if (fd_slot_kind(slot) == FD_LISTENER)
        shim.listener[fd_slot_index(slot)].shared = shim.listener[fd_slot_index(slot)].foreign = true;
}

int shim_next_own(unsigned from)
{
    int next = FD_MAX;
    int fixed[] = {shim.epoll, shim.event, shim.log_fd, shim.report_fd, group.fd};
    for (unsigned i = 0; i < COUNT(fixed); i++)
        if (fixed[i] >= (int)from && fixed[i] < next)
            next = fixed[i];
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++) {
        const struct conn *c = pool_at(&shim.pool, i);
        if (c->live && c->stage == CONN_LINGERING && c->fd >= (int)from && c->fd < next)
            next = c->fd;
    }
    int watched = lead_next_own(from);
    return watched < next ? watched : next;
}

void shim_signal_descriptor(int fd)
{
    if (!shim.off && can_have_slot(fd))
        set_slot(fd, fd_slot_make(FD_SPECIAL, SPECIAL_SIGNALFD));
}

void shim_handoff_descriptor(int fd)
{
    if (can_have_slot(fd))
        set_slot(fd, fd_slot_make(FD_SPECIAL, SPECIAL_HANDOFF));
}
