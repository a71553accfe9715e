/* elf_needs.c: see elf_needs.h. Libraries are read in the order in which the dynamic linker loads them: breadth
 * first. */
#include "launcher/inspect/elf_needs.h"

#include "launcher/inspect/library_path.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const elf_needs_bypass_names[PROGRAM_BYPASSES] = {
    "fdopen",      "dprintf",  "vdprintf",  "__dprintf_chk", "__vdprintf_chk", "preadv2",     "pwritev2",
    "preadv64v2",  "aio_read", "aio_write", "aio_read64",    "aio_write64",    "vmsplice",    "tee",
    "pwritev64v2", "__read",   "__write",   "__close",       "__send",         "__sigaction",
};

struct needs {
    struct program_facts *facts;
    elf_importer who; /* the importer whose file is being read */
    char rpath[4096]; /* the program's DT_RPATH, which is also searched for the needs of its libraries */
};

/* ---- imports ---------------------------------------------------------------------------------------- */

static void note(elf_importer *importer, elf_importer who)
{
    if (!*importer)
        *importer = who;
}

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static void see_import(void *to, const char *name)
{
    struct needs *n = to;
    struct program_facts *f = n->facts;
    enum hook hook = hook_names_find(name);
    if (hook < HOOKS)
        note(&f->calls.imports[hook], n->who);
    for (unsigned i = 0; i < PROGRAM_BYPASSES; i++)
        if (strcmp(elf_needs_bypass_names[i], name) == 0)
            note(&f->calls.bypasses[i], n->who);
    if (strcmp(name, "dlopen") == 0 || strcmp(name, "dlmopen") == 0 || strcmp(name, "__libc_dlopen_mode") == 0)
        note(&f->calls.dlopen, n->who);
    if (begins(name, "SSL_read") || begins(name, "SSL_write"))
        note(&f->calls.ssl, n->who);
    if (begins(name, "io_uring_"))
        note(&f->calls.io_uring, n->who);
    if (n->who == 1 && strcmp(name, "__libc_start_main") == 0)
        f->unconstructed = false;
}

/* ---- libraries -------------------------------------------------------------------------------------- */

/* Imports of libc and of the dynamic linker do not matter: their internal calls lie below the interposed functions. */
static bool is_libc(const char *name)
{
    return begins(name, "libc.so") || begins(name, "libc.musl-") || begins(name, "ld-linux") ||
           begins(name, "ld-musl") || begins(name, "libpthread.so");
}

static void add_library(struct needs *n, struct library_path_query *q)
{
    struct program_facts *f = n->facts;
    for (unsigned i = 0; i < f->library_count; i++)
        if (strcmp(f->libraries[i].name, q->name) == 0)
            return;
    if (f->library_count == ELF_LIBRARIES_MAX || strlen(q->name) >= ELF_NAME_MAX)
        return;
    struct elf_library *library = &f->libraries[f->library_count++];
    memcpy(library->name, q->name, strlen(q->name));
    library->direct = n->who == 1;
    library_path_find(q, library->path, sizeof library->path);
}

static const char *search_path(const struct elf_file *e, int64_t tag)
{
    unsigned at = 0;
    const char *path = elf_file_next(e, tag, &at);
    return path ? path : "";
}

static void read_imports(struct needs *n, struct elf_file *e, const char *path)
{
    const struct program_facts *f = n->facts;
    struct library_path_query q = {.asker = path, .program = f->path, .program_rpath = n->rpath};
    q.rpath = search_path(e, DT_RPATH);
    q.runpath = search_path(e, DT_RUNPATH);
    q.musl = f->libc == ELF_LIBC_MUSL ? f->interpreter : NULL;
    q.machine = f->machine;
    q.bits = f->bits;
    unsigned at = 0;
    while ((q.name = elf_file_next(e, DT_NEEDED, &at)))
        if (*q.name)
            add_library(n, &q);
    elf_file_imports(e, see_import, n);
}

/* Only a regular file comes here: library_path_find has looked. Its descriptor, or -1 without e. */
static int open_library(struct elf_file *e, const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !elf_file_open(e, fd))
        return fd;
    close(fd);
    return -1;
}

static void read_library(struct needs *n, const char *path)
{
    struct elf_file e;
    int fd = open_library(&e, path);
    if (fd < 0)
        return;
    read_imports(n, &e, path);
    elf_file_close(&e);
    close(fd);
}

/* ---- libc ------------------------------------------------------------------------------------------- */

static void copy_version(char *to, const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && i < ELF_VERSION_MAX - 1 && (isdigit((unsigned char)s[i]) || s[i] == '.'))
        i++;
    while (i && s[i - 1] == '.')
        i--;
    memcpy(to, s, i);
    to[i] = '\0';
}

int elf_needs_compare_versions(const char *a, const char *b)
{
    int order = 0;
    while ((*a || *b) && !order) {
        char *a_end, *b_end;
        unsigned long x = strtoul(a, &a_end, 10), y = strtoul(b, &b_end, 10);
        order = (x > y) - (x < y);
        a = *a_end == '.' ? a_end + 1 : "";
        b = *b_end == '.' ? b_end + 1 : "";
    }
    return order;
}

static void see_version(void *to, const char *file, const char *version)
{
    struct program_facts *f = to;
    char number[ELF_VERSION_MAX];
    (void)file;
    if (!begins(version, "GLIBC_") || !isdigit((unsigned char)version[6]))
        return;
    copy_version(number, version + 6, strlen(version + 6));
    if (elf_needs_compare_versions(number, f->libc_needed) > 0)
        memcpy(f->libc_needed, number, sizeof number);
}

/* glibc: "... stable release version 2.36."; musl: a string that holds only a version, "1.2.3". */
static void find_glibc_version(struct program_facts *f, const char *s, size_t n)
{
    static const char before[] = " release version ";
    const char *at = memmem(s, n, before, sizeof before - 1);
    if (at)
        copy_version(f->libc_found, at + sizeof before - 1, (size_t)(s + n - at) - sizeof before + 1);
}

static void find_musl_version(struct program_facts *f, const char *s, size_t n)
{
    char version[ELF_VERSION_MAX] = "";
    for (const char *at = s; (at = memmem(at, (size_t)(s + n - at), "\0001.", 3)); at++) {
        const char *end = memchr(at + 1, 0, (size_t)(s + n - at) - 1);
        copy_version(version, at + 1, end ? (size_t)(end - at) - 1 : 0);
        if (end && strlen(version) >= sizeof "1.2.3" - 1 && version[3] == '.' &&
            strlen(version) == (size_t)(end - at) - 1) {
            memcpy(f->libc_found, version, sizeof version);
            return;
        }
    }
}

/* Constants lie in a segment of their own, or, where the linker did not separate them, with the code. */
static void find_libc_version(struct program_facts *f, struct elf_file *e, bool in_code)
{
    for (unsigned i = 0; i < e->load_count && !f->libc_found[0]; i++) {
        if (!(e->loads[i].p_flags & PF_X) == in_code)
            continue;
        Elf_Data *d = elf_file_at(e, e->loads[i].p_vaddr, e->loads[i].p_filesz, ELF_T_BYTE);
        if (d && f->libc == ELF_LIBC_GLIBC)
            find_glibc_version(f, d->d_buf, d->d_size);
        else if (d)
            find_musl_version(f, d->d_buf, d->d_size);
    }
}

static void read_libc(struct needs *n, const char *path)
{
    struct elf_file e;
    int fd = open_library(&e, path);
    if (fd < 0)
        return;
    find_libc_version(n->facts, &e, false);
    find_libc_version(n->facts, &e, true);
    elf_file_close(&e);
    close(fd);
}

static const char *interpreter_name(const struct program_facts *f)
{
    const char *slash = strrchr(f->interpreter, '/');
    return slash ? slash + 1 : f->interpreter;
}

static bool is_musls(const struct program_facts *f)
{
    return f->link == ELF_DYNAMIC && begins(interpreter_name(f), "ld-musl-");
}

/* The kind of the program's libc, by its dynamic linker; a program that needs no library needs no libc (Go's PIE
 * without cgo). */
static enum elf_libc which_libc(const struct program_facts *f, const struct elf_file *program)
{
    unsigned at = 0;
    const char *name = interpreter_name(f);
    if (f->link != ELF_DYNAMIC || !elf_file_next(program, DT_NEEDED, &at))
        return ELF_LIBC_NONE;
    if (is_musls(f))
        return ELF_LIBC_MUSL;
    return begins(name, "ld-linux") || begins(name, "ld64.so") ? ELF_LIBC_GLIBC : ELF_LIBC_OTHER;
}

void elf_needs_read(struct elf_file *program, struct program_facts *f)
{
    struct needs n = {.facts = f, .who = 1};
    f->libc = which_libc(f, program);
    f->unconstructed = is_musls(f);         /* until see_import finds otherwise */
    if (!*search_path(program, DT_RUNPATH)) /* else it does not count */
        snprintf(n.rpath, sizeof n.rpath, "%s", search_path(program, DT_RPATH));
    f->ssl_inside = elf_file_exports(program, "SSL_read");
    elf_file_versions(program, see_version, f);
    read_imports(&n, program, f->path);
    for (unsigned i = 0; i < f->library_count; i++) {
        const struct elf_library *library = &f->libraries[i];
        n.who = (elf_importer)(i + 2);
        if (library->path[0] && !is_libc(library->name))
            read_library(&n, library->path);
        else if (library->path[0] && begins(library->name, "libc.") && !f->libc_found[0])
            read_libc(&n, library->path);
    }
}
