/* history.c: see history.h. */
#include "core/history.h"

/* A change is one word, state below and time above, so that nobody sees half of it. */
enum { STATE_BITS = 8 };

/* Ended, lingering and closed come once each, in this order: they always find room. */
enum { RESERVED = 3, USUAL = HISTORY_CHANGES - RESERVED };

static const char *const names[HISTORY_STATES] = {
    [HISTORY_NONE] = "none",
    [HISTORY_IDLE] = "idle",
    [HISTORY_IN_FLIGHT] = "in_flight",
    [HISTORY_OPAQUE] = "opaque",
    [HISTORY_EOF] = "eof",
    [HISTORY_MANY] = "many",
    [HISTORY_ENDED] = "ended",
    [HISTORY_LINGERING] = "lingering",
    [HISTORY_CLOSED] = "closed",
};

const char *history_state_name(unsigned state)
{
    return state < HISTORY_STATES ? names[state] : "unknown";
}

/* ---- taking and giving back ------------------------------------------------------------------------- */

uint32_t history_top(const struct history *h)
{
    uint32_t top = __atomic_load_n(&h->top, __ATOMIC_ACQUIRE);
    return top < HISTORY_TRACKS ? top : HISTORY_TRACKS;
}

static void clear(struct history_track *t)
{
    memset((char *)t + sizeof t->serial, 0, sizeof *t - sizeof t->serial);
}

uint32_t history_take(struct history *h, uint32_t serial)
{
    if (__atomic_add_fetch(&h->taken, 1, __ATOMIC_ACQ_REL) > HISTORY_TRACKS) {
        __atomic_sub_fetch(&h->taken, 1, __ATOMIC_ACQ_REL);
        return 0;
    }
    for (uint32_t i = 0; i < HISTORY_TRACKS; i++) {
        uint32_t at = __atomic_fetch_add(&h->hint, 1, __ATOMIC_RELAXED) % HISTORY_TRACKS, none = 0, top = LOAD(h->top);
        struct history_track *t = &h->track[at];
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

struct history_track *history_at(struct history *h, uint32_t number, uint32_t serial)
{
    struct history_track *t = number - 1 < HISTORY_TRACKS ? &h->track[number - 1] : NULL;
    return t && __atomic_load_n(&t->serial, __ATOMIC_ACQUIRE) == serial ? t : NULL;
}

void history_drop(struct history *h, uint32_t serial)
{
    for (uint32_t i = 0; i < history_top(h); i++) {
        uint32_t owner = serial;
        if (__atomic_compare_exchange_n(&h->track[i].serial, &owner, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            __atomic_sub_fetch(&h->taken, 1, __ATOMIC_ACQ_REL);
    }
}

/* ---- changes ------------------------------------------------------------------------------------------ */

static bool is_last_word(enum history_state state)
{
    return state >= HISTORY_ENDED;
}

/* Of the changes so far, those that there was room for. */
static uint32_t kept(const struct history_track *t)
{
    uint32_t count = __atomic_load_n(&t->count, __ATOMIC_ACQUIRE);
    return count < HISTORY_CHANGES ? count : HISTORY_CHANGES;
}

static unsigned state_now(const struct history_track *t)
{
    uint32_t count = kept(t);
    return count ? (unsigned)(__atomic_load_n(&t->change[count - 1], __ATOMIC_ACQUIRE) & 0xff) : HISTORY_NONE;
}

void history_note(struct history_track *t, enum history_state state, uint64_t at_us)
{
    unsigned now = state_now(t);
    if (now == state || now == HISTORY_CLOSED)
        return;
    if (!is_last_word(state) && kept(t) >= USUAL) {
        __atomic_add_fetch(&t->left_out, 1, __ATOMIC_RELAXED);
        return;
    }
    if (!is_last_word(state) && kept(t) == USUAL - 1)
        state = HISTORY_MANY;
    uint32_t at = __atomic_fetch_add(&t->count, 1, __ATOMIC_ACQ_REL);
    if (at < HISTORY_CHANGES)
        __atomic_store_n(&t->change[at], at_us << STATE_BITS | state, __ATOMIC_RELEASE);
}

void history_died(struct history *h, uint32_t serial, uint64_t at_us)
{
    for (uint32_t i = 0; i < history_top(h); i++) {
        struct history_track *t = history_at(h, i + 1, serial);
        if (!t || state_now(t) == HISTORY_CLOSED)
            continue;
        t->cut |= state_now(t) == HISTORY_IN_FLIGHT;
        history_note(t, HISTORY_CLOSED, at_us);
    }
}

/* Two threads may have noted theirs in the wrong order; a word that is not there yet is 0. */
static unsigned sorted_words(const struct history_track *t, uint64_t *words)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < kept(t); i++) {
        uint64_t word = __atomic_load_n(&t->change[i], __ATOMIC_ACQUIRE);
        unsigned state = word & 0xff, at = n;
        if (state == HISTORY_NONE || state >= HISTORY_STATES)
            continue;
        for (; at > 0 && words[at - 1] >> STATE_BITS > word >> STATE_BITS; at--)
            words[at] = words[at - 1];
        words[at] = word;
        n++;
    }
    return n;
}

unsigned history_read(const struct history_track *t, uint8_t *states, uint64_t *at_us)
{
    uint64_t words[HISTORY_CHANGES];
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
