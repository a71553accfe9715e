/* conn_pool.c: see conn_pool.h. */
#include "core/conn_pool.h"

static struct conn *take_from(struct conn_chunk *chunk)
{
    uint64_t used = __atomic_load_n(&chunk->used, __ATOMIC_RELAXED);
    while (~used != 0) {
        int bit = __builtin_ctzll(~used);
        uint64_t with = used | (uint64_t)1 << bit;
        if (__atomic_compare_exchange_n(&chunk->used, &used, with, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return &chunk->conn[bit];
    }
    return NULL;
}

struct conn *pool_take(struct conn_pool *p)
{
    uint32_t chunks = __atomic_load_n(&p->chunks, __ATOMIC_ACQUIRE);
    uint32_t hint = __atomic_load_n(&p->hint, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < chunks; i++) {
        uint32_t at = (hint + i) % chunks;
        struct conn *c = take_from(p->chunk[at]);
        if (c) {
            if (i > 0)
                __atomic_store_n(&p->hint, at, __ATOMIC_RELAXED);
            return c;
        }
    }
    return NULL;
}

void pool_give(struct conn_pool *p, struct conn *c)
{
    uint32_t index = c->index; /* as soon as its bit is cleared, another thread may take the entry */
    struct conn_chunk *chunk = p->chunk[index / POOL_CHUNK];
    __atomic_fetch_and(&chunk->used, ~((uint64_t)1 << index % POOL_CHUNK), __ATOMIC_RELEASE);
    __atomic_store_n(&p->hint, index / POOL_CHUNK, __ATOMIC_RELAXED);
}

bool pool_grow(struct conn_pool *p, struct conn_chunk *chunk)
{
    uint32_t at = __atomic_load_n(&p->chunks, __ATOMIC_ACQUIRE);
    struct conn_chunk *none = NULL;
    if (at >= POOL_CHUNKS)
        return false;
    for (uint32_t i = 0; i < POOL_CHUNK; i++)
        chunk->conn[i].index = at * POOL_CHUNK + i;
    if (!__atomic_compare_exchange_n(&p->chunk[at], &none, chunk, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&p->chunks, at + 1, __ATOMIC_RELEASE);
    return true;
}

struct conn *pool_at(const struct conn_pool *p, uint32_t index)
{
    return index < pool_size(p) ? &p->chunk[index / POOL_CHUNK]->conn[index % POOL_CHUNK] : NULL;
}

uint32_t pool_size(const struct conn_pool *p)
{
    return __atomic_load_n(&p->chunks, __ATOMIC_ACQUIRE) * POOL_CHUNK;
}
