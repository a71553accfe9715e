/* undrained.c: an end of the program that no drain comes before. */
#include "drain/drain.h"

#include "process/config.h"
#include "process/deferred.h"
#include "process/log.h"
#include "track/connections.h"

/* A response that ends with its connection is ended by the exit as it should be. */
static bool is_aborted_by_exit(const struct conn *c)
{
    if (!conn_is_alive(c) || conn_is_inherited(c) || c->stale || conn_is_opaque(c) || !conn_in_flight(c))
        return false;
    return http1_between(&c->out) || http1_in_head(&c->out) || !c->out.facts.until_close;
}

void undrained_end(void)
{
    static uint8_t said;
    uint64_t count = 0;
    if (__atomic_load_n(&deferred.begun, __ATOMIC_ACQUIRE) || __atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
        return;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++)
        count += is_aborted_by_exit(pool_at(&connections, i));
    if (count == 0)
        return;
    log_open_file();
    log_number(LOG_WARN, "the program ends with requests in flight, and none of LASTCALL_SIGNALS has come", "in_flight",
               count);
}
