/* test_status_abi.c: what a reader of another process's memory believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/status_abi.h"

static struct conn_pool pool;
static struct signal_view signals;

static void its_own_is_good(void **unused UNUSED)
{
    struct status_abi v;
    memset(&v, 0xff, sizeof v);
    status_abi_init(&v, &pool, &signals);
    assert_int_equal(status_abi_check(&v), STATUS_ABI_GOOD);
    assert_true(v.pool == (uintptr_t)&pool && v.signals == (uintptr_t)&signals);
    assert_string_equal(v.build, LASTCALL_VERSION);
    assert_true(v.layout != 0);
}

static void other_bytes_are_none(void **unused UNUSED)
{
    struct status_abi v;
    memset(&v, 0, sizeof v);
    assert_int_equal(status_abi_check(&v), STATUS_ABI_NONE);
    status_abi_init(&v, &pool, &signals);
    v.magic[7] = 'x';
    assert_int_equal(status_abi_check(&v), STATUS_ABI_NONE);
}

static void another_build_is_told_apart(void **unused UNUSED)
{
    struct status_abi v;
    status_abi_init(&v, &pool, &signals);
    v.version++;
    assert_int_equal(status_abi_check(&v), STATUS_ABI_OTHER_BUILD);
    status_abi_init(&v, &pool, &signals);
    v.size += 8;
    assert_int_equal(status_abi_check(&v), STATUS_ABI_OTHER_BUILD);
    status_abi_init(&v, &pool, &signals);
    v.layout ^= 1;
    assert_int_equal(status_abi_check(&v), STATUS_ABI_OTHER_BUILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own_is_good),
        cmocka_unit_test(other_bytes_are_none),
        cmocka_unit_test(another_build_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
