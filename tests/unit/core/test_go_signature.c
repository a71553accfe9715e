/* test_go_signature.c: Go's routine is known by all of its bytes, once, and by nothing less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/go_signature.h"
#include "guard_page.h"

#if defined(__x86_64__)
/* As `go tool objdump -s 'Syscall6$'` shows it, of Go 1.19 and of Go 1.27. */
static const uint8_t go_1_19[] = {
    0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0,
    0xff, 0xff, 0x76, 0x15, 0x48, 0xf7, 0xd8, 0x48, 0x89, 0xc1, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0x48,
    0xc7, 0xc3, 0x00, 0x00, 0x00, 0x00, 0xc3, 0x48, 0x89, 0xd3, 0x48, 0xc7, 0xc1, 0x00, 0x00, 0x00, 0x00, 0xc3,
};
static const uint8_t go_1_27[] = {
    0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05, 0x48, 0x3d, 0x01,
    0xf0, 0xff, 0xff, 0x76, 0x13, 0x48, 0xf7, 0xd8, 0x48, 0x89, 0xc1, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff,
    0xff, 0xbb, 0x00, 0x00, 0x00, 0x00, 0xc3, 0x48, 0x89, 0xd3, 0xb9, 0x00, 0x00, 0x00, 0x00, 0xc3,
};

static const struct {
    const uint8_t *bytes;
    size_t n;
} routines[] = {{go_1_19, sizeof go_1_19}, {go_1_27, sizeof go_1_27}};
#else /* the same in both */
static const uint8_t go_arm64[] = {
    0xe8, 0x07, 0x40, 0xf9, 0xe0, 0x0b, 0x40, 0xf9, 0xe1, 0x0f, 0x40, 0xf9, 0xe2, 0x13, 0x40, 0xf9,
    0xe3, 0x17, 0x40, 0xf9, 0xe4, 0x1b, 0x40, 0xf9, 0xe5, 0x1f, 0x40, 0xf9, 0x01, 0x00, 0x00, 0xd4,
    0x1f, 0xfc, 0x3f, 0xb1, 0xe3, 0x00, 0x00, 0x54, 0x04, 0x00, 0x80, 0x92, 0xe4, 0x23, 0x00, 0xf9,
    0xff, 0x27, 0x00, 0xf9, 0xe0, 0x03, 0x00, 0xcb, 0xe0, 0x2b, 0x00, 0xf9, 0xc0, 0x03, 0x5f, 0xd6,
    0xe0, 0x23, 0x00, 0xf9, 0xe1, 0x27, 0x00, 0xf9, 0xff, 0x2b, 0x00, 0xf9, 0xc0, 0x03, 0x5f, 0xd6,
};

static const struct {
    const uint8_t *bytes;
    size_t n;
} routines[] = {{go_arm64, sizeof go_arm64}};
#endif

enum { TEXT = 4096 };
static uint8_t text[TEXT];

static struct go_signature look(const uint8_t *at, size_t n, uint64_t address)
{
    struct go_signature found = {0, 0};
    go_signature_find(at, n, address, &found);
    return found;
}

static void put(size_t at, unsigned which)
{
    memcpy(text + at, routines[which].bytes, routines[which].n);
}

static void finds_it_where_functions_begin(void **state UNUSED)
{
    for (unsigned r = 0; r < COUNT(routines); r++)
        for (size_t at = 0; at < 64; at++) {
            memset(text, 0xcc, sizeof text);
            put(1024 + at, r);
            struct go_signature found = look(text, sizeof text, 0x401000);
            assert_int_equal(found.hits, at % 16 == 0);
            assert_int_equal(found.at, at % 16 == 0 ? 1024 + at : 0);
        }
}

/* A segment need not begin at a multiple of anything. */
static void minds_the_address(void **state UNUSED)
{
    for (uint64_t address = 0x401000; address < 0x401010; address++) {
        memset(text, 0xcc, sizeof text);
        put(512 - (address & 15), 0);
        struct go_signature found = look(text, sizeof text, address);
        assert_int_equal(found.hits, 1);
        assert_int_equal((address + found.at) % 16, 0);
    }
}

static void counts_more_than_one(void **state UNUSED)
{
    memset(text, 0, sizeof text);
    put(0, 0);
    put(256, COUNT(routines) - 1);
    assert_int_equal(look(text, sizeof text, 0).hits, 2);
}

/* Each byte counts: another version, or somebody's jump in its place, is not touched. */
static void needs_every_byte(void **state UNUSED)
{
    for (unsigned r = 0; r < COUNT(routines); r++)
        for (size_t i = 0; i < routines[r].n; i++)
            for (unsigned bit = 0; bit < 8; bit++) {
                memset(text, 0, 256);
                put(0, r);
                text[i] ^= (uint8_t)(1u << bit);
                assert_int_equal(look(text, 256, 0).hits, 0);
            }
}

static void reads_nothing_behind_the_end(void **state UNUSED)
{
    struct guard_page g = guard_page_new(TEXT);
    for (unsigned r = 0; r < COUNT(routines); r++)
        for (size_t n = 0; n <= routines[r].n; n++) {
            const uint8_t *at = (const uint8_t *)guard_page_at_end(&g, routines[r].bytes, n);
            assert_int_equal(look(at, n, 0).hits, n == routines[r].n);
        }
    guard_page_free(&g);
}

static const uint8_t note[] = {4, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 'G', 'o', 0, 0, 'a', '/', 'b', 0};
static const uint8_t others[] = {4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 1, 2, 3, 4, 5, 0, 0, 0};

static void knows_the_note(void **state UNUSED)
{
    uint8_t both[sizeof others + sizeof note];
    memcpy(both, others, sizeof others);
    memcpy(both + sizeof others, note, sizeof note);
    assert_true(go_signature_is_note(note, sizeof note));
    assert_false(go_signature_is_note(others, sizeof others));
    assert_true(go_signature_is_note(both, sizeof both));
}

static void survives_broken_notes(void **state UNUSED)
{
    struct guard_page g = guard_page_new(TEXT);
    for (size_t n = 0; n < sizeof note; n++)
        assert_int_equal(go_signature_is_note((uint8_t *)guard_page_at_end(&g, note, n), n), n >= 16);
    for (size_t i = 0; i < sizeof others; i++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t broken[sizeof others];
            memcpy(broken, others, sizeof others);
            broken[i] = (uint8_t)value;
            go_signature_is_note((uint8_t *)guard_page_at_end(&g, broken, sizeof broken), sizeof broken);
        }
    guard_page_free(&g);
}

static void knows_build_information(void **state UNUSED)
{
    static const char magic[] = "\xff Go buildinf:";
    for (size_t at = 0; at < 48; at++) {
        memset(text, 0, 64);
        memcpy(text + at, magic, sizeof magic - 1);
        assert_int_equal(go_signature_has_buildinfo(text, 64), at % 16 == 0);
        assert_false(go_signature_has_buildinfo(text, at + 13));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_it_where_functions_begin), cmocka_unit_test(minds_the_address),
        cmocka_unit_test(counts_more_than_one),           cmocka_unit_test(needs_every_byte),
        cmocka_unit_test(reads_nothing_behind_the_end),   cmocka_unit_test(knows_the_note),
        cmocka_unit_test(survives_broken_notes),          cmocka_unit_test(knows_build_information),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
