/* check.c: `lastcall check`: the inspector's facts (program.h) and verdict (verdict.h), for people or for programs. */
#include "launcher/commands.h"
#include "launcher/inspect/verdict.h"

#include "core/text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 14, LINE = 110 };

static const char *const way_names[] = {"preload", "launcher", "external", "none"};
static const char *const libc_names[] = {"none", "glibc", "musl", "unknown"};
static const char *const link_names[] = {"static", "static-pie", "dynamic"};

/* What shows only while the program runs, where `lastcall status` says it. NULL ends the list. */
static const char *const not_known[] = {
    "what is spoken on its listeners: those that are plainly not HTTP are left alone",
    "whether it has a handler of its own for the stop signal: that one runs when the drain is over",
    NULL,
};

/* Fit for a terminal: a name that has anything odd in it is quoted. */
static const char *shown(const char *name)
{
    static char buffers[2][4 * PATH_MAX];
    static unsigned turn;
    struct text t;
    const char *s = name;
    while (*s > ' ' && *s <= '~')
        s++;
    if (!*s && s != name)
        return name;
    text_init(&t, buffers[turn ^= 1], sizeof buffers[0]);
    text_quoted(&t, name, strlen(name), false);
    return t.at;
}

/* ---- the table -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void row(const char *label, const char *format, ...)
{
    va_list args;
    printf("  %-*s", LABEL, label);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

struct names { /* a table of names, and the importer of each */
    const char *label;
    const char *const *names;
    const elf_importer *importers;
    unsigned count;
};

/* The names that `who` imports, in lines of a readable length. */
static void print_names(const struct names *n, const char *label, elf_importer who)
{
    int column = 0;
    for (unsigned i = 0; i < n->count; i++) {
        if (n->importers[i] != who)
            continue;
        if (column + (int)strlen(n->names[i]) > LINE)
            column = printf("\n  %-*s", LABEL, "");
        else if (!column)
            column = printf("  %-*s", LABEL, label);
        column += printf("%s ", n->names[i]);
    }
    if (column)
        putchar('\n');
}

static void print_imports(const struct names *n, const struct program_facts *f)
{
    bool any = false, own = false;
    for (unsigned i = 0; i < n->count; i++) {
        any |= n->importers[i] != 0;
        own |= n->importers[i] == 1;
    }
    if (any && !own)
        row(n->label, "none by itself");
    print_names(n, n->label, 1);
    for (unsigned i = 0; i < f->library_count; i++) {
        char label[LABEL + 4 * ELF_NAME_MAX];
        snprintf(label, sizeof label, "  by %s ", shown(f->libraries[i].name));
        print_names(n, label, (elf_importer)(i + 2));
    }
}

static void print_libc(const struct program_facts *f)
{
    row("linker", "%s%s", shown(f->interpreter), f->interpreter_missing ? " (not here)" : "");
    row("libc", "%s%s%s%s%s%s", libc_names[f->libc], f->libc_found[0] ? " " : "", f->libc_found,
        f->libc_needed[0] ? " (asked for: " : "", f->libc_needed, f->libc_needed[0] ? " or newer)" : "");
}

static void print_privileges(const struct program_facts *f)
{
    if (f->setuid || f->setgid || f->capabilities)
        row("privileges", "%s%s%s", f->setuid ? "set-user-ID " : "", f->setgid ? "set-group-ID " : "",
            f->capabilities ? "capabilities" : "");
}

static void print_libraries(const struct program_facts *f)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < f->library_count; i++)
        missing += !f->libraries[i].path[0];
    if (f->library_count)
        row("libraries", missing ? "%u, of which %u were not found" : "%u", f->library_count, missing);
    for (unsigned i = 0; i < f->library_count; i++)
        if (!f->libraries[i].path[0])
            row("  not found", "%s", shown(f->libraries[i].name));
}

static void print_program(const struct program_facts *f)
{
    row("format", "%s, %u-bit, %s%s", f->machine_name, f->bits, link_names[f->link],
        f->pie && f->link == ELF_DYNAMIC ? ", PIE" : "");
    if (f->link == ELF_DYNAMIC)
        print_libc(f);
    if (f->go.built)
        row("Go", "%s%s%s", f->go.version[0] ? f->go.version : "unknown version", f->go.cgo ? ", built with cgo" : "",
            f->go.entries == 1 ? ", its routine for system calls is known" : "");
    print_privileges(f);
    print_libraries(f);
    print_imports(&(struct names){"hooks", hook_names, f->calls.imports, HOOKS}, f);
    print_imports(&(struct names){"bypass", elf_needs_bypass_names, f->calls.bypasses, PROGRAM_BYPASSES}, f);
    static const char *const others[] = {"dlopen", "libssl", "io_uring"};
    print_imports(&(struct names){"uses", others, (elf_importer[]){f->calls.dlopen, f->calls.ssl, f->calls.io_uring},
                                  COUNT(others)},
                  f);
    if (f->ssl_inside)
        row("built in", "libssl");
}

static void print_table(const struct program_facts *f, const struct verdict *v)
{
    printf("%s: %s\n", shown(f->asked), verdict_name(v->kind));
    for (unsigned i = 0; i < v->reason_count; i++)
        row(i ? "" : "because", "%s", v->reasons[i]);
    if (f->script[0])
        row("script", "%s", shown(f->script));
    if (strcmp(f->path, f->asked) != 0)
        row("program", "%s", shown(f->path));
    if (f->kind == ELF_PROGRAM)
        print_program(f);
    for (unsigned i = 0; v->kind != VERDICT_NONE && not_known[i]; i++)
        row(i ? "" : "not known", "%s", not_known[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

/* A name may be no UTF-8; it is escaped then. "" is null. */
static json_t *json_name(const char *name)
{
    json_t *s = *name ? json_string(name) : json_null();
    return s ? s : json_string(shown(name));
}

static json_t *json_importer(const struct program_facts *f, elf_importer who)
{
    return who < 2 ? who ? json_string("itself") : json_null() : json_name(f->libraries[who - 2].name);
}

static json_t *json_imports(const struct names *n, const struct program_facts *f)
{
    json_t *all = json_object();
    for (unsigned i = 0; i < n->count; i++)
        if (n->importers[i])
            json_object_set_new(all, n->names[i], json_importer(f, n->importers[i]));
    return all;
}

static json_t *json_libraries(const struct program_facts *f)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < f->library_count; i++) {
        const struct elf_library *l = &f->libraries[i];
        json_array_append_new(all, json_pack("{s:o, s:o, s:b}", "name", json_name(l->name), "path", json_name(l->path),
                                             "direct", l->direct));
    }
    return all;
}

static void add_format(json_t *o, const struct program_facts *f)
{
    json_object_set_new(o, "bits", json_integer(f->bits));
    json_object_set_new(o, "byte_order", json_string(f->big_endian ? "big" : "little"));
    json_object_set_new(o, "machine", json_string(f->machine_name));
    json_object_set_new(o, "link", json_string(link_names[f->link]));
    json_object_set_new(o, "pie", json_boolean(f->pie));
    json_object_set_new(o, "interpreter", json_name(f->interpreter));
    json_object_set_new(o, "libc", json_string(libc_names[f->libc]));
    json_object_set_new(o, "libc_asked", json_name(f->libc_needed));
    json_object_set_new(o, "libc_found", json_name(f->libc_found));
    json_object_set_new(o, "go", json_boolean(f->go.built));
    json_object_set_new(o, "go_version", json_name(f->go.version));
    json_object_set_new(o, "go_cgo", json_boolean(f->go.cgo));
    json_object_set_new(o, "go_routine", json_boolean(f->go.entries == 1));
    json_object_set_new(o, "setuid", json_boolean(f->setuid));
    json_object_set_new(o, "setgid", json_boolean(f->setgid));
    json_object_set_new(o, "capabilities", json_boolean(f->capabilities));
    json_object_set_new(o, "executable", json_boolean(f->executable));
}

static void add_needs(json_t *o, const struct program_facts *f)
{
    struct names hooks = {"", hook_names, f->calls.imports, HOOKS},
                 past = {"", elf_needs_bypass_names, f->calls.bypasses, PROGRAM_BYPASSES};
    json_object_set_new(o, "libraries", json_libraries(f));
    json_object_set_new(o, "hooks", json_imports(&hooks, f));
    json_object_set_new(o, "bypasses", json_imports(&past, f));
    json_object_set_new(o, "dlopen", json_importer(f, f->calls.dlopen));
    json_object_set_new(o, "libssl", f->ssl_inside ? json_string("built in") : json_importer(f, f->calls.ssl));
    json_object_set_new(o, "io_uring", json_importer(f, f->calls.io_uring));
}

static json_t *json_check(const struct program_facts *f, const struct verdict *v)
{
    json_t *o = json_object(), *reasons = json_array(), *unknown = json_array();
    for (unsigned i = 0; i < v->reason_count; i++)
        json_array_append_new(reasons, json_name(v->reasons[i]));
    for (unsigned i = 0; v->kind != VERDICT_NONE && not_known[i]; i++)
        json_array_append_new(unknown, json_string(not_known[i]));
    json_object_set_new(o, "file", json_name(f->asked));
    json_object_set_new(o, "verdict", json_string(verdict_name(v->kind)));
    json_object_set_new(o, "way", json_string(way_names[v->way]));
    json_object_set_new(o, "reasons", reasons);
    json_object_set_new(o, "not_known", unknown);
    json_object_set_new(o, "program", json_name(f->path));
    json_object_set_new(o, "script", json_name(f->script));
    json_object_set_new(o, "scripts", json_integer(f->scripts));
    if (f->kind == ELF_PROGRAM) {
        add_format(o, f);
        add_needs(o, f);
    }
    return o;
}

/* ---- the command ------------------------------------------------------------------------------------ */

static int status_of(enum verdict_kind kind)
{
    return kind == VERDICT_FULL ? 0 : kind == VERDICT_NONE ? 2 : 1;
}

/* Puts one file's outcome into `all`, or prints it where `all` is NULL. */
static int check_one(const char *file, json_t *all)
{
    static struct program_facts facts;
    struct verdict v;
    program_find(file, &facts);
    verdict_of(&facts, &v);
    if (all)
        json_array_append_new(all, json_check(&facts, &v));
    else
        print_table(&facts, &v);
    return status_of(v.kind);
}

static struct settings {
    bool json;
} settings;

static int run(int argc, char **argv)
{
    int worst = 0;
    if (argc == 0)
        return cli_usage(&command_check, "check needs a FILE");
    json_t *all = settings.json ? json_array() : NULL;
    for (int i = 0; i < argc; i++) {
        int status = check_one(argv[i], all);
        worst = status > worst ? status : worst;
    }
    if (all) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    }
    if (fflush(stdout) != 0)
        return cli_fail(2, "the output cannot be written");
    return worst;
}

static const struct cli_option options[] = {
    {"json", 0, NULL, "an array of objects instead of a table", NULL, cli_take_switch, offsetof(struct settings, json)},
    {0},
};

static const char about[] =
    "FILE is a command: without a slash it is looked up in PATH. Scripts (#!) and env are followed to the program.\n";

static const char help[] =
    "  full       each connection is drained with all that lastcall knows\n"
    "  partial    the library is loaded, but some connections are beyond it\n"
    "  external   the library cannot be loaded into it; lastcall run drains it externally\n"
    "  unexamined what it is cannot be told: the file may not be read, or env -S has more than plain words\n"
    "  none       it cannot be started here, or is no program\n"
    "\n"
    "Exit status: 0 full, 1 partial, external or unexamined, 2 none or an error; of several files the highest.\n";

const struct command command_check = {
    .name = "check",
    .words = "FILE...",
    .summary = "say what can be done for a program, and why",
    .about = about,
    .help = help,
    .options = options,
    .settings = &settings,
    .run = run,
};
