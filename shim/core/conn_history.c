/* conn_history.c: see conn_history.h. */
#include "core/conn_history.h"

/* A change is one word, state below and time above, so that no reader sees half of a change. */
enum { STATE_BITS = 8 };

/* Half-closed, lingering and closed come once each, in this sequence: there is always room for them. */
enum { RESERVED = 3, USUAL = CONN_HISTORY_CHANGES - RESERVED };

static const char *const names[CONN_HISTORY_STATES] = {
    [CONN_HISTORY_NONE] = "none",
    [CONN_HISTORY_IDLE] = "idle",
    [CONN_HISTORY_IN_FLIGHT] = "in_flight",
    [CONN_HISTORY_OPAQUE] = "opaque",
    [CONN_HISTORY_CLOSING] = "closing",
    [CONN_HISTORY_MANY] = "many",
    [CONN_HISTORY_HALF_CLOSED] = "half_closed",
    [CONN_HISTORY_LINGERING] = "lingering",
    [CONN_HISTORY_CLOSED] = "closed",
};

const char *conn_history_state_name(unsigned state)
{
    return state < CONN_HISTORY_STATES ? names[state] : "unknown";
}

/* ---- taking and giving back ------------------------------------------------------------------------- */

uint32_t conn_history_top(const struct conn_history *h)
{
    uint32_t top = __atomic_load_n(&h->top, __ATOMIC_ACQUIRE);
    return top < CONN_HISTORY_ENTRIES ? top : CONN_HISTORY_ENTRIES;
}

static void clear(struct conn_history_entry *t)
{
    memset((char *)t + sizeof t->serial, 0, sizeof *t - sizeof t->serial);
}

uint32_t conn_history_take(struct conn_history *h, uint32_t serial)
{
    if (__atomic_add_fetch(&h->taken, 1, __ATOMIC_ACQ_REL) > CONN_HISTORY_ENTRIES) {
        __atomic_sub_fetch(&h->taken, 1, __ATOMIC_ACQ_REL);
        return 0;
    }
    for (uint32_t i = 0; i < CONN_HISTORY_ENTRIES; i++) {
        uint32_t at = __atomic_fetch_add(&h->hint, 1, __ATOMIC_RELAXED) % CONN_HISTORY_ENTRIES, none = 0,
                 top = LOAD(h->top);
        struct conn_history_entry *t = &h->entry[at];
        if (!__atomic_compare_exchange_n(&t->serial, &none, serial, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        clear(t);
        while (top <= at &&
               !__atomic_compare_exchange_n(&h->top, &top, at + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            ;
        return at + 1;
    }
    __atomic_sub_fetch(&h->taken, 1, __ATOMIC_ACQ_REL);
    return 0;
}

struct conn_history_entry *conn_history_at(struct conn_history *h, uint32_t number, uint32_t serial)
{
    struct conn_history_entry *t = number - 1 < CONN_HISTORY_ENTRIES ? &h->entry[number - 1] : NULL;
    return t && __atomic_load_n(&t->serial, __ATOMIC_ACQUIRE) == serial ? t : NULL;
}

void conn_history_drop(struct conn_history *h, uint32_t serial)
{
    for (uint32_t i = 0; i < conn_history_top(h); i++) {
        uint32_t owner = serial;
        if (__atomic_compare_exchange_n(&h->entry[i].serial, &owner, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            __atomic_sub_fetch(&h->taken, 1, __ATOMIC_ACQ_REL);
    }
}

/* ---- changes ------------------------------------------------------------------------------------------ */

static bool is_last_word(enum conn_history_state state)
{
    return state >= CONN_HISTORY_HALF_CLOSED;
}

/* Of the changes so far, those that there was room for. */
static uint32_t kept(const struct conn_history_entry *t)
{
    uint32_t count = __atomic_load_n(&t->count, __ATOMIC_ACQUIRE);
    return count < CONN_HISTORY_CHANGES ? count : CONN_HISTORY_CHANGES;
}

static unsigned state_now(const struct conn_history_entry *t)
{
    uint32_t count = kept(t);
    return count ? (unsigned)(__atomic_load_n(&t->change[count - 1], __ATOMIC_ACQUIRE) & 0xff) : CONN_HISTORY_NONE;
}

void conn_history_note(struct conn_history_entry *t, enum conn_history_state state, uint64_t at_us)
{
    unsigned now = state_now(t);
    if (now == state || now == CONN_HISTORY_CLOSED)
        return;
    if (!is_last_word(state) && kept(t) >= USUAL) {
        __atomic_add_fetch(&t->left_out, 1, __ATOMIC_RELAXED);
        return;
    }
    if (!is_last_word(state) && kept(t) == USUAL - 1)
        state = CONN_HISTORY_MANY;
    uint32_t at = __atomic_fetch_add(&t->count, 1, __ATOMIC_ACQ_REL);
    if (at < CONN_HISTORY_CHANGES)
        __atomic_store_n(&t->change[at], at_us << STATE_BITS | state, __ATOMIC_RELEASE);
}

void conn_history_died(struct conn_history *h, uint32_t serial, uint64_t at_us)
{
    for (uint32_t i = 0; i < conn_history_top(h); i++) {
        struct conn_history_entry *t = conn_history_at(h, i + 1, serial);
        if (!t || state_now(t) == CONN_HISTORY_CLOSED)
            continue;
        t->aborted |= state_now(t) == CONN_HISTORY_IN_FLIGHT;
        conn_history_note(t, CONN_HISTORY_CLOSED, at_us);
    }
}

/* Two threads may have noted their changes in the wrong sequence; a word that is not there yet is 0. */
static unsigned sorted_words(const struct conn_history_entry *t, uint64_t *words)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < kept(t); i++) {
        uint64_t word = __atomic_load_n(&t->change[i], __ATOMIC_ACQUIRE);
        unsigned state = word & 0xff, at = n;
        if (state == CONN_HISTORY_NONE || state >= CONN_HISTORY_STATES)
            continue;
        for (; at > 0 && words[at - 1] >> STATE_BITS > word >> STATE_BITS; at--)
            words[at] = words[at - 1];
        words[at] = word;
        n++;
    }
    return n;
}

unsigned conn_history_read(const struct conn_history_entry *t, uint8_t *states, uint64_t *at_us)
{
    uint64_t words[CONN_HISTORY_CHANGES];
    unsigned n = 0, count = sorted_words(t, words);
    for (unsigned i = 0; i < count; i++) {
        uint8_t state = words[i] & 0xff;
        uint64_t at = words[i] >> STATE_BITS;
        if (i + 1 < count && words[i + 1] >> STATE_BITS == at) /* it took no time */
            continue;
        if (n > 0 && states[n - 1] == state)
            continue;
        states[n] = state;
        at_us[n] = at;
        n++;
    }
    return n;
}
