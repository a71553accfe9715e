/* verdict.c: see verdict.h. Each judge_ function checks one thing; the first check that fails gives the first
 * reason, and later checks can only lower the verdict. */
#include "launcher/inspect/verdict.h"

#include "core/text.h"

#include <stdarg.h>
#include <string.h>

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const names[] = {"full", "partial", "external", "unexamined", "none"};
    return names[kind];
}

/* ---- the words -------------------------------------------------------------------------------------- */

/* One sentence; `name` comes from a file and is escaped, NULL = it has none. One too many is left out. */
static void say(struct verdict *v, const char *before, const char *name, const char *after)
{
    if (v->reason_count == VERDICT_REASONS_MAX)
        return;
    struct text t;
    text_init(&t, v->reasons[v->reason_count++], VERDICT_REASON_MAX);
    text_str(&t, before);
    if (name)
        text_quoted(&t, name, strlen(name), false);
    text_str(&t, after);
}

static void lower(struct verdict *v, enum verdict_kind kind, enum verdict_way way)
{
    if (kind > v->kind)
        v->kind = kind;
    if (way > v->way)
        v->way = way;
}

/* ---- why a program cannot be started -------------------------------------------------------------------- */

/* false: no caller could start the program here, so no other fact matters. */
static bool judge_start(const struct program_facts *f, struct verdict *v)
{
    if (f->problem[0])
        say(v, f->problem, NULL, "");
    else if (f->kind == ELF_LIBRARY)
        say(v, "it is a shared library, not a program", NULL, "");
    else if (f->kind != ELF_PROGRAM)
        say(v, "it is an ELF file, but no program", NULL, "");
    else if (f->other_machine)
        say(v, "it is for another machine: ", f->machine_name, f->bits == 32 ? ", 32-bit" : ", 64-bit");
    else if (f->interpreter_missing)
        say(v, "its dynamic linker ", f->interpreter, " does not exist here");
    else if (f->libc == ELF_LIBC_GLIBC && f->libc_found[0] &&
             elf_needs_compare_versions(f->libc_needed, f->libc_found) > 0)
        say(v, "it was built for a newer glibc, ", f->libc_needed, ", than the one here");
    if (f->unexamined)
        lower(v, VERDICT_UNEXAMINED, VERDICT_BY_PRELOAD);
    else if (v->reason_count)
        lower(v, VERDICT_NONE, VERDICT_NO_WAY);
    return v->reason_count == 0;
}

static void judge_privileges(const struct program_facts *f, struct verdict *v)
{
    if (!f->setuid && !f->setgid && !f->capabilities)
        return;
    const char *what = f->setuid ? "set-user-ID" : f->setgid ? "set-group-ID" : "given capabilities of its own";
    char before[96];
    struct text t;
    text_init(&t, before, sizeof before);
    text_str(&t, "it is ");
    text_str(&t, what);
    say(v, before, NULL,
        f->secure ? ": LD_PRELOAD is ignored when you start it"
                  : ": LD_PRELOAD is ignored when most users start it, though not when you do");
    lower(v, VERDICT_EXTERNAL, f->secure ? VERDICT_BY_EXTERNAL : VERDICT_BY_PRELOAD);
}

static void judge_env(const struct program_facts *f, struct verdict *v)
{
    if (!f->env_clears)
        return;
    say(v, "on the way to it, env takes LD_PRELOAD out of the environment", NULL, "");
    lower(v, VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL);
}

/* ---- the ways in ------------------------------------------------------------------------------------ */

/* The only place that decides for which builds of Go the library can interpose the system calls (DESIGN section 10):
 * those whose routine is known. The launcher maps the library at exec into a static program, and into one in which
 * musl runs no constructor: no env may stand between the launcher and such a program. */
static enum verdict_way way_into_go(const struct program_facts *f)
{
    if (!f->go.marked || f->go.entries != 1)
        return VERDICT_BY_EXTERNAL;
    if (f->link == ELF_DYNAMIC && !f->unconstructed)
        return VERDICT_BY_PRELOAD;
    return f->by_env ? VERDICT_BY_EXTERNAL : VERDICT_BY_LAUNCHER;
}

static const char *why_not_into_go(const struct program_facts *f)
{
    if (f->go.entries != 1)
        return ") whose routine for system calls is none that is known";
    return f->go.marked ? "), which no preload reaches, and executed by env: nothing can be put into it"
                        : ") without what the library knows Go by";
}

static void judge_go(const struct program_facts *f, struct verdict *v)
{
    enum verdict_way way = way_into_go(f);
    const char *version = f->go.version[0] ? f->go.version : "an unknown version";
    if (way == VERDICT_BY_EXTERNAL)
        say(v, "it is a Go program (", version, why_not_into_go(f));
    else if (way == VERDICT_BY_LAUNCHER && f->unconstructed)
        say(v, "it is a Go program (", version,
            ") whose libc, musl, runs no constructors: `lastcall run` puts the hooks into it as it starts");
    else if (way == VERDICT_BY_LAUNCHER)
        say(v, "it is a static Go program (", version, "): `lastcall run` puts the hooks into it as it starts");
    else
        say(v, "it is a Go program (", version, "): the hooks stand before the system calls that it makes itself");
    lower(v, way == VERDICT_BY_EXTERNAL ? VERDICT_EXTERNAL : VERDICT_FULL, way);
}

static void judge_static(struct verdict *v)
{
    say(v, "it is linked statically: there is no dynamic linker that could load anything into it", NULL, "");
    lower(v, VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL);
}

static bool imports_any(const struct program_facts *f)
{
    for (unsigned i = 0; i < HOOKS; i++)
        if (f->calls.imports[i])
            return true;
    return false;
}

static void judge_accept(const struct program_facts *f, struct verdict *v)
{
    elf_importer who = f->calls.imports[HOOK_accept4] ? f->calls.imports[HOOK_accept4] : f->calls.imports[HOOK_accept];
    if (who == 1)
        say(v, "it takes its connections through libc", NULL, "");
    else if (who)
        say(v, "it takes its connections through libc, in ", f->libraries[who - 2].name, "");
    else if (f->calls.dlopen)
        say(v, "it takes no connection itself; what it loads as it runs (dlopen) or starts is reached as well", NULL,
            "");
    else
        say(v, "it takes no connection itself; what it starts is reached as well", NULL, "");
}

/* AsanCheckDynamicRTPrereqs() of compiler-rt's asan_linux.cpp, which gcc has too: the first library of the link map,
 * but for the vdso, must be the runtime. */
const struct elf_library *verdict_first_library(const struct program_facts *f)
{
    for (unsigned i = 0; i < f->library_count; i++) {
        const char *name = f->libraries[i].name;
        if (strncmp(name, "libasan.so", 10) == 0 || strncmp(name, "libclang_rt.asan", 16) == 0)
            return &f->libraries[i];
    }
    return NULL;
}

static void judge_order(const struct program_facts *f, struct verdict *v)
{
    const struct elf_library *first = verdict_first_library(f);
    if (!first)
        return;
    say(v, "its AddressSanitizer, ", first->name,
        ", must be the first library: with LD_PRELOAD alone it does not start; lastcall run puts it first");
    lower(v, VERDICT_PARTIAL, VERDICT_BY_PRELOAD);
}

static void judge_dynamic(const struct program_facts *f, struct verdict *v)
{
    judge_order(f, v);
    if (!imports_any(f) && !f->calls.dlopen) {
        say(v, "it is linked dynamically, but makes none of the calls that are interposed", NULL, "");
        lower(v, VERDICT_EXTERNAL, VERDICT_BY_EXTERNAL);
        return;
    }
    if (f->libc == ELF_LIBC_OTHER) {
        say(v, "its libc is none that is known: its dynamic linker is ", f->interpreter, "");
        lower(v, VERDICT_PARTIAL, VERDICT_BY_PRELOAD);
    }
    if (f->calls.io_uring) {
        say(v, "it uses io_uring: what that does with a connection is not seen", NULL, "");
        lower(v, VERDICT_PARTIAL, VERDICT_BY_PRELOAD);
    }
    if (v->kind < VERDICT_EXTERNAL)
        judge_accept(f, v);
}

/* ---- what else should be known ---------------------------------------------------------------------- */

static void add_remarks(const struct program_facts *f, struct verdict *v)
{
    const char *slash = strrchr(f->path, '/');
    if (strncmp(slash ? slash + 1 : f->path, "uwsgi", 5) == 0)
        say(v, "TERM means reload to uwsgi: set LASTCALL_FORWARD=QUIT or its die-on-term", NULL, "");
    if (f->calls.ssl && v->kind < VERDICT_EXTERNAL)
        say(v, "TLS, which it does by libssl, is opaque: let finish while bytes move", NULL, "");
    else if (f->ssl_inside && v->kind < VERDICT_EXTERNAL)
        say(v, "TLS, which it does by a libssl of its own, is opaque: let finish while bytes move", NULL, "");
    if (f->calls.dlopen == 1 && f->link == ELF_DYNAMIC)
        say(v, "what it loads with RTLD_DEEPBIND, if anything, calls past the hooks; that cannot be told beforehand",
            NULL, "");
    for (unsigned i = 0; i < f->library_count; i++)
        if (!f->libraries[i].path[0])
            say(v, "its library ", f->libraries[i].name, " was not found; it may not start");
}

void verdict_of(const struct program_facts *f, struct verdict *v)
{
    *v = (struct verdict){0};
    if (!judge_start(f, v))
        return;
    judge_privileges(f, v);
    judge_env(f, v);
    if (f->go.built)
        judge_go(f, v);
    else if (f->link != ELF_DYNAMIC)
        judge_static(v);
    else
        judge_dynamic(f, v);
    add_remarks(f, v);
}
