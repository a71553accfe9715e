/* conn_log.c: see conn_log.h. */
#include "track/conn_log.h"

#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "sys/map.h"
#include "sys/net.h"
#include "track/connections.h"

HIDDEN struct conn_log conn_log;

enum { TAKEN = -1 }; /* conn.track while its track is being taken */

static uint64_t from_signal(nsec_t at)
{
    return at > deferred.signal_at ? (at - deferred.signal_at) / NSEC_PER_USEC : 0;
}

/* ---- one connection ------------------------------------------------------------------------------------- */

/* The bytes may be on their way just now: the last state noted has the final counts. */
static void fill(struct conn_history_entry *t, const struct conn *c)
{
    const char *method = conn_method(c);
    size_t n = 0;
    for (; n < CONN_HISTORY_METHOD - 1 && method[n]; n++)
        t->method[n] = method[n];
    if (n > 0)
        t->method[n] = '\0';
    STORE(t->in_bytes, LOAD(c->read_bytes));
    STORE(t->out_bytes, LOAD(c->written_bytes));
}

static struct conn_history_entry *track_of(const struct conn *c)
{
    return conn_history_at(conn_log.table, __atomic_load_n(&c->report.log, __ATOMIC_ACQUIRE), conn_log.serial);
}

/* The connection changes before the first scan has seen it: its state at the signal follows from its new state. */
static void put_state_at_signal(struct conn *c, enum conn_history_state now)
{
    static const uint8_t at_signal[CONN_HISTORY_STATES] = {
        [CONN_HISTORY_IDLE] = CONN_HISTORY_IN_FLIGHT,
        [CONN_HISTORY_HALF_CLOSED] = CONN_HISTORY_IN_FLIGHT, /* its response was completed */
        [CONN_HISTORY_IN_FLIGHT] = CONN_HISTORY_IDLE,
        [CONN_HISTORY_CLOSING] = CONN_HISTORY_IDLE,
        [CONN_HISTORY_LINGERING] = CONN_HISTORY_IDLE,
        [CONN_HISTORY_CLOSED] = CONN_HISTORY_IDLE,
        [CONN_HISTORY_OPAQUE] = CONN_HISTORY_OPAQUE, /* the first scan */
    };
    if (!conn_is_inherited(c) && !c->stale)
        conn_log_put_new(c, at_signal[now], deferred.signal_at);
}

void conn_log_put(struct conn *c, enum conn_history_state state)
{
    if (LOAD(c->report.log) == 0)
        put_state_at_signal(c, state);
    struct conn_history_entry *t = track_of(c);
    if (!t)
        return;
    fill(t, c);
    conn_history_note(t, state, from_signal(clock_now()));
}

static void count_left_out(void)
{
    uint32_t now = __atomic_add_fetch(&conn_log.left_out, 1, __ATOMIC_RELAXED);
    if (conn_log.missed)
        __atomic_store_n(conn_log.missed, now, __ATOMIC_RELEASE);
}

/* The thread that has accepted the connection and the scan may both be the first to see it. */
void conn_log_put_new(struct conn *c, enum conn_history_state state, nsec_t at)
{
    uint32_t none = 0;
    struct sock_address peer;
    if (!__atomic_compare_exchange_n(&c->report.log, &none, (uint32_t)TAKEN, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    uint32_t number = conn_history_take(conn_log.table, conn_log.serial);
    struct conn_history_entry *t = conn_history_at(conn_log.table, number, conn_log.serial);
    if (!t) {
        count_left_out();
        return;
    }
    memset(&peer, 0, sizeof peer);
    sock_peer(c->fd, &peer);
    _Static_assert((int)CONN_HISTORY_PEER >= (int)SOCK_TEXT, "it fits");
    sock_text(&peer, t->peer);
    fill(t, c);
    conn_history_note(t, state, from_signal(at));
    __atomic_store_n(&c->report.log, number, __ATOMIC_RELEASE);
}

static enum conn_history_state state_of(const struct conn *c, bool in_flight)
{
    uint8_t stage = __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
    if (stage == CONN_LINGERING)
        return CONN_HISTORY_LINGERING;
    if (stage == CONN_HALF_CLOSED || LOAD(c->fin))
        return CONN_HISTORY_HALF_CLOSED;
    if (conn_is_opaque(c))
        return CONN_HISTORY_OPAQUE;
    if (in_flight)
        return CONN_HISTORY_IN_FLIGHT;
    return stage == CONN_READ_SHUT ? CONN_HISTORY_CLOSING : CONN_HISTORY_IDLE;
}

/* Later looks add nothing: the hooks have noted what changed, at its time. */
void conn_log_look(struct conn *c, bool in_flight, nsec_t at)
{
    if (LOAD(c->report.log) == 0 && conn_is_alive(c) && !conn_is_inherited(c) && !c->stale)
        conn_log_put_new(c, state_of(c, in_flight), at);
}

void conn_log_aborted(const struct conn *c)
{
    struct conn_history_entry *t = conn_log_on() ? track_of(c) : NULL;
    if (t)
        t->aborted = 1;
}

/* ---- the drain ------------------------------------------------------------------------------------------ */

/* The entries of drains that have lost their coordinator before its report. */
static void drop_left_behind(struct conn_history *h, bool (*is_member)(uint32_t serial))
{
    for (uint32_t i = 0; i < conn_history_top(h); i++) {
        uint32_t serial = h->entry[i].serial;
        if (serial != 0 && !is_member(serial))
            conn_history_drop(h, serial);
    }
}

void conn_log_open(struct conn_history *table, uint32_t serial, uint32_t *missed, bool (*is_member)(uint32_t serial))
{
    if (!config.report_connections || !config.report || conn_log.table)
        return;
    if (table && __atomic_load_n(&table->taken, __ATOMIC_RELAXED) > CONN_HISTORY_ENTRIES / 2)
        drop_left_behind(table, is_member);
    conn_log.serial = serial;
    conn_log.left_out = 0;
    conn_log.missed = missed;
    __atomic_store_n(&conn_log.table, table ? table : map_zeroed(sizeof *table), __ATOMIC_RELEASE);
}

void conn_log_after_fork(void)
{
    memset(&conn_log, 0, sizeof conn_log);
}

void conn_log_died(uint32_t serial)
{
    if (conn_log_on())
        conn_history_died(conn_log.table, serial, from_signal(clock_now()));
}

void conn_log_end(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); conn_log_on() && i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        struct conn_history_entry *t = conn_is_alive(c) ? track_of(c) : NULL;
        if (t)
            fill(t, c);
    }
}

void conn_log_each(uint32_t serial, int pid, void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    uint8_t states[CONN_HISTORY_CHANGES];
    uint64_t at_us[CONN_HISTORY_CHANGES];
    for (uint32_t i = 0; conn_log_on() && i < conn_history_top(conn_log.table); i++) {
        const struct conn_history_entry *found = conn_history_at(conn_log.table, i + 1, serial);
        if (!found)
            continue;
        struct conn_history_entry t = *found; /* it may go on changing */
        t.peer[sizeof t.peer - 1] = t.method[sizeof t.method - 1] = '\0';
        struct report_connection c = {
            pid,    t.peer, t.method,  t.in_bytes, t.out_bytes, t.aborted != 0, conn_history_read(&t, states, at_us),
            states, at_us,  t.left_out};
        f(&c, arg);
    }
}

void conn_log_drop(uint32_t serial)
{
    if (conn_log_on())
        conn_history_drop(conn_log.table, serial);
}
