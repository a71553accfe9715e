/* conn_drain.c: see conn_drain.h. */
#include "core/conn_drain.h"

static nsec_t later(nsec_t a, nsec_t b)
{
    return a > b ? a : b;
}

static bool is_unknown(const struct conn_facts *f, enum conn_question q)
{
    return (f->known >> q & 1) == 0;
}

static struct conn_decision ask(enum conn_question q)
{
    return (struct conn_decision){.ask = (uint8_t)q};
}

static struct conn_decision decide(enum outstanding what, nsec_t until)
{
    return (struct conn_decision){.outstanding = (uint8_t)what, .until = until};
}

/* ---- our own tables --------------------------------------------------------------------------------------------- */

/* While bytes are being followed a request may be inside the parser and not counted yet: asked before
 * conn_in_flight. */
static bool is_being_followed(const struct conn *c)
{
    return ((__atomic_load_n(&c->calls_in, __ATOMIC_ACQUIRE) | __atomic_load_n(&c->calls_out, __ATOMIC_ACQUIRE)) &
            CONN_LOCKED) != 0;
}

bool conn_drain_busy(const struct conn *c)
{
    return is_being_followed(c) || conn_in_flight(c);
}

void conn_drain_look(struct conn_facts *f, const struct conn *c)
{
    memset(f, 0, sizeof *f);
    f->stage = __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
    f->inherited = conn_is_inherited(c);
    f->used = LOAD(c->read_bytes) + LOAD(c->written_bytes) > 0;
    f->stale = c->stale;
    f->abandoned = conn_is_abandoned(c);
    f->opaque = conn_is_opaque(c);
    f->fin = LOAD(c->fin);
    f->state = f->opaque ? (uint8_t)conn_opaque_state(c) : OPAQUE_ANSWERED;
    f->keeps_reading = !conn_may_shut_read(c);
    f->busy = f->stage < CONN_HALF_CLOSED && conn_drain_busy(c);
    /* After `busy`: a writer puts the new time down before its response is complete, so that no idle connection is seen
     * with the time of the response before. */
    f->since = LOAD(c->since);
    f->must_linger = LOAD(c->must_linger);
    f->acked = __atomic_load_n(&c->acked, __ATOMIC_ACQUIRE);
    f->acked_at = LOAD(c->acked_at);
    f->shared = conn_is_shared(c);
}

/* ---- ended ------------------------------------------------------------------------------------------------------- */

/* Half-closed or lingering. Two waits. First for the output to be acknowledged, bounded by the deadline only: a slow
 * reader is no reason to abort its response. Then for the peer to close, no longer than LASTCALL_LINGER: the
 * acknowledgement of our FIN says that nothing from the peer is under way (else our close would answer it with a
 * RST, RFC 9112 9.6), but the kernel of a peer that has vanished never sends it. */
static struct conn_decision drain_ended(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    if (f->must_linger && is_unknown(f, ASK_PEER_DONE))
        return ask(ASK_PEER_DONE);
    if (!f->acked && is_unknown(f, ASK_ACKED))
        return ask(ASK_ACKED);
    if (!f->acked && is_unknown(f, ASK_ONLY_FIN))
        return (struct conn_decision){.ask = ASK_ONLY_FIN, .action = CONN_WATCH};
    if (!f->acked && !f->only_fin)
        return decide(OUTSTANDING_ENDING, 0);
    nsec_t until = f->acked_at + p->linger;
    if ((f->must_linger || !f->acked) && now < until)
        return decide(OUTSTANDING_ENDING, until);
    return decide(OUTSTANDING_NOTHING, 0);
}

static struct conn_decision drain_lingering(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    if (is_unknown(f, ASK_PEER_ENDED))
        return ask(ASK_PEER_ENDED);
    struct conn_decision d = drain_ended(f, p, now);
    if (d.ask == ASK_NOTHING && d.outstanding == OUTSTANDING_NOTHING &&
        (f->peer_ended || now >= f->acked_at + p->linger))
        d.action = CONN_CLOSE_LINGERING;
    return d;
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

/* After a fork a connection belongs to the process that first uses it. One that the parent had only accepted is
 * probably this process's, which may not have come to it yet: it is kept for the idle window. */
static struct conn_decision drain_inherited(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    nsec_t until = p->signal_at + p->idle;
    if (f->opaque || f->used || now >= until)
        return decide(OUTSTANDING_NOTHING, 0);
    return decide(OUTSTANDING_IDLE, until);
}

/* The idle window is over: has a request come in the last moment? A request moves from the kernel's buffer through the
 * program's read() to the parser. The three places are asked in this order, or a request could pass between two
 * questions. (A read that waits where others have read before it looks like one that has bytes, for ever: it counts
 * until `latest`.) ASK_NOTHING: all is known, and *spoken says it. */
static enum conn_question ask_spoken(const struct conn_facts *f, bool before_latest, bool *spoken)
{
    if (is_unknown(f, ASK_UNREAD))
        return ASK_UNREAD;
    *spoken = f->unread;
    if (!*spoken && before_latest) {
        if (is_unknown(f, ASK_UNFOLLOWED))
            return ASK_UNFOLLOWED;
        *spoken = f->unfollowed;
    }
    if (!*spoken) {
        if (is_unknown(f, ASK_BUSY))
            return ASK_BUSY;
        *spoken = f->busy;
    }
    return ASK_NOTHING;
}

/* Idle, or opaque and quiet, until `until`. Then the program reads end of file, and has as long again to react to
 * it. */
static struct conn_decision drain_idle(const struct conn_facts *f, const struct conn_policy *p, nsec_t until,
                                       nsec_t now)
{
    nsec_t latest = until + p->idle;
    if (!p->may_close_idle)
        return decide(OUTSTANDING_IDLE, 0); /* lame duck: its end is a time of its own */
    if (now < until)
        return decide(OUTSTANDING_IDLE, until);
    if (!f->opaque) { /* also of the time after the read shutdown */
        bool spoken = false;
        enum conn_question q = ask_spoken(f, now < latest, &spoken);
        if (q != ASK_NOTHING)
            return ask(q);
        if (spoken)
            return decide(OUTSTANDING_IN_FLIGHT, now < latest ? latest : 0);
    }
    if (f->stage == CONN_READ_SHUT || f->keeps_reading)
        return decide(OUTSTANDING_NOTHING, 0); /* the program's own shutdown, or its exit, closes it */
    if (f->shared && is_unknown(f, ASK_SHARED))
        return ask(ASK_SHARED);
    if (f->shared)
        return decide(OUTSTANDING_NOTHING, 0);
    struct conn_decision d = decide(OUTSTANDING_IDLE, now + p->idle);
    d.action = CONN_SHUT_READ;
    return d;
}

/* Does the client of what cannot be read wait for an answer? Bytes that the program has not read are the client's. */
static bool client_waits(const struct conn_facts *f)
{
    return !f->fin && (f->state == OPAQUE_IN_FLIGHT || f->client_last || f->unread);
}

/* Will its end before the deadline lose less than its end at the deadline? Now no answer is half sent. */
static bool may_hasten(const struct conn_facts *f, const struct conn_policy *p)
{
    return p->hasten && !f->unsent && f->state != OPAQUE_BUSY && f->stage < CONN_HALF_CLOSED && !f->shared;
}

/* What cannot be read: who spoke last decides, and silence only after the server's word. A client that may want no
 * answer (a small record of HTTP/2 over TLS) is waited for twice as long. */
static struct conn_decision drain_opaque(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    if (is_unknown(f, ASK_MOVED))
        return ask(ASK_MOVED);
    if (f->gone)
        return decide(OUTSTANDING_NOTHING, 0);
    if (is_unknown(f, ASK_UNREAD))
        return ask(ASK_UNREAD);
    if (client_waits(f))
        return decide(OUTSTANDING_IN_FLIGHT, 0);
    if (f->stage == CONN_READ_SHUT)
        return drain_idle(f, p, f->since + p->idle, now);
    if (is_unknown(f, ASK_UNSENT))
        return ask(ASK_UNSENT);
    if (may_hasten(f, p))
        return (struct conn_decision){.outstanding = OUTSTANDING_ENDING, .action = CONN_HALF_CLOSE};
    nsec_t quiet_since = later(later(p->signal_at, f->since), f->moved_at);
    if (f->unsent)
        quiet_since = now; /* a reader that pauses: output is bounded by the deadline only */
    return drain_idle(f, p, quiet_since + (f->state == OPAQUE_BUSY ? 2 : 1) * p->idle, now);
}

static struct conn_decision drain_open(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    if (f->inherited)
        return drain_inherited(f, p, now);
    if (f->stale || (f->abandoned && !f->used))
        return decide(OUTSTANDING_NOTHING, 0);
    if (f->opaque)
        return drain_opaque(f, p, now);
    if (f->fin)
        return drain_ended(f, p, now); /* the program has said its last word, and lingers itself (nginx) */
    if (f->busy)
        return decide(OUTSTANDING_IN_FLIGHT, 0);
    if (p->first && is_unknown(f, ASK_UNREAD))
        return ask(ASK_UNREAD);
    if (p->first && f->unread)
        return decide(OUTSTANDING_IN_FLIGHT, 0);
    return drain_idle(f, p, later(p->signal_at, f->since) + p->idle, now);
}

struct conn_decision conn_drain(const struct conn_facts *f, const struct conn_policy *p, nsec_t now)
{
    switch (f->stage) {
    case CONN_HALF_CLOSED: return drain_ended(f, p, now);
    case CONN_LINGERING: return drain_lingering(f, p, now);
    default: return drain_open(f, p, now);
    }
}

/* ---- what it adds up to ------------------------------------------------------------------------------------------ */

void conn_drain_in_exit(struct conn_decision *d, bool served, bool acked, const struct conn_policy *p, nsec_t now)
{
    /* PID 1 takes the network with it: what is not acknowledged then would be lost. */
    d->holds_exit = d->outstanding == OUTSTANDING_ENDING && !acked;
    if (d->outstanding != OUTSTANDING_IN_FLIGHT)
        return;
    if (!served)
        d->outstanding = OUTSTANDING_NOTHING;
    if (d->until == 0 || now + p->idle < d->until) /* a thread's death is not reported to any hook */
        d->until = now + p->idle;
}

void conn_drain_count(struct census *census, const struct conn_decision *d)
{
    census->in_flight += (d->outstanding == OUTSTANDING_IN_FLIGHT) + d->holds_exit;
    census->unsent += d->holds_exit;
    census->idle += d->outstanding == OUTSTANDING_IDLE;
    census->ending += d->outstanding == OUTSTANDING_ENDING;
    if (d->until != 0)
        drain_expires(census, d->until);
}
