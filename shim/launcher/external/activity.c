/* activity.c: see activity.h. */
#include "launcher/external/activity.h"

static nsec_t later(nsec_t a, nsec_t b)
{
    return a > b ? a : b;
}

static uint64_t written(const struct diag_socket *s)
{
    return s->acked + s->unsent;
}

/* By the kernel's times. Those of a new connection are both that of its handshake. */
static enum guest_word word_by_time(const struct diag_socket *s)
{
    if (!s->received)
        return WORD_NOBODY;
    if (!written(s))
        return WORD_CLIENT;
    if (s->quiet_ms == s->quiet_out_ms)
        return WORD_EITHER;
    return s->quiet_ms < s->quiet_out_ms ? WORD_CLIENT : WORD_SERVER;
}

/* What we saw ourselves is surer: a retransmission counts as sent at its own time, and then the last word would seem to
 * be the server's. */
static enum guest_word word_by_bytes(const struct guest *g, const struct diag_socket *s)
{
    const struct diag_socket *before = &g->now;
    bool came = s->received != before->received, went = written(s) != written(before);
    if (came && went)
        return word_by_time(s);
    if (came)
        return WORD_CLIENT;
    if (went)
        return WORD_SERVER;
    /* With something unsent they are probes of a window that is shut (tcp_send_probe0). */
    bool probes = before->unsent > 0 || s->unsent > 0;
    bool answered_bare = s->bare_acks != before->bare_acks && s->segments_in == before->segments_in && !probes;
    return g->word == WORD_EITHER && answered_bare ? WORD_CLIENT : g->word;
}

static nsec_t spoke_at(const struct diag_socket *s, nsec_t now)
{
    uint32_t quiet = s->quiet_ms < s->quiet_out_ms ? s->quiet_ms : s->quiet_out_ms;
    nsec_t ago = quiet * NSEC_PER_MSEC;
    return ago < now ? now - ago : 0;
}

static bool is_ending(const struct diag_socket *s)
{
    return s->state == DIAG_FIN_WAIT1 || s->state == DIAG_CLOSING || s->state == DIAG_LAST_ACK;
}

/* A FIN counts as a byte (tcp_send_fin). */
static nsec_t fin_alone_since(const struct guest *g, const struct diag_socket *s, nsec_t now)
{
    if (!is_ending(s) || s->unsent > 1)
        return 0;
    return g->fin_alone_since ? g->fin_alone_since : now;
}

void guest_meet(struct guest *g, const struct diag_socket *s, nsec_t now)
{
    memset(g, 0, sizeof *g);
    g->now = *s;
    g->word = word_by_time(s);
    g->spoke_at = spoke_at(s, now);
    g->fin_alone_since = fin_alone_since(g, s, now);
}

void guest_see(struct guest *g, const struct diag_socket *s, nsec_t now)
{
    bool came = s->received != g->now.received, went = written(s) != written(&g->now);
    enum guest_word word = word_by_bytes(g, s);
    nsec_t spoke = spoke_at(s, now);
    /* While something waited to be taken, the pause was the client's. */
    if (went && !came && g->word == WORD_SERVER && g->now.unsent == 0 && spoke > g->spoke_at)
        g->rhythm = later(g->rhythm, spoke - g->spoke_at);
    if (went && (came || g->word == WORD_CLIENT) && s->state == DIAG_ESTABLISHED)
        g->asked++;
    /* A FIN is no word: it moves the counts by one, but not the times. */
    if (s->state != g->now.state && spoke <= g->spoke_at)
        word = g->word;
    g->crossed = g->crossed || (g->let_go_at && came && s->state == DIAG_ESTABLISHED);
    g->word = word;
    g->spoke_at = later(g->spoke_at, spoke);
    g->fin_alone_since = fin_alone_since(g, s, now);
    g->now = *s;
}

/* A peer that has vanished never acknowledges the FIN. */
static enum guest_is ending(const struct guest *g, const struct guest_patience *p, nsec_t now, nsec_t *until)
{
    if (!g->fin_alone_since)
        return GUEST_ENDING;
    *until = g->fin_alone_since + p->linger;
    return now < *until ? GUEST_ENDING : GUEST_DONE;
}

/* Nobody's any more. Before the program has it, it is in the accept queue; later the kernel alone brings it to its end. */
static enum guest_is orphan(const struct guest *g, const struct guest_patience *p, nsec_t now, nsec_t *until)
{
    const struct diag_socket *s = &g->now;
    if (s->state == DIAG_ESTABLISHED || s->state == DIAG_CLOSE_WAIT)
        return GUEST_QUEUED;
    return s->unsent > 0 ? ending(g, p, now, until) : GUEST_DONE;
}

/* It was let go. What goes on writing was no idle connection, nor was one of which we were not sure, until it closes. */
static enum guest_is leaving(const struct guest *g, const struct guest_patience *p, nsec_t now, nsec_t *until)
{
    if (written(&g->now) != g->let_go_out || g->now.unread > 0)
        return GUEST_BUSY;
    if (g->word == WORD_EITHER || g->word == WORD_CLIENT)
        return GUEST_UNSURE;
    *until = g->let_go_at + p->linger;
    return now < *until ? GUEST_LEAVING : GUEST_DONE;
}

bool guest_is_regular(const struct guest *g)
{
    enum { OFTEN = 2 };
    const struct diag_socket *s = &g->now;
    /* A client acknowledges late, mostly with its next request. */
    bool pauses = (g->word == WORD_SERVER || g->word == WORD_EITHER) && !s->unread;
    return g->asked >= OFTEN && pauses && s->state == DIAG_ESTABLISHED && s->inode && !g->let_go_at;
}

enum guest_is guest_is(const struct guest *g, const struct guest_patience *p, nsec_t now, nsec_t *until)
{
    const struct diag_socket *s = &g->now;
    *until = 0;
    if (!s->inode)
        return orphan(g, p, now, until);
    if (g->let_go_at)
        return leaving(g, p, now, until);
    if (is_ending(s))
        return ending(g, p, now, until);
    if (s->state != DIAG_ESTABLISHED && s->state != DIAG_CLOSE_WAIT)
        return GUEST_DONE;
    if (s->unread > 0 || s->unsent > 0 || g->word == WORD_CLIENT)
        return GUEST_BUSY;
    *until = later(g->spoke_at, p->since) + later(p->idle, 2 * g->rhythm);
    /* The client has left. If that is all, the program has only to close. */
    if (s->state == DIAG_CLOSE_WAIT && (g->word != WORD_EITHER || now >= *until))
        return GUEST_DONE;
    if (now >= *until)
        return GUEST_IDLE;
    return g->word == WORD_EITHER ? GUEST_UNSURE : GUEST_RESTING;
}

/* The last word, where a FIN of either side may have moved the counts by one. */
static enum guest_word word_in_the_end(const struct guest *g, const struct diag_socket *s)
{
    bool came = s->received > g->now.received + 1, went = written(s) > written(&g->now) + 1;
    if (came && went)
        return word_by_time(s);
    return came ? WORD_CLIENT : went ? WORD_SERVER : g->word;
}

static enum guest_loss loss_of_let_go(const struct guest *g, const struct diag_socket *s)
{
    return written(s) > g->let_go_out + 1 || g->word == WORD_EITHER ? LOSS_MAYBE : LOSS_NONE;
}

/* What is reset in an accept queue has lost its counts before the kernel says its word (tcp_disconnect). */
static bool has_lost_counts(const struct diag_socket *s, const struct diag_socket *before)
{
    return s->received < before->received || (!s->received && !s->acked);
}

enum guest_loss guest_loss(const struct guest *g, const struct diag_socket *s)
{
    const struct diag_socket *before = &g->now;
    if (has_lost_counts(s, before))
        s = before;
    bool went = written(s) > written(before) + 1;
    if (g->let_go_at)
        return loss_of_let_go(g, s);
    switch (word_in_the_end(g, s)) {
    case WORD_NOBODY: return before->inode ? LOSS_NONE : LOSS_MAYBE; /* it waited in the accept queue */
    case WORD_CLIENT:
        return s->received > 1 ? LOSS_UNANSWERED : LOSS_NONE; /* its FIN alone: it has left without a word */
    case WORD_EITHER: return LOSS_MAYBE;
    case WORD_SERVER: break;
    }
    if (s->unread > 1)
        return LOSS_UNANSWERED;
    if (went && (g->word == WORD_CLIENT || s->received > before->received + 1))
        return LOSS_ANSWERED;
    return went || before->unsent > 0 ? LOSS_MAYBE : LOSS_NONE;
}

void guest_let_go(struct guest *g, nsec_t now)
{
    g->let_go_at = now;
    g->let_go_out = written(&g->now);
}
