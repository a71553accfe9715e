/* verdict.c: see verdict.h. */
#include "verdict.h"

#include "../core/text.h"

#include <elf.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#endif

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const names[] = {"full", "partial", "outside", "none"};
    return names[kind];
}

/* One sentence; those that do not fit are left out, the first never. */
static void say(struct verdict *v, const char *before, const char *name, const char *after)
{
    if (v->reason_count == VERDICT_REASONS_MAX)
        return;
    struct text t;
    text_init(&t, v->reasons[v->reason_count++], VERDICT_REASON_MAX);
    text_str(&t, before);
    text_str(&t, name);
    text_str(&t, after);
}

static void decide(struct verdict *v, enum verdict_kind kind, enum verdict_way way)
{
    v->kind = kind;
    v->way = way;
}

/* false: nobody could start it here, so nothing else matters. */
static bool judge_start(const struct elf_facts *f, struct verdict *v)
{
    decide(v, VERDICT_NONE, VERDICT_NO_WAY);
    if (f->problem[0])
        say(v, f->problem, "", "");
    else if (f->kind == ELF_LIBRARY)
        say(v, "it is a shared library, not a program", "", "");
    else if (f->kind != ELF_PROGRAM)
        say(v, "it is an ELF file, but no program", "", "");
    else if (f->machine != OWN_MACHINE || f->bits != 64 || f->big_endian)
        say(v, "it is for another machine: ", f->machine_name, f->bits == 32 ? ", 32-bit" : "");
    return v->reason_count == 0;
}

/* The way in, were it not for its privileges. */
static void judge_way(const struct elf_facts *f, struct verdict *v)
{
    decide(v, VERDICT_OUTSIDE, VERDICT_FROM_OUTSIDE);
    if (f->go) {
        say(v, "it is a Go program, which makes its system calls without libc", "", "");
    } else if (f->link != ELF_DYNAMIC) {
        say(v, "it is linked statically: there is no dynamic linker that could load anything into it", "", "");
    } else {
        decide(v, VERDICT_FULL, VERDICT_BY_PRELOAD);
        say(v, "it is linked dynamically", "", "");
    }
}

static void judge_privileges(const struct elf_facts *f, struct verdict *v)
{
    if (!f->setuid && !f->setgid && !f->capabilities)
        return;
    v->kind = VERDICT_OUTSIDE;
    say(v, "it gains privileges when it starts: LD_PRELOAD is ignored", "", "");
    if (f->secure)
        v->way = VERDICT_FROM_OUTSIDE;
}

void verdict_of(const struct elf_facts *f, struct verdict *v)
{
    *v = (struct verdict){0};
    if (!judge_start(f, v))
        return;
    judge_way(f, v);
    judge_privileges(f, v);
}
