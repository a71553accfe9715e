/* record.c: see record.h. */
#include "record.h"

#include "group.h"
#include "sys/syscall.h"

#include <sys/mman.h>

HIDDEN struct record recording;

enum { TAKEN = -1 }; /* conn.track while its track is being taken */

static uint64_t from_signal(nsec_t at)
{
    return at > deferred.signal_at ? (at - deferred.signal_at) / NSEC_PER_USEC : 0;
}

/* ---- one connection ------------------------------------------------------------------------------------- */

/* The bytes may be on their way just now: it is the last word that counts. */
static void fill(struct history_track *t, const struct conn *c)
{
    const char *method = conn_method(c);
    size_t n = 0;
    for (; n < HISTORY_METHOD - 1 && method[n]; n++)
        t->method[n] = method[n];
    if (n > 0)
        t->method[n] = '\0';
    STORE(t->in_bytes, LOAD(c->read_bytes));
    STORE(t->out_bytes, LOAD(c->written_bytes));
}

static struct history_track *track_of(const struct conn *c)
{
    return history_at(recording.table, __atomic_load_n(&c->track, __ATOMIC_ACQUIRE), recording.serial);
}

/* It changes before the survey has come to it: then this tells what it was at the signal. */
static void put_before(struct conn *c, enum history_state now)
{
    static const uint8_t before[HISTORY_STATES] = {
        [HISTORY_IDLE] = HISTORY_IN_FLIGHT, [HISTORY_ENDED] = HISTORY_IN_FLIGHT, /* its response was completed */
        [HISTORY_IN_FLIGHT] = HISTORY_IDLE, [HISTORY_EOF] = HISTORY_IDLE,        [HISTORY_LINGERING] = HISTORY_IDLE,
        [HISTORY_CLOSED] = HISTORY_IDLE,    [HISTORY_OPAQUE] = HISTORY_OPAQUE, /* the survey's first look */
    };
    if (!c->inherited && !c->stale)
        record_put_new(c, before[now], deferred.signal_at);
}

void record_put(struct conn *c, enum history_state state)
{
    if (LOAD(c->track) == 0)
        put_before(c, state);
    struct history_track *t = track_of(c);
    if (!t)
        return;
    fill(t, c);
    history_note(t, state, from_signal(clock_now()));
}

static void count_left_out(void)
{
    struct member *self = group_self();
    uint32_t now = __atomic_add_fetch(&recording.left_out, 1, __ATOMIC_RELAXED);
    if (self)
        __atomic_store_n(&self->missed, now, __ATOMIC_RELEASE);
}

/* The thread that has accepted it and the survey may both be the first to see it. */
void record_put_new(struct conn *c, enum history_state state, nsec_t at)
{
    uint32_t none = 0;
    struct sock_address peer;
    if (!__atomic_compare_exchange_n(&c->track, &none, (uint32_t)TAKEN, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    uint32_t number = history_take(recording.table, recording.serial);
    struct history_track *t = history_at(recording.table, number, recording.serial);
    if (!t) {
        count_left_out();
        return;
    }
    memset(&peer, 0, sizeof peer);
    sock_peer(c->fd, &peer);
    _Static_assert((int)HISTORY_PEER >= (int)SOCK_TEXT, "it fits");
    sock_text(&peer, t->peer);
    fill(t, c);
    history_note(t, state, from_signal(at));
    __atomic_store_n(&c->track, number, __ATOMIC_RELEASE);
}

static enum history_state state_of(const struct conn *c, bool in_flight)
{
    uint8_t stage = __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
    if (stage == CONN_LINGERING)
        return HISTORY_LINGERING;
    if (stage == CONN_ENDED || LOAD(c->fin))
        return HISTORY_ENDED;
    if (__atomic_load_n(&c->opaque, __ATOMIC_ACQUIRE))
        return HISTORY_OPAQUE;
    if (in_flight)
        return HISTORY_IN_FLIGHT;
    return stage == CONN_EOF ? HISTORY_EOF : HISTORY_IDLE;
}

/* Later looks add nothing: the hooks have noted what changed, at its time. */
void record_look(struct conn *c, bool in_flight, nsec_t at)
{
    if (LOAD(c->track) == 0 && conn_is_alive(c) && !c->inherited && !c->stale)
        record_put_new(c, state_of(c, in_flight), at);
}

void record_cut(const struct conn *c)
{
    struct history_track *t = record_on() ? track_of(c) : NULL;
    if (t)
        t->cut = 1;
}

/* ---- the drain ------------------------------------------------------------------------------------------ */

static bool is_anybodys(uint32_t serial)
{
    for (int i = 0; i < members_top(group.table); i++)
        if (group.table->member[i].serial == serial && group.table->member[i].state != MEMBER_FREE)
            return true;
    return false;
}

/* Of drains whose leader has died before its report. */
static void drop_strangers(struct history *h)
{
    for (uint32_t i = 0; i < history_top(h); i++) {
        uint32_t serial = h->track[i].serial;
        if (serial != 0 && !is_anybodys(serial))
            history_drop(h, serial);
    }
}

static struct history *own_table(void)
{
    long at = sys6(SYS_mmap, 0, sizeof(struct history), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (struct history *)at;
}

void record_open(void)
{
    const struct member *self = group_self();
    struct history *h = self ? group.history : NULL;
    if (!config.report_connections || !config.report || recording.table)
        return;
    if (h && __atomic_load_n(&h->taken, __ATOMIC_RELAXED) > HISTORY_TRACKS / 2)
        drop_strangers(h);
    if (!h) /* alone, or the group was founded without the variable: then a leader can tell of itself only */
        h = own_table();
    recording.serial = self ? self->serial : UINT32_MAX;
    recording.left_out = 0;
    __atomic_store_n(&recording.table, h, __ATOMIC_RELEASE);
}

void record_forget(void)
{
    recording.table = NULL;
}

void record_died(uint32_t serial)
{
    if (record_on())
        history_died(recording.table, serial, from_signal(clock_now()));
}

void record_end(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); record_on() && i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        struct history_track *t = conn_is_alive(c) ? track_of(c) : NULL;
        if (t)
            fill(t, c);
    }
}

void record_each(uint32_t serial, int pid, void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    uint8_t states[HISTORY_CHANGES];
    uint64_t at_us[HISTORY_CHANGES];
    for (uint32_t i = 0; record_on() && i < history_top(recording.table); i++) {
        const struct history_track *found = history_at(recording.table, i + 1, serial);
        if (!found)
            continue;
        struct history_track t = *found; /* it may go on changing */
        t.peer[sizeof t.peer - 1] = t.method[sizeof t.method - 1] = '\0';
        struct report_connection c = {
            pid,    t.peer, t.method,  t.in_bytes, t.out_bytes, t.cut != 0, history_read(&t, states, at_us),
            states, at_us,  t.left_out};
        f(&c, arg);
    }
}

void record_drop(uint32_t serial)
{
    if (record_on())
        history_drop(recording.table, serial);
}
