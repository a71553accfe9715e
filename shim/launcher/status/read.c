/* read.c: see read.h. Everything is copied first and believed later (model.h): a copy does not change
 * while it is checked, and does not shrink, as a mapping of another process's file may. */
#include "launcher/status/read.h"

#include "launcher/host/array.h"
#include "launcher/host/clock.h"
#include "launcher/host/process.h"
#include "launcher/host/process_sockets.h"
#include "launcher/host/sock_diag.h"
#include "launcher/host/unix_listeners.h"
#include "launcher/status/holders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* The copy of a slot that changes hands between the two readings may be half another process's. */
static bool is_steady(const struct member *a, const struct member *b)
{
    return a->serial == b->serial && a->state == b->state && a->own_pid == b->own_pid && a->phase == b->phase &&
           a->view == b->view;
}

/* A copy of the table, or NULL and the reason in *problem; none: the holder has ended. */
static struct group_table *copy_table(const struct holder *h, const char **problem)
{
    enum { TRIES = 4 };
    struct group_table *m = calloc(2, sizeof *m), *again = m ? m + 1 : NULL;
    uint64_t whole = 0;
    long n = m ? holders_table(h, m, sizeof *m, &whole) : -ENOMEM;
    *problem = n >= 0 ? status_table_problem(m, (size_t)n, whole) : n == -ENOENT ? NULL : "cannot be read";
    for (int i = 0; n >= 0 && !*problem && i < TRIES; i++) {
        unsigned unsteady = 0;
        if (holders_table(h, again, sizeof *again, &whole) != sizeof *again)
            break;
        for (int at = 0; at < GROUP_TABLE_MAX; at++)
            unsteady += !is_steady(&m->member[at], &again->member[at]);
        memcpy(m, again, sizeof *m);
        if (unsteady == 0)
            break;
    }
    if (n >= 0 && !*problem)
        return m;
    free(m);
    return NULL;
}

static bool same_group(const struct holder *h, const struct status_group *g)
{
    return h->dev == g->dev && h->ino == g->ino;
}

/* The copy of the first holder that still has the memory. */
static struct group_table *find_table(struct status_group *g, const struct holders *all)
{
    struct group_table *m = NULL;
    for (unsigned i = 0; i < all->count && !m; i++) {
        if (!same_group(&all->at[i], g))
            continue;
        g->problem_pid = all->at[i].pid;
        m = copy_table(&all->at[i], &g->problem);
    }
    return m;
}

/* ---- the processes ----------------------------------------------------------------------------------------------- */

/* Is this holder the member? Compares the process's pid in its own PID namespace, and the parent's, which may live
 * in another PID namespace. */
static bool is_member(const struct holder *h, const struct member *who)
{
    bool parents = who->pid == 0;
    for (unsigned i = 0; i < h->spaces; i++)
        parents |= h->own[i] == who->pid;
    if (who->own_pid == 0)
        return parents && who->pid != 0;
    return h->spaces > 0 && h->own[h->spaces - 1] == who->own_pid && parents;
}

/* Finds a member that maps the memory, but has no descriptor of the memory any more. */
static int find_by_map(const struct member *who, const struct status_group *g)
{
    struct holder h = {.pid = who->own_pid};
    uint64_t ino = 0;
    if (who->own_pid <= 0 || holders_process_kind(who->own_pid, &ino) != PROCESS_MAPPED || ino != g->ino ||
        (h.spaces = process_numbers(h.pid, h.own, HOLDER_SPACES)) == 0 || !is_member(&h, who))
        return 0;
    return h.pid;
}

static int find_process(const struct holders *all, const struct member *who, const struct status_group *g)
{
    for (unsigned i = 0; i < all->count; i++)
        if (same_group(&all->at[i], g) && is_member(&all->at[i], who))
            return all->at[i].pid;
    return find_by_map(who, g);
}

/* Is this process running, though the launcher may not examine the process (a worker of another user)? */
static bool is_forbidden(const struct member *who)
{
    uint64_t ino;
    return who->own_pid > 0 && holders_process_kind(who->own_pid, &ino) == PROCESS_FORBIDDEN;
}

static void take_name(struct status_process *p)
{
    char name[STATUS_NAME];
    status_printable(p->name, sizeof p->name, name, p->pid ? process_name(p->pid, name, sizeof name) : 0);
}

/* A process that has died without leaving keeps its slot until another process needs the slot: such a process is not
 * shown. */
static void take_members(struct status_group *g, const struct group_table *m, const struct holders *all, nsec_t now)
{
    g->process = calloc(GROUP_TABLE_MAX, sizeof *g->process);
    for (int at = 0; g->process && at < group_table_top(m); at++) {
        const struct member *who = &m->member[at];
        struct status_process *p = &g->process[g->processes];
        if (!status_is_shown(who))
            continue;
        int pid = find_process(all, who, g);
        bool forbidden = pid == 0 && is_forbidden(who);
        if (pid == 0 && !forbidden && who->state != MEMBER_LEFT)
            continue;
        memset(p, 0, sizeof *p);
        status_take_member(p, m, at, now);
        p->pid = pid ? pid : who->own_pid;
        p->sight = forbidden ? SIGHT_DENIED : pid ? SIGHT_UNKNOWN : SIGHT_ENDED;
        take_name(p);
        g->processes++;
    }
}

/* ---- their connections ------------------------------------------------------------------------------------------- */

struct reader {
    struct status_group *g;
    struct status_process *p;
    int mem;
    unsigned room;
    struct conn_chunk first, second;
};

static struct status_request *place(struct reader *r)
{
    struct status_group *g = r->g;
    if (g->requests == STATUS_REQUESTS_MAX) {
        g->requests_left_out = true;
        return NULL;
    }
    bool fits = array_grow(&g->request, g->requests, &r->room, sizeof *g->request);
    return fits ? &g->request[g->requests] : NULL;
}

/* Read twice: an entry that was given away in between is neither the old connection nor the new one. */
static bool take_chunk(struct reader *r, uint64_t address)
{
    if (!process_peek(r->mem, address, &r->first, sizeof r->first) ||
        !process_peek(r->mem, address, &r->second, sizeof r->second))
        return false;
    for (unsigned i = 0; i < POOL_CHUNK; i++) {
        struct status_request request, *to;
        if (((r->first.used & r->second.used) >> i & 1) == 0 ||
            r->first.conn[i].generation != r->second.conn[i].generation)
            continue;
        if (status_take_conn(r->p, &request, &r->second.conn[i]) && (to = place(r))) {
            *to = request;
            r->g->requests++;
        }
    }
    return true;
}

/* The addresses of the pool's chunks, a page of them at a time. */
static bool take_pool(struct reader *r, uint64_t pool)
{
    uint64_t chunk[512];
    uint32_t chunks = 0;
    if (!process_peek(r->mem, pool + offsetof(struct conn_pool, chunks), &chunks, sizeof chunks) ||
        chunks > POOL_CHUNKS)
        return false;
    for (uint32_t at = 0; at < chunks; at += COUNT(chunk)) {
        uint32_t n = chunks - at < COUNT(chunk) ? chunks - at : COUNT(chunk);
        if (!process_peek(r->mem, pool + at * sizeof *chunk, chunk, n * sizeof *chunk))
            return false;
        for (uint32_t i = 0; i < n; i++)
            if (!take_chunk(r, chunk[i]))
                return false;
    }
    return true;
}

static enum status_sight see(struct reader *r, uint64_t address)
{
    struct status_abi view;
    if (address == 0 || !process_peek(r->mem, address, &view, sizeof view))
        return SIGHT_UNKNOWN;
    switch (status_abi_check(&view)) {
    case STATUS_ABI_NONE: return SIGHT_UNKNOWN;
    case STATUS_ABI_OTHER_BUILD: return SIGHT_BUILD;
    case STATUS_ABI_GOOD: break;
    }
    struct signal_view signals;
    if (process_peek(r->mem, view.signals, &signals, sizeof signals))
        r->p->handler = (uint8_t)notes_handler_of(&signals);
    unsigned in_flight = r->p->conn[KIND_IN_FLIGHT], requests = r->g->requests;
    r->p->conn[KIND_IN_FLIGHT] = 0;
    if (take_pool(r, view.pool))
        return SIGHT_WHOLE;
    memset(r->p->conn, 0, sizeof r->p->conn);
    r->p->conn[KIND_IN_FLIGHT] = in_flight;
    r->g->requests = requests;
    return SIGHT_UNKNOWN;
}

static void take_connections(struct reader *r, const struct group_table *m)
{
    uint64_t ino;
    if (r->p->sight != SIGHT_UNKNOWN)
        return;
    r->mem = process_memory(r->p->pid);
    if (r->mem < 0) {
        r->p->sight = r->mem == -EACCES || r->mem == -EPERM ? SIGHT_DENIED : SIGHT_ENDED;
        return;
    }
    r->p->sight = see(r, m->member[r->p->at].view);
    close(r->mem);
    if (r->p->sight == SIGHT_UNKNOWN && holders_process_kind(r->p->pid, &ino) <= PROCESS_ENDED)
        r->p->sight = SIGHT_ENDED;
}

/* ---- what the kernel knows of them ------------------------------------------------------------------------------- */

struct sockets {
    struct status_group *g;
    const struct group_table *table;
    const struct holders *all;
    uint16_t port; /* of all listeners; 0: they have several */
    bool several;
};

static bool holds(const struct sockets *of, uint64_t inode)
{
    for (unsigned i = 0; i < of->all->count; i++)
        for (unsigned k = 0; same_group(&of->all->at[i], of->g) && k < of->all->at[i].sockets; k++)
            if (of->all->at[i].socket[k] == inode)
                return true;
    return false;
}

static void take_listener(const struct diag_socket *s, void *arg)
{
    struct sockets *of = arg;
    struct status_group *g = of->g;
    char text[STATUS_PEER];
    if (!s->listening || !holds(of, s->inode))
        return;
    of->several |= of->port != 0 && of->port != s->local_port;
    of->port = of->several ? 0 : s->local_port;
    sock_diag_text(s->family, s->local, s->local_port, text);
    const char *because = notes_why_left_alone(of->table, s->inode, false);
    if (because)
        notes_add_left_alone(&g->left_alone, text, because);
    for (unsigned i = 0; i < g->listeners; i++)
        if (strcmp(g->listener[i], text) == 0)
            return; /* SO_REUSEPORT */
    if (g->listeners < STATUS_LISTENERS)
        memcpy(g->listener[g->listeners++], text, sizeof text);
}

static void take_unix_listener(uint64_t inode, const char *path, size_t n, void *arg)
{
    struct sockets *of = arg;
    char name[STATUS_PEER] = "unix:";
    const char *because = holds(of, inode) ? notes_why_left_alone(of->table, inode, true) : NULL;
    if (!because)
        return;
    status_printable(name + strlen(name), sizeof name - strlen(name), path, n);
    notes_add_left_alone(&of->g->left_alone, name, because);
}

static int by_inode(const void *a, const void *b)
{
    const struct status_request *p = a, *q = b;
    return p->inode < q->inode ? -1 : p->inode > q->inode;
}

static void take_age(const struct diag_socket *s, void *arg)
{
    struct status_group *g = ((struct sockets *)arg)->g;
    struct status_request key = {.inode = s->inode}, *r;
    if (s->inode == 0 || !(r = bsearch(&key, g->request, g->requests, sizeof key, by_inode)))
        return;
    r->aged = s->aged;
    r->age = s->quiet_ms * NSEC_PER_MSEC;
    sock_diag_text(s->family, s->peer, s->peer_port, r->peer);
}

static bool all_found(const struct status_group *g)
{
    for (unsigned i = 0; i < g->requests; i++)
        if (g->request[i].inode != 0 && g->request[i].peer[0] == '\0')
            return false;
    return true;
}

static void take_ages(struct sockets *of, int network)
{
    struct status_group *g = of->g;
    for (unsigned i = 0; i < g->requests; i++)
        g->request[i].inode = process_sockets_inode(g->request[i].pid, g->request[i].fd);
    if (g->requests == 0)
        return;
    qsort(g->request, g->requests, sizeof *g->request, by_inode);
    sock_diag_each(network, false, of->port, take_age, of);
    if (of->port != 0 && !all_found(g)) /* a listener is missing from the group's list */
        sock_diag_each(network, false, 0, take_age, of);
}

static void ask_kernel(struct status_group *g, const struct group_table *m, const struct holders *all)
{
    struct sockets of = {.g = g, .table = m, .all = all};
    bool unreadable;
    int network = g->processes ? process_network(g->process[0].pid, &unreadable) : -1;
    if (g->processes > 0)
        unix_listeners_each(g->process[0].pid, take_unix_listener, &of);
    if (g->processes == 0 || unreadable)
        return;
    sock_diag_each(network, true, 0, take_listener, &of);
    take_ages(&of, network);
    if (network >= 0)
        close(network);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void read_group(struct status_group *g, const struct holders *all)
{
    struct group_table *m = find_table(g, all);
    struct reader *r = calloc(1, sizeof *r);
    if (m && r) {
        take_members(g, m, all, clock_now());
        r->g = g;
        for (unsigned i = 0; i < g->processes; i++) {
            r->p = &g->process[i];
            take_connections(r, m);
        }
        status_finish(g, m);
        ask_kernel(g, m, all);
        status_sort_requests(g);
    }
    free(r);
    free(m);
}

/* A process that holds a group's memory may stand for the group without being a member: the launcher, a shell
 * between launcher and server, a program that a server has started. */
static bool is_wanted(const struct status_group *g, const struct holders *all, const struct status_wish *wish)
{
    if (wish->pid == 0)
        return g->problem || status_lives(g);
    for (unsigned i = 0; i < g->processes; i++)
        if (g->process[i].pid == wish->pid)
            return true;
    for (unsigned i = 0; (g->problem || status_lives(g)) && i < all->count; i++)
        if (same_group(&all->at[i], g) && all->at[i].pid == wish->pid)
            return true;
    return false;
}

static bool is_first(const struct holders *all, unsigned at)
{
    for (unsigned i = 0; i < at; i++)
        if (all->at[i].dev == all->at[at].dev && all->at[i].ino == all->at[at].ino)
            return false;
    return true;
}

bool status_read(struct status *s, const struct status_wish *wish)
{
    struct holders all;
    memset(s, 0, sizeof *s);
    if (!holders_read(&all))
        return false;
    s->hidden = all.hidden;
    s->wall_ms = clock_wall_ms();
    s->group = calloc(all.count + 1, sizeof *s->group);
    for (unsigned i = 0; s->group && i < all.count; i++) {
        struct status_group *g = &s->group[s->groups];
        if (!is_first(&all, i) || (wish->ino != 0 && (all.at[i].dev != wish->dev || all.at[i].ino != wish->ino)))
            continue;
        memset(g, 0, sizeof *g);
        g->dev = all.at[i].dev;
        g->ino = all.at[i].ino;
        read_group(g, &all);
        if (is_wanted(g, &all, wish))
            s->groups++;
        else
            status_drop(g);
    }
    holders_free(&all);
    return s->group != NULL;
}
