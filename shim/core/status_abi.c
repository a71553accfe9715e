/* status_abi.c: see status_abi.h. */
#include "core/status_abi.h"

static const char magic[8] = "lc-view";

/* VERSION is for changes of meaning, which no size shows. */
enum { VERSION = 2 };

#define CONN(field)  offsetof(struct conn, field)
#define HTTP1(field) offsetof(struct http1, field)

static const uint32_t facts[] = {
    sizeof(struct conn_pool),
    offsetof(struct conn_pool, chunk),
    offsetof(struct conn_pool, chunks),
    POOL_CHUNK,
    POOL_CHUNKS,
    sizeof(struct conn_chunk),
    offsetof(struct conn_chunk, used),
    offsetof(struct conn_chunk, conn),
    sizeof(struct conn),
    CONN(fd),
    CONN(generation),
    CONN(live),
    CONN(attention),
    CONN(opaque_reason),
    CONN(ownership),
    CONN(stale),
    CONN(in),
    CONN(out),
    CONN(ring.pending),
    CONN(message.in),
    CONN(message.out),
    CONN(stage),
    CONN(fin),
    CONN(report.said),
    CONN(unix_),
    CONN_LINGERING,
    sizeof(struct http1),
    HTTP1(state),
    HTTP1(facts),
    HTTP1_LAST_BETWEEN,
    offsetof(struct http1_facts, method),
    offsetof(struct http1_facts, method_len),
    HTTP1_METHOD_MAX,
    sizeof(struct signal_view),
    offsetof(struct signal_view, program),
    sizeof(struct ksigaction),
};

/* One number for the places and sizes of all that a reader of the pool looks at: FNV-1a, a fact at a time. */
static uint64_t layout(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (unsigned i = 0; i < COUNT(facts); i++)
        hash = (hash ^ facts[i]) * 0x100000001b3u;
    return hash;
}

void status_abi_init(struct status_abi *v, const struct conn_pool *pool, const struct signal_view *signals)
{
    memset(v, 0, sizeof *v);
    v->version = VERSION;
    v->size = sizeof *v;
    v->layout = layout();
    memcpy(v->build, LASTCALL_VERSION, sizeof LASTCALL_VERSION);
    v->pool = (uintptr_t)pool;
    v->signals = (uintptr_t)signals;
    memcpy(v->magic, magic, sizeof magic);
}

_Static_assert(sizeof LASTCALL_VERSION <= sizeof((struct status_abi *)0)->build, "room for it");

enum status_abi_verdict status_abi_check(const struct status_abi *v)
{
    if (memcmp(v->magic, magic, sizeof magic) != 0)
        return STATUS_ABI_NONE;
    bool same = v->version == VERSION && v->size == sizeof *v && v->layout == layout();
    return same ? STATUS_ABI_GOOD : STATUS_ABI_OTHER_BUILD;
}
