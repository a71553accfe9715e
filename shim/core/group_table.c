/* group_table.c: see group_table.h. */
#include "core/group_table.h"

static const char magic[8] = "lastcall";

enum { TAKEN = 1000 /* no state at all: the slot is being filled */ };

void group_table_init(struct group_table *m, uint64_t cookie)
{
    m->version = GROUP_TABLE_VERSION;
    m->size = sizeof *m;
    m->cookie = cookie;
    memcpy(m->magic, magic, sizeof magic);
}

bool group_table_is_valid(const struct group_table *m, uint64_t cookie)
{
    return memcmp(m->magic, magic, sizeof magic) == 0 && m->version == GROUP_TABLE_VERSION && m->size == sizeof *m &&
           m->cookie == cookie;
}

void group_table_name(struct text *t, int fd, uint64_t cookie, int holder, int signal)
{
    text_str(t, GROUP_TABLE_VARIABLE "=");
    text_u64(t, (uint64_t)fd);
    text_char(t, ':');
    for (int shift = 60; shift >= 0; shift -= 4)
        text_char(t, "0123456789abcdef"[cookie >> shift & 15]);
    text_char(t, ':');
    text_u64(t, (uint64_t)holder);
    if (signal != 0) {
        text_char(t, ':');
        text_u64(t, (uint64_t)signal);
    }
}

static uint32_t state_of(const struct member *who)
{
    return __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
}

static bool is_life(uint32_t state)
{
    return state == MEMBER_STARTING || state == MEMBER_SERVES || state == MEMBER_AWAY;
}

static bool lives(const struct member *who)
{
    return is_life(state_of(who));
}

/* The parent of a member, as one word: half of an old link and half of a new one would name no process. */
struct link {
    uint32_t serial, at;
} __attribute__((aligned(8), may_alias));

_Static_assert(offsetof(struct member, parent) % 8 == 0 && sizeof(struct link) == 8, "one word");
_Static_assert(offsetof(struct member, parent_at) == offsetof(struct member, parent) + 4, "in this order");

static struct link link_of(const struct member *who)
{
    struct link link;
    __atomic_load((const struct link *)&who->parent, &link, __ATOMIC_ACQUIRE);
    return link;
}

int group_table_top(const struct group_table *m)
{
    uint32_t top = __atomic_load_n(&m->top, __ATOMIC_ACQUIRE);
    return top < GROUP_TABLE_MAX ? (int)top : GROUP_TABLE_MAX;
}

/* ---- coming and going ------------------------------------------------------------------------------------- */

static void fill(struct group_table *m, struct member *who, int parent, nsec_t now)
{
    uint32_t serial;
    do
        serial = __atomic_add_fetch(&m->next_serial, 1, __ATOMIC_RELAXED);
    while (serial == 0);
    memset((char *)who + sizeof who->state, 0, sizeof *who - sizeof who->state);
    who->started_at = now;
    if (parent >= 0 && parent < GROUP_TABLE_MAX) {
        struct link link = {m->member[parent].serial, (uint32_t)parent};
        __atomic_store((struct link *)&who->parent, &link, __ATOMIC_RELEASE);
        __atomic_fetch_or(&m->member[parent].flags, MEMBER_FORKS, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&who->serial, serial, __ATOMIC_RELEASE);
}

int group_table_claim(struct group_table *m, int parent, enum member_state state, nsec_t now)
{
    /* Not the slot that was given back last: its process may still be about to end, and the slot's pid tells that it is
     * a member (a process for each connection: slots come and go by the hundred). */
    for (uint32_t n = 0, first = __atomic_load_n(&m->next_serial, __ATOMIC_RELAXED); n < GROUP_TABLE_MAX; n++) {
        int i = (int)((first + n) % GROUP_TABLE_MAX);
        uint32_t taken = TAKEN, none = MEMBER_FREE, top = m->top;
        if (m->member[i].state != MEMBER_FREE ||
            !__atomic_compare_exchange_n(&m->member[i].state, &none, taken, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        fill(m, &m->member[i], parent, now);
        while (top <= (uint32_t)i &&
               !__atomic_compare_exchange_n(&m->top, &top, (uint32_t)i + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            ;
        __atomic_store_n(&m->member[i].state, (uint32_t)state, __ATOMIC_RELEASE);
        return i;
    }
    return MEMBER_NONE;
}

/* Also the children with slots that are kept for their counts, or that are just being filled. */
static void hand_children_on(struct group_table *m, int at, uint32_t serial)
{
    struct link to = link_of(&m->member[at]);
    for (int i = 0; i < GROUP_TABLE_MAX; i++) {
        struct link from = link_of(&m->member[i]);
        if (from.serial == serial)
            __atomic_compare_exchange((struct link *)&m->member[i].parent, &from, &to, false, __ATOMIC_ACQ_REL,
                                      __ATOMIC_RELAXED);
    }
}

bool group_table_leave(struct group_table *m, int at, uint32_t serial, bool keep)
{
    struct member *gone = &m->member[at];
    uint32_t state = state_of(gone);
    if (!is_life(state) || gone->serial != serial)
        return false;
    /* While the process still counts as alive: else the children's coordinator would not see them for a moment, and
     * might not wait for them. */
    hand_children_on(m, at, serial);
    while (is_life(state) && __atomic_load_n(&gone->serial, __ATOMIC_RELAXED) == serial)
        if (__atomic_compare_exchange_n(&gone->state, &state, keep ? MEMBER_LEFT : MEMBER_FREE, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/* ---- masters and workers ----------------------------------------------------------------------------------------- */

int group_table_find(const struct group_table *m, int pid)
{
    for (int i = 0; i < group_table_top(m); i++)
        if (m->member[i].pid == pid && lives(&m->member[i]))
            return i;
    return MEMBER_NONE;
}

int group_table_parent(const struct group_table *m, int at)
{
    const struct member *who = &m->member[at];
    struct link now = link_of(who), seen;
    for (int i = 0; i < GROUP_TABLE_MAX && now.serial != 0 && now.at < GROUP_TABLE_MAX; i++) {
        const struct member *parent = &m->member[now.at];
        if (__atomic_load_n(&parent->serial, __ATOMIC_RELAXED) == now.serial && lives(parent))
            return (int)now.at;
        /* A process that leaves hands its children on before its slot is free. */
        seen = now;
        now = link_of(who);
        if (now.serial == seen.serial && now.at == seen.at)
            break;
    }
    return MEMBER_NONE;
}

/* The nearest ancestor that is still the program that it was. */
static int server_above(const struct group_table *m, int at)
{
    for (int i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; i++) {
        at = group_table_parent(m, at);
        if (at == MEMBER_NONE || state_of(&m->member[at]) != MEMBER_AWAY)
            return at;
    }
    return MEMBER_NONE;
}

int group_table_master(const struct group_table *m, int at)
{
    enum { ALL = MEMBER_ACCEPTS | MEMBER_INHERITED | MEMBER_FORKS, WORKER = MEMBER_ACCEPTS | MEMBER_INHERITED };
    int parent = group_table_parent(m, at);
    uint32_t flags = m->member[at].flags;
    if (parent == MEMBER_NONE || (flags & (MEMBER_EXECED | MEMBER_RECEIVED)) != MEMBER_EXECED)
        return parent;
    if ((flags & ALL) != WORKER)
        return MEMBER_NONE;
    int server = server_above(m, at);
    return server == MEMBER_NONE || (m->member[server].flags & MEMBER_ACCEPTS) ? MEMBER_NONE : parent;
}

bool group_table_in_scope(const struct group_table *m, int at, int root)
{
    for (int i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; i++) {
        if (at == root)
            return true;
        at = group_table_master(m, at);
    }
    return false;
}

static bool drains(const struct member *who)
{
    uint32_t phase = __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
    return phase > DRAIN_SERVING && phase < DRAIN_DONE && lives(who);
}

int group_table_coordinator(const struct group_table *m, int at)
{
    int coordinator = MEMBER_NONE;
    for (int i = 0; at != MEMBER_NONE && i < GROUP_TABLE_MAX; i++) {
        if (drains(&m->member[at]))
            coordinator = at;
        at = group_table_master(m, at);
    }
    return coordinator;
}

bool group_table_reachable(const struct group_table *m, int at, int root)
{
    for (int i = 0; at != root && i < GROUP_TABLE_MAX; i++) {
        at = group_table_parent(m, at);
        if (at == MEMBER_NONE)
            return false;
        const struct member *who = &m->member[at];
        if (at != root && who->pid != 0 && who->own_pid != 0 && who->pid != who->own_pid)
            return false;
    }
    return at == root;
}

/* ---- listeners and aborted requests ------------------------------------------------------------------------- */

#define BEING_DECIDED UINT32_MAX /* in the place of a coordinator's serial */

/* -1: nothing was decided. */
static int listener_of(const struct group_table *m, uint64_t inode, uint32_t coordinator)
{
    for (int i = 0; i < GROUP_TABLE_LISTENERS; i++)
        if (__atomic_load_n(&m->listener[i].coordinator, __ATOMIC_ACQUIRE) == coordinator &&
            m->listener[i].inode == inode)
            return i;
    return -1;
}

enum group_holders group_table_holders(const struct group_table *m, uint64_t inode, uint32_t coordinator)
{
    int known = listener_of(m, inode, coordinator);
    if (known < 0)
        return HOLDERS_UNKNOWN;
    return __atomic_load_n(&m->listener[known].members_only, __ATOMIC_ACQUIRE) ? HOLDERS_MEMBERS : HOLDERS_EXTERNAL;
}

/* Can an entry of this coordinator be given to another one? */
static bool is_disused(const struct group_table *m, uint32_t coordinator)
{
    for (int i = 0; coordinator != 0 && i < group_table_top(m); i++)
        if (m->member[i].serial == coordinator && lives(&m->member[i]))
            return false;
    return coordinator != BEING_DECIDED;
}

void group_table_set_holders(struct group_table *m, uint64_t inode, uint32_t coordinator, bool members_only)
{
    if (listener_of(m, inode, coordinator) >= 0)
        return;
    for (int i = 0; i < GROUP_TABLE_LISTENERS; i++) {
        struct group_listener *l = &m->listener[i];
        uint32_t old = __atomic_load_n(&l->coordinator, __ATOMIC_ACQUIRE);
        if (!is_disused(m, old) || !__atomic_compare_exchange_n(&l->coordinator, &old, BEING_DECIDED, false,
                                                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        l->inode = inode;
        l->members_only = members_only;
        __atomic_store_n(&l->coordinator, coordinator, __ATOMIC_RELEASE);
        return;
    }
}

void group_table_clear_external(struct group_table *m, uint64_t inode, uint32_t coordinator)
{
    int known = listener_of(m, inode, coordinator);
    if (known >= 0)
        __atomic_store_n(&m->listener[known].members_only, 1, __ATOMIC_RELEASE);
}

/* Does a coordinator still report what this member has aborted? One that has left is kept until its coordinator has
 * reported. */
static bool is_to_be_reported(const struct group_table *m, uint32_t serial)
{
    for (int i = 0; serial != 0 && i < group_table_top(m); i++)
        if (m->member[i].serial == serial)
            return lives(&m->member[i]) ||
                   (state_of(&m->member[i]) == MEMBER_LEFT && group_table_coordinator(m, i) >= 0);
    return serial == BEING_DECIDED;
}

struct group_aborted *group_table_add_aborted(struct group_table *m, uint32_t serial)
{
    __atomic_fetch_add(&m->aborted_count, 1, __ATOMIC_ACQ_REL);
    for (int i = 0; i < GROUP_TABLE_ABORTED; i++) {
        struct group_aborted *a = &m->aborted[i];
        uint32_t old = __atomic_load_n(&a->serial, __ATOMIC_ACQUIRE);
        if (old == serial || is_to_be_reported(m, old) ||
            !__atomic_compare_exchange_n(&a->serial, &old, BEING_DECIDED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        memset((char *)a + sizeof a->serial, 0, sizeof *a - sizeof a->serial); /* of a member that has left */
        __atomic_store_n(&a->serial, serial, __ATOMIC_RELEASE);
        return a;
    }
    return NULL;
}
