/* test_fd_slot.c: a slot keeps what is put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/fd_slot.h"

static void keeps_kind_and_index(void **unused UNUSED)
{
    const uint32_t last = FD_MAX - 1;
    for (int kind = FD_OTHER; kind <= FD_SPECIAL; kind++) {
        assert_int_equal(fd_slot_kind(fd_slot_make((enum fd_kind)kind, last)), kind);
        assert_int_equal(fd_slot_index(fd_slot_make((enum fd_kind)kind, last)), last);
    }
    /* A file that is not ours is the word 0, so that one branch tells it. */
    assert_int_equal(fd_slot_make(FD_OTHER, 0), 0);
    assert_int_not_equal(fd_slot_make(FD_CONN, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_kind_and_index)};
    return cmocka_run_group_tests_name("fd_slot", tests, NULL, NULL);
}
