/* verify.c: do the kernel's byte counts of a connection agree with those of the hooks? At the signal, once for each. */
#include "drain/scan.h"

#include "sys/net.h"
#include "track/listeners.h"

/* The kernel's byte counts against those of the hooks: unequal while no call is in progress means that bytes pass
 * where no hook sees them (stdio, io_uring, another process), or that the descriptor is stale. */
enum verdict { EQUAL, UNEQUAL, UNSTEADY };

static bool in_call(const struct conn *c)
{
    return (__atomic_load_n(&c->calls_in, __ATOMIC_SEQ_CST) | __atomic_load_n(&c->calls_out, __ATOMIC_SEQ_CST)) != 0;
}

/* What the program has read, and written: our FIN is a byte of theirs too (tcp_fin, tcp_send_fin), as is the peer's. */
static bool is_equal(const struct conn *c, const struct sock_counts *k, uint64_t unread, uint64_t unsent)
{
    return k->received - unread == LOAD(c->read_bytes) + sock_fin_came(k) &&
           k->acked + unsent == LOAD(c->written_bytes) + LOAD(c->fin);
}

/* Where the kernel does not say, the hooks are believed. */
static enum verdict unanswered(long err)
{
    return sock_is_other(err) ? UNEQUAL : UNSTEADY;
}

/* One comparison. The kernel's four numbers come from three calls, the hooks' from two words: the comparison counts
 * only if no byte moved from before the first call to after the last. */
static enum verdict compare(const struct conn *c)
{
    struct sock_counts before, after;
    if (in_call(c))
        return UNSTEADY;
    uint64_t read_bytes = __atomic_load_n(&c->read_bytes, __ATOMIC_SEQ_CST);
    uint64_t written_bytes = __atomic_load_n(&c->written_bytes, __ATOMIC_SEQ_CST);
    long err = sock_counts(c->fd, &before);
    if (err != 0)
        return unanswered(err);
    long unread = sock_unread(c->fd), unsent = sock_unsent(c->fd);
    if (unread < 0 || unsent < 0 || (err = sock_counts(c->fd, &after)) != 0)
        return unanswered(unread < 0 ? unread : unsent < 0 ? unsent : err);
    if (in_call(c) || before.received != after.received || before.acked != after.acked ||
        read_bytes != __atomic_load_n(&c->read_bytes, __ATOMIC_SEQ_CST) ||
        written_bytes != __atomic_load_n(&c->written_bytes, __ATOMIC_SEQ_CST))
        return UNSTEADY;
    return is_equal(c, &after, (uint64_t)unread, (uint64_t)unsent) ? EQUAL : UNEQUAL;
}

/* Accepted connections have the port of a listener. One that has not is made by connect(), on a number that was
 * closed where we could not see it. */
static bool has_other_port(const struct conn *c)
{
    struct sock_address local;
    if (c->listener >= LISTENERS_MAX || !sock_local(c->fd, &local))
        return false;
    for (unsigned i = 0; i < listeners.used; i++)
        if (listeners.entry[i].port == local.port)
            return false;
    return true;
}

void verify_counts(struct conn *c)
{
    enum { TRIES = 16 };
    if (c->unix_ || conn_report_has(c, CONN_VERIFIED) || conn_is_opaque(c))
        return;
    enum verdict v = UNSTEADY;
    for (int i = 0; i < TRIES && v == UNSTEADY; i++)
        v = compare(c);
    c->stale = (v == UNEQUAL || LOAD(c->read_bytes) + LOAD(c->written_bytes) == 0) && has_other_port(c);
    if (v == UNEQUAL || c->stale)
        conn_set_opaque(c, OPAQUE_COUNTS);
    conn_report_set(c, CONN_VERIFIED); /* never steady: the hooks see it being used */
}
