/* node_primary.c: see node_primary.h. */
#include "compat/node_primary.h"

#include "process/deferred.h"
#include "process/wake.h"
#include "track/connections.h"

/* For each connection that was passed over channel, and was not answered for. */
static void each_unanswered(int channel, void (*f)(struct conn *c))
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        if (conn_is_alive(c) && LOAD(c->io.channel) == channel)
            f(c);
    }
}

static void answered(struct conn *c)
{
    STORE(c->io.channel, -1);
}

static void abandoned(struct conn *c)
{
    STORE(c->io.channel, -1);
    conn_abandon(c);
}

static void channel_closed(int channel)
{
    each_unanswered(channel, abandoned);
    if (deferred_draining())
        wake_now();
}

void node_primary_bind(void)
{
    slots_on_close(SPECIAL_CHANNEL, channel_closed);
}

/* A channel that is marked as something else tells of no close: what is passed over it is not noted. */
void node_primary_sends(int channel, const struct http1_span *chunks, size_t count, int fd)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) != FD_CONN)
        return;
    bool hands_over = count == 1 && node_cluster_lines_hand_over(chunks->data, chunks->len);
    if (hands_over && slot_of(channel) == 0)
        slots_mark(channel, SPECIAL_CHANNEL);
    STORE(pool_of_slot(&connections, slot)->io.channel, hands_over && node_primary_is(slot_of(channel)) ? channel : -1);
}

/* The answers "taken" need no care: the primary closes the connection. */
void node_primary_read(int channel, const struct http1_span *chunks, size_t count, ssize_t n)
{
    if (n > 0 && (count != 1 || node_cluster_lines_may_refuse(chunks->data, (size_t)n)))
        each_unanswered(channel, answered);
}
