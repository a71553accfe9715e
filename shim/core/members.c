/* members.c: see members.h. */
#include "core/members.h"

static const char magic[8] = "lastcall";

enum { TAKEN = 1000 /* no state at all: the slot is being filled */ };

void members_init(struct members *m, uint64_t cookie)
{
    m->version = MEMBERS_VERSION;
    m->size = sizeof *m;
    m->cookie = cookie;
    memcpy(m->magic, magic, sizeof magic);
}

bool members_are_valid(const struct members *m, uint64_t cookie)
{
    return memcmp(m->magic, magic, sizeof magic) == 0 && m->version == MEMBERS_VERSION && m->size == sizeof *m &&
           m->cookie == cookie;
}

void members_name(struct text *t, int fd, uint64_t cookie)
{
    text_str(t, MEMBERS_VARIABLE "=");
    text_u64(t, (uint64_t)fd);
    text_char(t, ':');
    for (int shift = 60; shift >= 0; shift -= 4)
        text_char(t, "0123456789abcdef"[cookie >> shift & 15]);
}

static uint32_t state_of(const struct member *who)
{
    return __atomic_load_n(&who->state, __ATOMIC_ACQUIRE);
}

static bool is_life(uint32_t state)
{
    return state == MEMBER_BORN || state == MEMBER_SERVES || state == MEMBER_AWAY;
}

static bool lives(const struct member *who)
{
    return is_life(state_of(who));
}

/* Who made it, as one word: half of an old one and half of a new one would be nobody. */
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

int members_top(const struct members *m)
{
    uint32_t top = __atomic_load_n(&m->top, __ATOMIC_ACQUIRE);
    return top < MEMBERS_MAX ? (int)top : MEMBERS_MAX;
}

/* ---- coming and going ------------------------------------------------------------------------------------- */

static void fill(struct members *m, struct member *who, int parent, nsec_t now)
{
    uint32_t serial;
    do
        serial = __atomic_add_fetch(&m->next_serial, 1, __ATOMIC_RELAXED);
    while (serial == 0);
    memset((char *)who + sizeof who->state, 0, sizeof *who - sizeof who->state);
    who->born_at = now;
    if (parent >= 0 && parent < MEMBERS_MAX) {
        struct link link = {m->member[parent].serial, (uint32_t)parent};
        __atomic_store((struct link *)&who->parent, &link, __ATOMIC_RELEASE);
        __atomic_fetch_or(&m->member[parent].flags, MEMBER_FORKS, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&who->serial, serial, __ATOMIC_RELEASE);
}

int members_claim(struct members *m, int parent, enum member_state state, nsec_t now)
{
    /* Not the one that was given back last: its process may still be about to end, and is known by its number there
     * (a process for each connection: slots come and go by the hundred). */
    for (uint32_t n = 0, first = __atomic_load_n(&m->next_serial, __ATOMIC_RELAXED); n < MEMBERS_MAX; n++) {
        int i = (int)((first + n) % MEMBERS_MAX);
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

/* Also of those that are kept for their counts, or are just being made. */
static void hand_children_on(struct members *m, int at, uint32_t serial)
{
    struct link to = link_of(&m->member[at]);
    for (int i = 0; i < MEMBERS_MAX; i++) {
        struct link from = link_of(&m->member[i]);
        if (from.serial == serial)
            __atomic_compare_exchange((struct link *)&m->member[i].parent, &from, &to, false, __ATOMIC_ACQ_REL,
                                      __ATOMIC_RELAXED);
    }
}

bool members_leave(struct members *m, int at, uint32_t serial, bool keep)
{
    struct member *gone = &m->member[at];
    uint32_t state = state_of(gone);
    if (!is_life(state) || gone->serial != serial)
        return false;
    /* While it still counts as alive: else their leader would not see them for a moment, and might not wait for them. */
    hand_children_on(m, at, serial);
    while (is_life(state) && __atomic_load_n(&gone->serial, __ATOMIC_RELAXED) == serial)
        if (__atomic_compare_exchange_n(&gone->state, &state, keep ? MEMBER_LEFT : MEMBER_FREE, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/* ---- kinship ------------------------------------------------------------------------------------------------ */

int members_find(const struct members *m, int pid)
{
    for (int i = 0; i < members_top(m); i++)
        if (m->member[i].pid == pid && lives(&m->member[i]))
            return i;
    return MEMBER_NONE;
}

int members_parent(const struct members *m, int at)
{
    const struct member *who = &m->member[at];
    struct link now = link_of(who), seen;
    for (int i = 0; i < MEMBERS_MAX && now.serial != 0 && now.at < MEMBERS_MAX; i++) {
        const struct member *parent = &m->member[now.at];
        if (__atomic_load_n(&parent->serial, __ATOMIC_RELAXED) == now.serial && lives(parent))
            return (int)now.at;
        /* One that leaves hands its children on before it is gone. */
        seen = now;
        now = link_of(who);
        if (now.serial == seen.serial && now.at == seen.at)
            break;
    }
    return MEMBER_NONE;
}

int members_master(const struct members *m, int at)
{
    int parent = members_parent(m, at);
    uint32_t flags = m->member[at].flags;
    if (parent == MEMBER_NONE || (flags & (MEMBER_EXECED | MEMBER_RECEIVED)) != MEMBER_EXECED)
        return parent;
    if ((flags & (MEMBER_ACCEPTS | MEMBER_FORKS)) != MEMBER_ACCEPTS || (m->member[parent].flags & MEMBER_ACCEPTS))
        return MEMBER_NONE;
    return parent;
}

bool members_in_scope(const struct members *m, int at, int root)
{
    for (int i = 0; at != MEMBER_NONE && i < MEMBERS_MAX; i++) {
        if (at == root)
            return true;
        at = members_master(m, at);
    }
    return false;
}

static bool drains(const struct member *who)
{
    uint32_t phase = __atomic_load_n(&who->phase, __ATOMIC_ACQUIRE);
    return phase > DRAIN_SERVING && phase < DRAIN_RELEASED && lives(who);
}

int members_leader(const struct members *m, int at)
{
    int leader = MEMBER_NONE;
    for (int i = 0; at != MEMBER_NONE && i < MEMBERS_MAX; i++) {
        if (drains(&m->member[at]))
            leader = at;
        at = members_master(m, at);
    }
    return leader;
}

bool members_reachable(const struct members *m, int at, int root)
{
    for (int i = 0; at != root && i < MEMBERS_MAX; i++) {
        at = members_parent(m, at);
        if (at == MEMBER_NONE)
            return false;
        const struct member *who = &m->member[at];
        if (at != root && who->pid != 0 && who->own_pid != 0 && who->pid != who->own_pid)
            return false;
    }
    return at == root;
}

/* ---- doors and cuts ------------------------------------------------------------------------------------------ */

#define BEING_DECIDED UINT32_MAX /* in the place of a leader's serial */

/* -1: nothing was decided. */
static int door_of(const struct members *m, uint64_t inode, uint32_t leader)
{
    for (int i = 0; i < MEMBERS_DOORS; i++)
        if (__atomic_load_n(&m->door[i].leader, __ATOMIC_ACQUIRE) == leader && m->door[i].inode == inode)
            return i;
    return -1;
}

enum member_verdict members_verdict(const struct members *m, uint64_t inode, uint32_t leader)
{
    int known = door_of(m, inode, leader);
    if (known < 0)
        return VERDICT_NONE;
    return __atomic_load_n(&m->door[known].whole, __ATOMIC_ACQUIRE) ? VERDICT_WHOLE : VERDICT_FOREIGN;
}

/* Can this door be given to another leader? */
static bool is_disused(const struct members *m, uint32_t leader)
{
    for (int i = 0; leader != 0 && i < members_top(m); i++)
        if (m->member[i].serial == leader && lives(&m->member[i]))
            return false;
    return leader != BEING_DECIDED;
}

void members_decide(struct members *m, uint64_t inode, uint32_t leader, bool whole)
{
    if (door_of(m, inode, leader) >= 0)
        return;
    for (int i = 0; i < MEMBERS_DOORS; i++) {
        struct member_door *door = &m->door[i];
        uint32_t old = __atomic_load_n(&door->leader, __ATOMIC_ACQUIRE);
        if (!is_disused(m, old) ||
            !__atomic_compare_exchange_n(&door->leader, &old, BEING_DECIDED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        door->inode = inode;
        door->whole = whole;
        __atomic_store_n(&door->leader, leader, __ATOMIC_RELEASE);
        return;
    }
}

void members_acquit(struct members *m, uint64_t inode, uint32_t leader)
{
    int known = door_of(m, inode, leader);
    if (known >= 0)
        __atomic_store_n(&m->door[known].whole, 1, __ATOMIC_RELEASE);
}

struct member_cut *members_cut(struct members *m, uint32_t serial)
{
    uint32_t at = __atomic_fetch_add(&m->cuts, 1, __ATOMIC_ACQ_REL);
    if (at >= MEMBERS_CUTS)
        return NULL;
    m->cut[at].serial = serial;
    return &m->cut[at];
}
