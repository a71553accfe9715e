/* go_build.c: see go_build.h.
 *
 * Magic, size of a pointer, flags; then either (flags & 2, since Go 1.18) at 32 two strings, each behind its length as
 * a varint, or at 16 the addresses of two Go strings: the version, and lines about modules and the build. */
#include "launcher/inspect/go_build.h"

#include "core/go_signature.h"

#include <string.h>

enum { HEADER = 32, FLAG_BIG_ENDIAN = 1, FLAG_INLINE = 2, ALIGNMENT = 16, SEARCH_MAX = 64 << 20 };

static const char magic[] = "\xff Go buildinf:";

struct bytes {
    const uint8_t *at;
    size_t n;
};

static struct bytes find_in(const Elf_Data *d)
{
    const uint8_t *s = d ? d->d_buf : NULL;
    for (size_t i = 0; s && i + HEADER <= d->d_size; i += ALIGNMENT)
        if (memcmp(s + i, magic, sizeof magic - 1) == 0)
            return (struct bytes){s + i, d->d_size - i};
    return (struct bytes){0};
}

/* A program without sections still has it in a segment of data. */
static struct bytes find_info(struct elf_file *e)
{
    Elf_Scn *section = elf_file_section(e, ".go.buildinfo");
    struct bytes found = find_in(section ? elf_rawdata(section, NULL) : NULL);
    for (unsigned i = 0; i < e->load_count && !found.at; i++) {
        const GElf_Phdr *p = &e->loads[i];
        if ((p->p_flags & (PF_W | PF_X)) == PF_W && p->p_filesz < SEARCH_MAX)
            found = find_in(elf_file_at(e, p->p_vaddr, p->p_filesz, ELF_T_BYTE));
    }
    return found;
}

static struct bytes take_inline(struct bytes *rest)
{
    uint64_t n = 0;
    unsigned shift = 0;
    uint8_t b = 0x80;
    while (b & 0x80 && rest->n && shift < 63) {
        b = *rest->at++;
        rest->n--;
        n |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    }
    if (n > rest->n)
        n = rest->n = 0;
    struct bytes string = {rest->at, n};
    rest->at += n;
    rest->n -= n;
    return string;
}

static uint64_t get_word(const uint8_t *s, unsigned size, bool big_endian)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < size; i++)
        word |= (uint64_t)s[big_endian ? size - 1 - i : i] << (8 * i);
    return word;
}

static struct bytes follow_string(struct elf_file *e, uint64_t address, unsigned size, bool big_endian)
{
    Elf_Data *header = elf_file_at(e, address, 2 * (uint64_t)size, ELF_T_BYTE);
    if (!header || header->d_size < (size_t)2 * size)
        return (struct bytes){0};
    uint64_t n = get_word((uint8_t *)header->d_buf + size, size, big_endian);
    Elf_Data *d = elf_file_at(e, get_word(header->d_buf, size, big_endian), n, ELF_T_BYTE);
    return d ? (struct bytes){d->d_buf, d->d_size} : (struct bytes){0};
}

/* "go1.22.3", "devel go1.23-...": what is no such thing is not shown. */
static void set_version(struct gobuild *to, struct bytes version)
{
    if (version.n < 2 || (memcmp(version.at, "go", 2) != 0 && memcmp(version.at, "de", 2) != 0))
        return;
    size_t n = 0;
    while (n < version.n && n < sizeof to->version - 1 && version.at[n] >= ' ' && version.at[n] <= '~')
        n++;
    memcpy(to->version, version.at, n);
}

static void read_strings(struct elf_file *e, struct bytes info, struct gobuild *to)
{
    static const char cgo[] = "build\tCGO_ENABLED=1\n";
    unsigned flags = info.at[15], size = info.at[14] == 4 ? 4 : 8;
    struct bytes version, build;
    if (flags & FLAG_INLINE) {
        struct bytes rest = {info.at + HEADER, info.n - HEADER};
        version = take_inline(&rest);
        build = take_inline(&rest);
    } else {
        bool big_endian = flags & FLAG_BIG_ENDIAN;
        version = follow_string(e, get_word(info.at + 16, size, big_endian), size, big_endian);
        build = follow_string(e, get_word(info.at + 16 + size, size, big_endian), size, big_endian);
    }
    set_version(to, version);
    to->cgo = build.n && memmem(build.at, build.n, cgo, sizeof cgo - 1);
}

/* As go/attach.c looks at them once they are in memory. */
static void read_segments(struct elf_file *e, struct gobuild *to)
{
    enum { LOOK = 64 << 10 };
    struct go_signature found = {0, 0};
    bool may_be_go = e->one_word_tls || !e->interpreter[0];
    to->marked = e->go_note;
    for (unsigned i = 0; i < e->load_count; i++) {
        const GElf_Phdr *p = &e->loads[i];
        bool code = (p->p_flags & (PF_R | PF_W | PF_X)) == (PF_R | PF_X), data = p->p_flags & PF_W && may_be_go;
        Elf_Data *d = code || data ? elf_file_at(e, p->p_vaddr, code ? p->p_filesz : LOOK, ELF_T_BYTE) : NULL;
        if (d && code)
            go_signature_find(d->d_buf, d->d_size, p->p_vaddr, &found);
        else if (d && go_signature_has_buildinfo(d->d_buf, d->d_size))
            to->marked = true;
    }
    to->entries = found.hits;
}

bool go_build_read(struct elf_file *e, struct gobuild *to)
{
    memset(to, 0, sizeof *to);
    struct bytes info = find_info(e);
    if (!info.at && !e->go_note)
        return false;
    if (info.at)
        read_strings(e, info, to);
    read_segments(e, to);
    return true;
}
