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

/* By the kernel's times. Both times of a new connection are that of its handshake. */
static enum last_sender sender_by_time(const struct diag_socket *s)
{
    if (!s->received)
        return SENDER_NONE;
    if (!written(s))
        return SENDER_CLIENT;
    if (s->quiet_ms == s->quiet_out_ms)
        return SENDER_UNSURE;
    return s->quiet_ms < s->quiet_out_ms ? SENDER_CLIENT : SENDER_SERVER;
}

/* The counts of two scans are surer than the kernel's times: a retransmission counts as sent at its own time, and
 * then the server would seem to have sent last. */
static enum last_sender sender_by_bytes(const struct activity *a, const struct diag_socket *s)
{
    const struct diag_socket *before = &a->now;
    bool came = s->received != before->received, went = written(s) != written(before);
    if (came && went)
        return sender_by_time(s);
    if (came)
        return SENDER_CLIENT;
    if (went)
        return SENDER_SERVER;
    /* While bytes are unacknowledged, bare segments may be probes of a closed window (tcp_send_probe0). */
    bool probes = before->unsent > 0 || s->unsent > 0;
    bool answered_bare = s->bare_acks != before->bare_acks && s->segments_in == before->segments_in && !probes;
    return a->last_sender == SENDER_UNSURE && answered_bare ? SENDER_CLIENT : a->last_sender;
}

static nsec_t last_activity(const struct diag_socket *s, nsec_t now)
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
static nsec_t only_fin_since(const struct activity *a, const struct diag_socket *s, nsec_t now)
{
    if (!is_ending(s) || s->unsent > 1)
        return 0;
    return a->only_fin_since ? a->only_fin_since : now;
}

void activity_begin(struct activity *a, const struct diag_socket *s, nsec_t now)
{
    memset(a, 0, sizeof *a);
    a->now = *s;
    a->last_sender = sender_by_time(s);
    a->last_activity = last_activity(s, now);
    a->only_fin_since = only_fin_since(a, s, now);
}

void activity_update(struct activity *a, const struct diag_socket *s, nsec_t now)
{
    bool came = s->received != a->now.received, went = written(s) != written(&a->now);
    enum last_sender sender = sender_by_bytes(a, s);
    nsec_t spoke = last_activity(s, now);
    /* While bytes waited for the client's acknowledgement, the pause was the client's. */
    if (went && !came && a->last_sender == SENDER_SERVER && a->now.unsent == 0 && spoke > a->last_activity)
        a->longest_pause = later(a->longest_pause, spoke - a->last_activity);
    if (went && (came || a->last_sender == SENDER_CLIENT) && s->state == DIAG_ESTABLISHED)
        a->requests++;
    /* A FIN is no data: a FIN changes the counts by one, but not the times. */
    if (s->state != a->now.state && spoke <= a->last_activity)
        sender = a->last_sender;
    a->late_data = a->late_data || (a->read_shut_at && came && s->state == DIAG_ESTABLISHED);
    a->last_sender = sender;
    a->last_activity = later(a->last_activity, spoke);
    a->only_fin_since = only_fin_since(a, s, now);
    a->now = *s;
}

/* A peer that has vanished never acknowledges the FIN. */
static enum activity_state ending(const struct activity *a, const struct activity_limits *p, nsec_t now, nsec_t *until)
{
    if (!a->only_fin_since)
        return ACTIVITY_ENDING;
    *until = a->only_fin_since + p->linger;
    return now < *until ? ACTIVITY_ENDING : ACTIVITY_DONE;
}

/* No process holds the connection. An established connection is in an accept queue; the kernel alone finishes any
 * other. */
static enum activity_state orphan(const struct activity *a, const struct activity_limits *p, nsec_t now, nsec_t *until)
{
    const struct diag_socket *s = &a->now;
    if (s->state == DIAG_ESTABLISHED || s->state == DIAG_CLOSE_WAIT)
        return ACTIVITY_QUEUED;
    return s->unsent > 0 ? ending(a, p, now, until) : ACTIVITY_DONE;
}

/* After the read shutdown. A connection on which the program still writes was not idle; an unsure one counts as in
 * flight until the program closes it. */
static enum activity_state leaving(const struct activity *a, const struct activity_limits *p, nsec_t now, nsec_t *until)
{
    if (written(&a->now) != a->written_at_shut || a->now.unread > 0)
        return ACTIVITY_IN_FLIGHT;
    if (a->last_sender == SENDER_UNSURE || a->last_sender == SENDER_CLIENT)
        return ACTIVITY_UNSURE;
    *until = a->read_shut_at + p->linger;
    return now < *until ? ACTIVITY_READ_SHUT : ACTIVITY_DONE;
}

bool activity_is_regular(const struct activity *a)
{
    enum { OFTEN = 2 };
    const struct diag_socket *s = &a->now;
    /* A client acknowledges late, mostly with its next request. */
    bool pauses = (a->last_sender == SENDER_SERVER || a->last_sender == SENDER_UNSURE) && !s->unread;
    return a->requests >= OFTEN && pauses && s->state == DIAG_ESTABLISHED && s->inode && !a->read_shut_at;
}

enum activity_state activity_state(const struct activity *a, const struct activity_limits *p, nsec_t now, nsec_t *until)
{
    const struct diag_socket *s = &a->now;
    *until = 0;
    if (!s->inode)
        return orphan(a, p, now, until);
    if (a->read_shut_at)
        return leaving(a, p, now, until);
    if (is_ending(s))
        return ending(a, p, now, until);
    if (s->state != DIAG_ESTABLISHED && s->state != DIAG_CLOSE_WAIT)
        return ACTIVITY_DONE;
    if (s->unread > 0 || s->unsent > 0 || a->last_sender == SENDER_CLIENT)
        return ACTIVITY_IN_FLIGHT;
    *until = later(a->last_activity, p->since) + later(p->idle, 2 * a->longest_pause);
    /* The client has closed its side. If no response is outstanding, the program only has to close. */
    if (s->state == DIAG_CLOSE_WAIT && (a->last_sender != SENDER_UNSURE || now >= *until))
        return ACTIVITY_DONE;
    if (now >= *until)
        return ACTIVITY_IDLE;
    return a->last_sender == SENDER_UNSURE ? ACTIVITY_UNSURE : ACTIVITY_QUIET;
}

/* The last sender, where a FIN of either side may have moved the counts by one. */
static enum last_sender final_sender(const struct activity *a, const struct diag_socket *s)
{
    bool came = s->received > a->now.received + 1, went = written(s) > written(&a->now) + 1;
    if (came && went)
        return sender_by_time(s);
    return came ? SENDER_CLIENT : went ? SENDER_SERVER : a->last_sender;
}

static enum activity_loss loss_after_read_shut(const struct activity *a, const struct diag_socket *s)
{
    return written(s) > a->written_at_shut + 1 || a->last_sender == SENDER_UNSURE ? LOSS_MAYBE : LOSS_NONE;
}

/* A connection that is reset in an accept queue has lost its counts before the kernel sends the final counts
 * (tcp_disconnect). */
static bool has_lost_counts(const struct diag_socket *s, const struct diag_socket *before)
{
    return s->received < before->received || (!s->received && !s->acked);
}

enum activity_loss activity_loss(const struct activity *a, const struct diag_socket *s)
{
    const struct diag_socket *before = &a->now;
    if (has_lost_counts(s, before))
        s = before;
    bool went = written(s) > written(before) + 1;
    if (a->read_shut_at)
        return loss_after_read_shut(a, s);
    switch (final_sender(a, s)) {
    case SENDER_NONE: return before->inode ? LOSS_NONE : LOSS_MAYBE; /* the connection was in the accept queue */
    case SENDER_CLIENT:
        return s->received > 1 ? LOSS_UNANSWERED : LOSS_NONE; /* a FIN alone: the client has closed without a request */
    case SENDER_UNSURE: return LOSS_MAYBE;
    case SENDER_SERVER: break;
    }
    if (s->unread > 1)
        return LOSS_UNANSWERED;
    if (went && (a->last_sender == SENDER_CLIENT || s->received > before->received + 1))
        return LOSS_ANSWERED;
    return went || before->unsent > 0 ? LOSS_MAYBE : LOSS_NONE;
}

void activity_read_shut(struct activity *a, nsec_t now)
{
    a->read_shut_at = now;
    a->written_at_shut = written(&a->now);
}
