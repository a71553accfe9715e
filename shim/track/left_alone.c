/* left_alone.c: see left_alone.h. */
#include "track/left_alone.h"

#include "core/conn_spoken.h"
#include "track/connections.h"
#include "track/slots.h"

bool left_alone_listener(struct listener *l)
{
    if (l->ignored || l->named)
        return l->ignored;
    return l->unix_ ? listeners_spoken(l) != SPOKEN_HTTP : listeners_spoken(l) == SPOKEN_OTHER;
}

bool left_alone_connection(const struct conn *c)
{
    uint16_t at = LOAD(c->listener);
    if (at >= LISTENERS_MAX)
        return false;
    struct listener *l = &listeners.entry[at];
    if (l->named)
        return false;
    switch (listeners_spoken(l)) {
    case SPOKEN_HTTP: return false;
    case SPOKEN_OTHER: return true;
    default: return c->unix_ ? !conn_in_flight(c) : conn_spoken_is_no_http(c);
    }
}

/* What this process has bound may be listened on by its workers (uvicorn). */
static bool has_bound(void)
{
    for (int fd = 0; fd <= LOAD(slots.top); fd++)
        if (slot_of(fd) == fd_slot_make(FD_SPECIAL, SPECIAL_BOUND))
            return true;
    return false;
}

bool left_alone_process(void)
{
    bool any = false;
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l->inode == 0)
            continue;
        if (!left_alone_listener(l))
            return false;
        any = any || l->live || LOAD(l->spoken) == SPOKEN_OTHER; /* a worker may have closed it */
    }
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        const struct conn *c = pool_at(&connections, i);
        if (!conn_is_alive(c))
            continue;
        if (!left_alone_connection(c))
            return false;
        any = true;
    }
    return any && !has_bound();
}

/* Of this port one line is enough. */
static void tell(const struct listener *told)
{
    for (unsigned i = 0; i < listeners.used; i++)
        if (!listeners.entry[i].unix_ && listeners.entry[i].port == told->port)
            listeners.entry[i].told = true;
}

const struct listener *left_alone_untold(void)
{
    for (unsigned i = 0; i < listeners.used; i++) {
        struct listener *l = &listeners.entry[i];
        if (l->inode == 0 || l->unix_ || l->ignored || l->told || !left_alone_listener(l))
            continue;
        tell(l);
        if (listeners_tell(l))
            return l;
    }
    return NULL;
}
