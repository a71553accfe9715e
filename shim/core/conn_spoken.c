/* conn_spoken.c: see conn_spoken.h. */
#include "core/conn_spoken.h"

/* A line that has begun in an earlier call says nothing if it begins with letters, as a method does. */
void conn_spoken_note_client(struct conn *c, const uint8_t *data, size_t n, size_t here)
{
    enum spoken_first what = FIRST_EITHER;
    if (c->ring.head != 0)
        return;
    if (c->message.in <= here)
        what = spoken_first_of_client(data - c->message.in, c->message.in + n);
    else if (c->in.facts.method_len == 0 || c->in.facts.method[0] < 'A' || c->in.facts.method[0] > 'Z')
        what = FIRST_OTHER;
    STORE(c->message.first_in, what);
}

void conn_spoken_note_server(struct conn *c, const uint8_t *data, size_t n)
{
    bool first = LOAD(c->opaque_reason) == OPAQUE_REQUEST && LOAD(c->out.facts.status) == 0 && c->message.out == 0;
    STORE(c->message.first_out, first && data && n > 0 ? spoken_first_of_server(data, n) : FIRST_EITHER);
}

void conn_spoken_note_no_response(struct conn *c, const char *begin, size_t n, size_t here)
{
    bool first = LOAD(c->out.facts.status) == 0 && c->message.out == here;
    STORE(c->message.first_out, first ? spoken_first_of_server((const uint8_t *)begin, here + n) : FIRST_EITHER);
}

static enum spoken_first client_first(const struct conn *c, uint8_t protocol)
{
    if (LOAD(c->ring.head) != 0 || protocol == OPAQUE_ONE_REQUEST)
        return FIRST_HTTP;
    if (protocol != OPAQUE_UNDECIDED && protocol != OPAQUE_UNKNOWN)
        return FIRST_RELATED;
    return protocol == OPAQUE_UNKNOWN ? (enum spoken_first)LOAD(c->message.first_in) : FIRST_NOTHING;
}

static enum spoken_first server_first(const struct conn *c)
{
    return LOAD(c->out.facts.status) != 0 ? FIRST_HTTP : (enum spoken_first)LOAD(c->message.first_out);
}

enum spoken conn_spoken(const struct conn *c)
{
    uint8_t protocol = conn_is_opaque(c) ? LOAD(c->opaque.protocol) : OPAQUE_UNDECIDED;
    enum spoken_first server = server_first(c);
    /* What a server of SCGI or uwsgi answers is CGI's, and may be anything. */
    if (protocol == OPAQUE_ONE_REQUEST && server != FIRST_NOTHING)
        server = FIRST_RELATED;
    return spoken_judge(client_first(c, protocol), server, c->unix_);
}

bool conn_spoken_is_no_http(const struct conn *c)
{
    return conn_is_opaque(c) && LOAD(c->opaque.protocol) == OPAQUE_UNKNOWN &&
           LOAD(c->message.first_in) == FIRST_OTHER && server_first(c) != FIRST_HTTP;
}
