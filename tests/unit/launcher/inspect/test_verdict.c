/* test_verdict.c: from facts to verdicts: one change each, of a server that is as plain as can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/inspect/verdict.h"

static struct program_facts facts;
static struct verdict verdict;

/* A dynamic program with glibc that accepts by itself. */
static struct program_facts *plain(void)
{
    memset(&facts, 0, sizeof facts);
    strcpy(facts.path, "/usr/sbin/server");
    strcpy(facts.machine_name, "x86_64");
    strcpy(facts.interpreter, "/lib64/ld-linux-x86-64.so.2");
    strcpy(facts.libc_needed, "2.34");
    strcpy(facts.libc_found, "2.36");
    facts.kind = ELF_PROGRAM;
    facts.link = ELF_DYNAMIC;
    facts.libc = ELF_LIBC_GLIBC;
    facts.bits = 64;
    facts.executable = true;
    facts.calls.imports[HOOK_accept4] = 1;
    return &facts;
}

static struct program_facts *plain_static(void)
{
    struct program_facts *f = plain();
    f->link = ELF_STATIC;
    f->libc = ELF_LIBC_NONE;
    memset(f->calls.imports, 0, sizeof f->calls.imports);
    return f;
}

static void add_library(struct program_facts *f, const char *name, const char *path)
{
    struct elf_library *l = &f->libraries[f->library_count++];
    strcpy(l->name, name);
    strcpy(l->path, path);
}

static void expect(enum verdict_kind kind, enum verdict_way way, const char *first)
{
    verdict_of(&facts, &verdict);
    assert_true(verdict.reason_count > 0 && verdict.reason_count <= VERDICT_REASONS_MAX);
    if (!strstr(verdict.reasons[0], first))
        fail_msg("it says: %s; not: %s", verdict.reasons[0], first);
    assert_string_equal(verdict_name(verdict.kind), verdict_name(kind));
    assert_int_equal(verdict.way, way);
}

static bool says(const char *words)
{
    for (unsigned i = 0; i < verdict.reason_count; i++)
        if (strstr(verdict.reasons[i], words))
            return true;
    return false;
}

static void full(void **state UNUSED)
{
    plain();
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "it takes its connections through libc");
    assert_int_equal(verdict.reason_count, 1);
    plain()->libc = ELF_LIBC_MUSL;
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
}

static void names_the_library_that_accepts(void **state UNUSED)
{
    add_library(plain(), "libc.so.6", "/lib/libc.so.6");
    add_library(&facts, "libuv.so.1", "/lib/libuv.so.1");
    facts.calls.imports[HOOK_accept4] = 3;
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "in \"libuv.so.1\"");
}

static void accepts_nowhere(void **state UNUSED)
{
    plain()->calls.imports[HOOK_accept4] = 0;
    facts.calls.imports[HOOK_read] = 1;
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "no connection itself; what it starts");
    facts.calls.dlopen = 1;
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "what it loads as it runs (dlopen)");
}

static void calls_nothing(void **state UNUSED)
{
    plain()->calls.imports[HOOK_accept4] = 0;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "none of the calls that are interposed");
}

static void partial(void **state UNUSED)
{
    plain()->calls.io_uring = 1;
    expect(VERDICT_PARTIAL, VERDICT_BY_PRELOAD, "io_uring");
    plain()->libc = ELF_LIBC_OTHER;
    strcpy(facts.interpreter, "/lib/ld-\033uclibc");
    expect(VERDICT_PARTIAL, VERDICT_BY_PRELOAD, "\"/lib/ld-\\x1buclibc\"");
}

static void outside(void **state UNUSED)
{
    plain_static();
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "linked statically");
    plain_static()->link = ELF_STATIC_PIE;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "linked statically");
    plain()->env_clears = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "env takes LD_PRELOAD out");
}

/* The kind is for anybody, the way for the caller. */
static void privileged(void **state UNUSED)
{
    plain()->setuid = true;
    facts.secure = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "it is set-user-ID: LD_PRELOAD is ignored when you start it");
    assert_false(says("takes its connections"));
    facts.secure = false;
    expect(VERDICT_EXTERNAL, VERDICT_BY_PRELOAD, "it is set-user-ID: LD_PRELOAD is ignored when most users start it");
    plain()->setgid = true;
    facts.secure = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "it is set-group-ID");
    plain()->capabilities = true;
    facts.secure = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "capabilities of its own");
    plain_static()->capabilities = true;
    facts.secure = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "capabilities of its own");
    assert_true(says("linked statically"));
}

static void none(void **state UNUSED)
{
    strcpy(plain()->problem, "\"x\" does not exist");
    expect(VERDICT_NONE, VERDICT_NO_WAY, "\"x\" does not exist");
    plain()->kind = ELF_LIBRARY;
    expect(VERDICT_NONE, VERDICT_NO_WAY, "shared library");
    plain()->kind = ELF_OTHER;
    expect(VERDICT_NONE, VERDICT_NO_WAY, "no program");
    plain_static()->other_machine = true;
    strcpy(facts.machine_name, "aarch64");
    expect(VERDICT_NONE, VERDICT_NO_WAY, "another machine: \"aarch64\", 64-bit");
    facts.bits = 32;
    expect(VERDICT_NONE, VERDICT_NO_WAY, "32-bit");
    plain()->interpreter_missing = true;
    expect(VERDICT_NONE, VERDICT_NO_WAY, "its dynamic linker \"/lib64/ld-linux-x86-64.so.2\" does not exist");
}

static void sanitized(void **state UNUSED)
{
    plain();
    assert_null(verdict_first_library(&facts));
    add_library(&facts, "libasan.so.8", "/lib/libasan.so.8");
    expect(VERDICT_PARTIAL, VERDICT_BY_PRELOAD, "\"libasan.so.8\", must be the first library");
    assert_string_equal(verdict_first_library(&facts)->path, "/lib/libasan.so.8");
    plain();
    add_library(&facts, "libclang_rt.asan-x86_64.so", "/lib/c.so");
    expect(VERDICT_PARTIAL, VERDICT_BY_PRELOAD, "must be the first library");
}

static void unexamined(void **state UNUSED)
{
    plain();
    strcpy(facts.problem, "\"x\" may not be read");
    facts.unexamined = true;
    expect(VERDICT_UNEXAMINED, VERDICT_BY_PRELOAD, "may not be read");
}

static void compares_versions_as_numbers(void **state UNUSED)
{
    strcpy(plain()->libc_needed, "2.38");
    expect(VERDICT_NONE, VERDICT_NO_WAY, "newer glibc, \"2.38\"");
    strcpy(facts.libc_needed, "2.4");
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
    strcpy(facts.libc_needed, "3");
    expect(VERDICT_NONE, VERDICT_NO_WAY, "newer glibc");
    strcpy(facts.libc_needed, "2.36");
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
    strcpy(facts.libc_needed, "2.36.1");
    expect(VERDICT_NONE, VERDICT_NO_WAY, "newer glibc");
    facts.libc_found[0] = '\0'; /* not known: nothing is said */
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
}

static struct program_facts *as_go(struct program_facts *f)
{
    f->go.built = f->go.marked = true;
    f->go.entries = 1;
    strcpy(f->go.version, "go1.22.3");
    return f;
}

static void go(void **state UNUSED)
{
    as_go(plain());
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "Go program (\"go1.22.3\"): the hooks stand before");
    memset(facts.calls.imports, 0, sizeof facts.calls.imports); /* a PIE without libc */
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "the hooks stand before");
    as_go(plain())->go.entries = 0;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "none that is known");
    as_go(plain())->go.entries = 2;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "none that is known");
    as_go(plain())->go.marked = false;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "without what the library knows Go by");
    as_go(plain_static())->go.version[0] = '\0';
    expect(VERDICT_FULL, VERDICT_BY_LAUNCHER, "static Go program (\"an unknown version\")");
    as_go(plain_static())->by_env = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "executed by env");
    as_go(plain())->unconstructed = true;
    expect(VERDICT_FULL, VERDICT_BY_LAUNCHER, "whose libc, musl, runs no constructors");
    facts.by_env = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "no preload reaches, and executed by env");
    as_go(plain_static())->go.entries = 0;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "none that is known");
    as_go(plain_static())->capabilities = true; /* nobody may trace what gains privileges */
    facts.secure = true;
    expect(VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL, "capabilities of its own");
}

static void remarks(void **state UNUSED)
{
    plain()->calls.ssl = 1;
    strcpy(facts.path, "/usr/bin/uwsgi-core");
    add_library(&facts, "libgone.so.1", "");
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
    assert_true(says("TLS"));
    assert_true(says("LASTCALL_FORWARD=QUIT"));
    assert_true(says("\"libgone.so.1\" was not found"));
    for (unsigned i = 0; i < 2 * VERDICT_REASONS_MAX; i++)
        add_library(&facts, "libgone.so.1", "");
    expect(VERDICT_FULL, VERDICT_BY_PRELOAD, "");
    assert_int_equal(verdict.reason_count, VERDICT_REASONS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full),
        cmocka_unit_test(names_the_library_that_accepts),
        cmocka_unit_test(accepts_nowhere),
        cmocka_unit_test(calls_nothing),
        cmocka_unit_test(partial),
        cmocka_unit_test(outside),
        cmocka_unit_test(privileged),
        cmocka_unit_test(none),
        cmocka_unit_test(sanitized),
        cmocka_unit_test(unexamined),
        cmocka_unit_test(compares_versions_as_numbers),
        cmocka_unit_test(go),
        cmocka_unit_test(remarks),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
