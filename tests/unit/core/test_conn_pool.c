/* test_conn_pool.c: the pool of connections: each entry has one owner, however many threads take. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/conn_pool.h"

static struct conn_pool pool;

static struct conn_chunk *chunk(void)
{
    return calloc(1, sizeof(struct conn_chunk));
}

static int empty_pool(void **unused UNUSED)
{
    for (uint32_t i = 0; i < POOL_CHUNKS; i++)
        free(pool.chunk[i]);
    memset(&pool, 0, sizeof pool);
    return 0;
}

static void gives_none_before_it_has_memory(void **unused UNUSED)
{
    assert_int_equal(pool_size(&pool), 0);
    assert_null(pool_take(&pool));
    assert_null(pool_at(&pool, 0));
}

static void every_entry_once(void **unused UNUSED)
{
    enum { N = 3 * POOL_CHUNK };
    bool seen[N] = {false};
    for (int i = 0; i < 3; i++)
        assert_true(pool_grow(&pool, chunk()));
    assert_int_equal(pool_size(&pool), N);
    for (unsigned i = 0; i < N; i++) {
        struct conn *c = pool_take(&pool);
        assert_non_null(c);
        assert_in_range(c->index, 0, N - 1);
        assert_false(seen[c->index]);
        assert_ptr_equal(pool_at(&pool, c->index), c);
        seen[c->index] = true;
    }
    assert_null(pool_take(&pool));
    assert_null(pool_at(&pool, N));
    assert_null(pool_at(&pool, UINT32_MAX));
}

static void what_is_given_back_is_taken_again(void **unused UNUSED)
{
    for (int i = 0; i < 4; i++)
        assert_true(pool_grow(&pool, chunk()));
    while (pool_take(&pool))
        ;
    for (uint32_t i = 0; i < 4 * POOL_CHUNK; i += 37) {
        struct conn *c = pool_at(&pool, i);
        pool_give(&pool, c);
        assert_ptr_equal(pool_take(&pool), c);
        assert_null(pool_take(&pool));
    }
}

static void is_full_in_the_end(void **unused UNUSED)
{
    struct conn_chunk *one = chunk();
    pool.chunks = POOL_CHUNKS; /* as if all were there: half a gigabyte of them */
    assert_false(pool_grow(&pool, one));
    pool.chunks = POOL_CHUNKS - 1;
    assert_true(pool_grow(&pool, one));
    assert_int_equal(pool_size(&pool), FD_MAX);
    assert_int_equal(pool_at(&pool, FD_MAX - 1)->index, FD_MAX - 1);
    assert_null(pool_at(&pool, FD_MAX));
}

static void refuses_a_chunk_that_comes_too_late(void **unused UNUSED)
{
    struct conn_chunk *one = chunk(), *two = chunk();
    /* Another thread has put its chunk into the place and not yet counted it. */
    pool.chunk[0] = one;
    assert_false(pool_grow(&pool, two));
    assert_ptr_equal(pool.chunk[0], one);
    free(two);
}

/* ---- threads ---- */

enum { THREADS = 4, HELD = 100, TURNS = 20000 };
static int owner[FD_MAX / 64];
static int clashes, starved;

static struct conn *take(void)
{
    for (int i = 0; i < 1000; i++) {
        struct conn *c = pool_take(&pool);
        if (c)
            return c;
        struct conn_chunk *more = chunk();
        if (!pool_grow(&pool, more))
            free(more);
    }
    return NULL;
}

static void give(struct conn *c)
{
    __atomic_store_n(&owner[c->index], 0, __ATOMIC_RELAXED);
    pool_give(&pool, c);
}

static void *hammer(void *seed)
{
    struct conn *held[HELD] = {NULL};
    unsigned random = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < TURNS; i++) {
        struct conn **h = &held[(random = random * 1103515245 + 12345) / 65536 % HELD];
        if (*h) {
            give(*h);
            *h = NULL;
        } else if ((*h = take()) != NULL) {
            if (__atomic_exchange_n(&owner[(*h)->index], 1, __ATOMIC_RELAXED))
                __atomic_add_fetch(&clashes, 1, __ATOMIC_RELAXED);
            (*h)->read_bytes++; /* not atomic: the thread sanitizer tells if two own it */
        } else {
            __atomic_add_fetch(&starved, 1, __ATOMIC_RELAXED);
        }
    }
    for (int i = 0; i < HELD; i++)
        if (held[i])
            give(held[i]);
    return NULL;
}

static void one_owner_each_under_threads(void **unused UNUSED)
{
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(clashes, 0);
    assert_int_equal(starved, 0);
    for (uint32_t i = 0; i < pool_size(&pool) / POOL_CHUNK; i++)
        assert_int_equal(pool.chunk[i]->used, 0);
    assert_in_range(pool_size(&pool), HELD, 100 * POOL_CHUNK); /* and not a chunk for each take */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gives_none_before_it_has_memory, empty_pool),
        cmocka_unit_test_teardown(every_entry_once, empty_pool),
        cmocka_unit_test_teardown(what_is_given_back_is_taken_again, empty_pool),
        cmocka_unit_test_teardown(is_full_in_the_end, empty_pool),
        cmocka_unit_test_teardown(refuses_a_chunk_that_comes_too_late, empty_pool),
        cmocka_unit_test_teardown(one_owner_each_under_threads, empty_pool),
    };
    return cmocka_run_group_tests_name("conn_pool", tests, NULL, NULL);
}
