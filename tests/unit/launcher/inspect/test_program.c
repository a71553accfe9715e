/* test_program.c: small ELF files, whole, cut at every length, and with mutations that are the same each
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <cmocka.h>

#include "elf_oracle.h"
#include "repeats.h"

enum { SEED_MAX = 4096 };

/* What made them is told in their names: GNU as and ld, without sections that do not matter; big-endian by hand. */
static const struct seed {
    const char *name;
    unsigned machine, bits;
    enum elf_link link;
    bool big_endian, go;
    const char *go_version;
} seeds[] = {
    {"dynamic", 62, 64, ELF_DYNAMIC, false, false, ""},
    {"static-pie", 62, 64, ELF_STATIC_PIE, false, false, ""},
    {"go-inline", 62, 64, ELF_STATIC, false, true, "go1.22.3"},
    {"go-pointers", 62, 64, ELF_STATIC, false, true, "go1.17"},
    {"i386", 3, 32, ELF_DYNAMIC, false, false, ""},
    {"big-endian", 183, 64, ELF_DYNAMIC, true, false, ""},
};

static uint8_t bytes[SEED_MAX];

static size_t load(const struct seed *seed)
{
    char path[128];
    snprintf(path, sizeof path, "tests/fuzz/corpus/program/%s", seed->name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n > 64 && n < sizeof bytes);
    return n;
}

static int memory_file(void)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void reads_whole_files(void **state UNUSED)
{
    int fd = memory_file();
    for (const struct seed *s = seeds; s < seeds + COUNT(seeds); s++) {
        assert_true(oracle_fill(fd, bytes, load(s)));
        assert_null(oracle_scan(fd));
        const struct program_facts *f = &oracle_facts;
        assert_int_equal(f->kind, ELF_PROGRAM);
        assert_int_equal(f->machine, s->machine);
        assert_int_equal(f->bits, s->bits);
        assert_int_equal(f->link, s->link);
        assert_int_equal(f->big_endian, s->big_endian);
        assert_int_equal(f->go.built, s->go);
        assert_int_equal(f->go.cgo, s->go);
        assert_string_equal(f->go.version, s->go_version);
    }
    close(fd);
}

static void reads_what_it_needs(void **state UNUSED)
{
    int fd = memory_file();
    assert_true(oracle_fill(fd, bytes, load(&seeds[0])));
    assert_null(oracle_scan(fd));
    const struct program_facts *f = &oracle_facts;
    assert_string_equal(f->interpreter, "/lib64/ld-linux-x86-64.so.2");
    assert_int_equal(f->libc, ELF_LIBC_GLIBC);
    assert_string_equal(f->libc_needed, "2.34");
    assert_int_equal(f->library_count, 1);
    assert_string_equal(f->libraries[0].name, "libc.so.6");
    assert_int_equal(f->calls.dlopen, 1);
    assert_int_equal(f->calls.bypasses[0], 1); /* fdopen */
    for (unsigned i = 0; i < HOOKS; i++) {
        bool named = i == HOOK_accept4 || i == HOOK_read || i == HOOK_write || i == HOOK_exit;
        assert_int_equal(f->calls.imports[i], named);
    }
    close(fd);
}

static void scan(int fd, const char *what, size_t number)
{
    const char *complaint = oracle_scan(fd);
    if (complaint)
        fail_msg("%s %zu: %s", what, number, complaint);
}

static void cut_at_every_length(void **state UNUSED)
{
    int fd = memory_file();
    for (const struct seed *s = seeds; s < seeds + COUNT(seeds); s++)
        for (size_t n = load(s); n-- > 0;) {
            assert_true(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
            scan(fd, s->name, n);
        }
    close(fd);
}

/* ---- mutations -------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{ /* xorshift64 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* Sizes and offsets that hurt. */
static uint64_t odd_number(size_t n)
{
    const uint64_t odd[] = {0, 1, n, n - 1, n + 1, 0x7fffffff, 0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX, 1u << 30};
    return odd[random_below(COUNT(odd))];
}

static void mutate_once(uint8_t *s, size_t n)
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned width = widths[random_below(COUNT(widths))];
    size_t at = random_below(2) ? random_below(n - 8) : random_below(n / 4), from = random_below(n - 8);
    uint64_t odd = odd_number(n);
    switch (random_below(4)) {
    case 0: s[at] ^= (uint8_t)(1u << random_below(8)); break;
    case 1: s[at] = (uint8_t)random_below(256); break;
    case 2: memcpy(s + at, &odd, width); break;
    default: memmove(s + at, s + from, width); break;
    }
}

static size_t mutate(uint8_t *s, size_t n)
{
    for (uint64_t i = 1 + random_below(4); i; i--)
        mutate_once(s, n);
    return random_below(8) ? n : 1 + random_below(n);
}

static void mutated(void **state UNUSED)
{
    int fd = memory_file();
    unsigned programs = 0, mutations = repeats(10000);
    for (size_t i = 0; i < mutations; i++) {
        random_state = 0x9e3779b97f4a7c15u * (i + 1);
        size_t n = load(&seeds[i % COUNT(seeds)]);
        n = mutate(bytes, n);
        assert_true(oracle_fill(fd, bytes, n));
        scan(fd, "mutation", i);
        programs += oracle_facts.kind == ELF_PROGRAM;
    }
    /* Were all of them refused at once, nothing after it would have been tried. */
    assert_in_range(programs, mutations / 4, mutations - mutations / 20);
    close(fd);
}

/* A real program, with its thousand relocations and its sections: this one. */
static void real_program_mutated(void **state UNUSED)
{
    static uint8_t image[64 << 20], was[4];
    int fd = memory_file(), self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(self, image, sizeof image);
    assert_true(n > 4096 && oracle_fill(fd, image, (size_t)n));
    scan(fd, "itself", 0);
    assert_int_equal(oracle_facts.calls.imports[HOOK_read], 1);
    for (size_t i = 0; i < repeats(300); i++) {
        random_state = 0x9e3779b97f4a7c15u * (i + 1);
        uint64_t head = random_below(4) ? 0x4000 : (uint64_t)n - 8, odd = odd_number((size_t)n);
        off_t at = (off_t)random_below(head);
        memcpy(was, image + at, sizeof was);
        assert_int_equal(pwrite(fd, &odd, sizeof was, at), sizeof was);
        scan(fd, "itself", i);
        assert_int_equal(pwrite(fd, was, sizeof was, at), sizeof was);
    }
    close(self);
    close(fd);
}

static void compares_versions(void **state UNUSED)
{
    assert_true(elf_needs_compare_versions("2.9", "2.36") < 0);
    assert_true(elf_needs_compare_versions("2.36", "2.9") > 0);
    assert_true(elf_needs_compare_versions("2.36", "2.36.1") < 0);
    assert_true(elf_needs_compare_versions("", "2.1") < 0);
    assert_int_equal(elf_needs_compare_versions("2.36", "2.36"), 0);
    assert_int_equal(elf_needs_compare_versions("", ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_files),    cmocka_unit_test(reads_what_it_needs),
        cmocka_unit_test(cut_at_every_length),  cmocka_unit_test(mutated),
        cmocka_unit_test(real_program_mutated), cmocka_unit_test(compares_versions),
    };
    return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
