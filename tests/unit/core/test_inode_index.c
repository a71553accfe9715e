/* test_inode_index.c: connections by the inodes of their sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/inode_index.h"

static struct inode_index x;

static void make(uint32_t count)
{
    void *memory = calloc(1, inode_index_size(count));
    assert_non_null(memory);
    inode_index_init(&x, memory, count);
}

/* How many values has this inode, and what do they add up to? */
static unsigned values(uint64_t inode, uint64_t *sum)
{
    unsigned n = 0;
    *sum = 0;
    for (uint32_t at = INODE_INDEX_NONE, v; (v = inode_index_next(&x, inode, &at)) != INODE_INDEX_NONE; n++)
        *sum += v;
    return n;
}

static void knows_what_was_added(void **unused)
{
    uint64_t sum;
    (void)unused;
    make(3);
    assert_int_equal(values(7, &sum), 0);
    assert_true(inode_index_add(&x, 7, 1));
    assert_true(inode_index_add(&x, 8, 0));
    assert_true(inode_index_add(&x, 7, 5)); /* two entries of one socket */
    assert_false(inode_index_add(&x, 9, 2));
    assert_int_equal(values(7, &sum), 2);
    assert_int_equal(sum, 6);
    assert_int_equal(values(8, &sum), 1);
    assert_int_equal(values(9, &sum), 0);
    free(x.entry);
}

static void none_has_room_for_none(void **unused)
{
    uint64_t sum;
    (void)unused;
    make(0);
    assert_false(inode_index_add(&x, 7, 1));
    assert_int_equal(values(7, &sum), 0);
    free(x.entry);
}

/* The places that a search of an inode looks at, which is not there, are at most those of the run that its search ends
 * behind. */
static unsigned places(uint64_t inode)
{
    uint32_t at = INODE_INDEX_NONE, n = 1;
    assert_int_equal(inode_index_next(&x, inode, &at), INODE_INDEX_NONE);
    for (; x.entry[(at - n) & x.mask].inode != 0; n++)
        ;
    return n;
}

/* The sockets of a walk that are not ours are the many: each costs a few places, however many connections there are. */
static void work_grows_with_the_sockets_only(void **unused)
{
    static const uint64_t strides[] = {1, 2, 3, 64, 4096, 65536, 1 << 20};
    enum { FEW = 1000, MANY = 100000 };
    (void)unused;
    for (unsigned s = 0; s < sizeof strides / sizeof *strides; s++)
        for (uint32_t count = FEW; count <= MANY; count *= 10) {
            uint64_t looked_at = 0, sum;
            make(count);
            for (uint32_t i = 0; i < count; i++)
                assert_true(inode_index_add(&x, 1 + (i + 1) * strides[s], i));
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(values(1 + (i + 1) * strides[s], &sum), 1);
                assert_int_equal(sum, i);
                looked_at += places(1 + (uint64_t)(count + 1 + i) * strides[s]);
            }
            assert_true(looked_at < (uint64_t)8 * count);
            free(x.entry);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_was_added),
        cmocka_unit_test(none_has_room_for_none),
        cmocka_unit_test(work_grows_with_the_sockets_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
