/* library_path.c: see library_path.h. */
#include "launcher/inspect/library_path.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct search {
    const struct library_path_query *q;
    char *path;
    size_t size;
};

/* A file for another machine is passed over, as the dynamic linker does. */
static bool fits(const struct search *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    int fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    Elf64_Ehdr h = {0}; /* of both classes the first 20 bytes are alike */
    ssize_t n = pread(fd, &h, 20, 0);
    close(fd);
    return n == 20 && memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 && h.e_machine == s->q->machine &&
           h.e_ident[EI_CLASS] == (s->q->bits == 64 ? ELFCLASS64 : ELFCLASS32);
}

static bool try_in(const struct search *s, const char *directory, size_t n)
{
    int len = snprintf(s->path, s->size, "%.*s/%s", (int)n, directory, s->q->name);
    return n && len > 0 && (size_t)len < s->size && fits(s);
}

/* ---- lists of directories --------------------------------------------------------------------------- */

/* $ORIGIN or ${ORIGIN}, and what comes before it. How far it goes; 0 = it is not there. */
static size_t origin_length(const char *s, size_t n)
{
    if (n >= 7 && memcmp(s, "$ORIGIN", 7) == 0)
        return 7;
    return n >= 9 && memcmp(s, "${ORIGIN}", 9) == 0 ? 9 : 0;
}

static bool try_list(const struct search *s, const char *list, const char *asker)
{
    const char *slash = strrchr(asker, '/');
    while (list && *list) {
        size_t n = strcspn(list, ":;"), origin = origin_length(list, n);
        char directory[4096];
        int len = origin ? snprintf(directory, sizeof directory, "%.*s%.*s", slash ? (int)(slash - asker) : 1,
                                    slash ? asker : ".", (int)(n - origin), list + origin)
                         : snprintf(directory, sizeof directory, "%.*s", (int)n, list);
        if (len > 0 && (size_t)len < sizeof directory && try_in(s, directory, (size_t)len))
            return true;
        list += n;
        list += *list != '\0';
    }
    return false;
}

static bool try_defaults(const struct search *s)
{
    static const char glibc[] = "/lib64:/usr/lib64:/lib:/usr/lib";
    const char *multiarch = s->q->machine == EM_X86_64    ? "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu"
                            : s->q->machine == EM_AARCH64 ? "/lib/aarch64-linux-gnu:/usr/lib/aarch64-linux-gnu"
                                                          : "";
    return try_list(s, multiarch, "") || try_list(s, glibc, "");
}

/* ---- /etc/ld.so.cache, as glibc's dl-cache.h lays it out ------------------------------------------------ */

struct cache_header {
    char magic[20]; /* "glibc-ld.so.cache1.1" */
    uint32_t entries, strings_size;
    uint32_t unused[5];
};

struct cache_entry {
    int32_t flags;
    uint32_t name, path; /* offsets from the header */
    uint32_t os_version;
    uint64_t hwcap; /* not 0: a variant for some processors; its twin will do */
};

struct cache {
    const char *at;
    size_t size;
};

/* Once; it may be replaced meanwhile (ldconfig renames), never changed in place. */
static struct cache load_cache(void)
{
    static struct cache cache;
    static const char magic[] = "glibc-ld.so.cache1.1";
    struct stat st;
    if (cache.at)
        return cache;
    cache.at = "";
    int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(struct cache_header))
        return cache;
    char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    /* An older part may come before it (up to glibc 2.31, by default). */
    const char *begin = map == MAP_FAILED ? NULL : memmem(map, (size_t)st.st_size, magic, sizeof magic - 1);
    if (begin)
        cache = (struct cache){begin, (size_t)(map + st.st_size - begin)};
    return cache;
}

static const char *cache_string(const struct cache *c, uint32_t offset)
{
    return offset < c->size && memchr(c->at + offset, 0, c->size - offset) ? c->at + offset : "";
}

static bool try_cache(const struct search *s)
{
    struct cache c = load_cache();
    struct cache_header h;
    if (c.size < sizeof h)
        return false;
    memcpy(&h, c.at, sizeof h);
    for (size_t i = 0; i < h.entries && sizeof h + (i + 1) * sizeof(struct cache_entry) <= c.size; i++) {
        struct cache_entry e;
        memcpy(&e, c.at + sizeof h + i * sizeof e, sizeof e);
        if (e.hwcap || strcmp(cache_string(&c, e.name), s->q->name) != 0)
            continue;
        int len = snprintf(s->path, s->size, "%s", cache_string(&c, e.path));
        if (len > 0 && (size_t)len < s->size && fits(s))
            return true;
    }
    return false;
}

/* ---- the two linkers -------------------------------------------------------------------------------- */

/* Names that musl's linker answers itself (ldso/dynlink.c, load_library). */
static bool is_musl_itself(const char *name)
{
    static const char *const reserved[] = {"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."};
    for (unsigned i = 0; i < COUNT(reserved); i++)
        if (strncmp(name, "lib", 3) == 0 && strncmp(name + 3, reserved[i], strlen(reserved[i])) == 0)
            return true;
    return false;
}

static bool find_musl(const struct search *s)
{
    const struct library_path_query *q = s->q;
    if (is_musl_itself(q->name)) {
        snprintf(s->path, s->size, "%s", q->musl);
        return fits(s);
    }
    char name[256], list[4096] = "/lib:/usr/local/lib:/usr/lib";
    const char *slash = strrchr(q->musl, '/');
    int stem = (int)strcspn(slash ? slash + 1 : q->musl, "."); /* ld-musl-x86_64 */
    snprintf(name, sizeof name, "/etc/%.*s.path", stem, slash ? slash + 1 : q->musl);
    int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++)
        list[i] = list[i] == '\n' ? ':' : list[i];
    if (n >= 0)
        list[n] = '\0';
    return try_list(s, getenv("LD_LIBRARY_PATH"), "") || try_list(s, q->runpath, q->asker) ||
           try_list(s, q->rpath, q->asker) || try_list(s, q->program_rpath, q->program) || try_list(s, list, "");
}

static bool find_glibc(const struct search *s)
{
    const struct library_path_query *q = s->q;
    if (!*q->runpath && (try_list(s, q->rpath, q->asker) || try_list(s, q->program_rpath, q->program)))
        return true;
    return try_list(s, getenv("LD_LIBRARY_PATH"), "") || try_list(s, q->runpath, q->asker) || try_cache(s) ||
           try_defaults(s);
}

bool library_path_find(const struct library_path_query *q, char *path, size_t size)
{
    struct search s = {q, path, size};
    bool found;
    if (strchr(q->name, '/'))
        found = snprintf(path, size, "%s", q->name) < (int)size && fits(&s);
    else
        found = *q->name && (q->musl ? find_musl(&s) : find_glibc(&s));
    if (!found)
        *path = '\0';
    return found;
}
