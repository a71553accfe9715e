/* elf_file.c: see elf_file.h. */
#include "launcher/inspect/elf_file.h"

#include "core/go_signature.h"

#include <string.h>
#include <unistd.h>

/* No table of a real program is larger; a forged size must not cause a huge allocation. */
static const uint64_t CHUNK_MAX = 256 << 20;
enum { VERSIONS_MAX = 1 << 20 };

/* ---- program headers -------------------------------------------------------------------------------- */

static const char *read_interpreter(struct elf_file *e, const GElf_Phdr *p)
{
    if (p->p_filesz < 2 || p->p_filesz > sizeof e->interpreter)
        return " names a dynamic linker of impossible length";
    Elf_Data *d = elf_getdata_rawchunk(e->elf, (int64_t)p->p_offset, p->p_filesz, ELF_T_BYTE);
    if (!d)
        return " is truncated: the name of its dynamic linker is missing";
    memcpy(e->interpreter, d->d_buf, d->d_size);
    if (e->interpreter[d->d_size - 1] || !e->interpreter[0])
        return " names a dynamic linker that is no string";
    return NULL;
}

static void read_note(struct elf_file *e, const GElf_Phdr *p)
{
    enum { NOTE_MAX = 64 << 10 };
    if (!p->p_filesz || p->p_filesz > NOTE_MAX)
        return;
    Elf_Data *d = elf_getdata_rawchunk(e->elf, (int64_t)p->p_offset, p->p_filesz, ELF_T_BYTE);
    if (d && go_signature_is_note(d->d_buf, d->d_size))
        e->go_note = true;
}

static const char *read_segment(struct elf_file *e, const GElf_Phdr *p)
{
    switch (p->p_type) {
    case PT_INTERP: return read_interpreter(e, p);
    case PT_NOTE: read_note(e, p); break;
    case PT_TLS: e->one_word_tls = p->p_memsz == sizeof(void *) && p->p_filesz == 0; break;
    case PT_DYNAMIC:
        if (p->p_filesz && p->p_filesz < CHUNK_MAX)
            e->dynamic = elf_getdata_rawchunk(e->elf, (int64_t)p->p_offset, p->p_filesz, ELF_T_DYN);
        if (!e->dynamic)
            return " is truncated: its dynamic section is missing";
        break;
    case PT_LOAD:
        if (e->load_count < ELFFILE_LOADS)
            e->loads[e->load_count++] = *p;
        break;
    }
    return NULL;
}

static const char no_program_headers[] = " is truncated: its program headers are missing";

static const char *read_segments(struct elf_file *e)
{
    size_t count;
    if (elf_getphdrnum(e->elf, &count) != 0 || count > 65535)
        return " is damaged: its program headers cannot be counted";
    if (count < e->header.e_phnum && e->header.e_phnum != PN_XNUM) /* libelf leaves out those beyond the end */
        return no_program_headers;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(e->elf, (int)i, &p))
            return no_program_headers;
        const char *wrong = read_segment(e, &p);
        if (wrong)
            return wrong;
    }
    return NULL;
}

Elf_Data *elf_file_at(struct elf_file *e, uint64_t address, uint64_t size, Elf_Type type)
{
    for (unsigned i = 0; i < e->load_count; i++) {
        const GElf_Phdr *p = &e->loads[i];
        uint64_t in = address - p->p_vaddr;
        if (address < p->p_vaddr || in >= p->p_filesz)
            continue;
        if (size > p->p_filesz - in)
            size = p->p_filesz - in;
        return size && size <= CHUNK_MAX ? elf_getdata_rawchunk(e->elf, (int64_t)(p->p_offset + in), size, type) : NULL;
    }
    return NULL;
}

/* ---- the dynamic section ---------------------------------------------------------------------------- */

/* The entry at i, or false at the end. */
static bool get_dynamic(const struct elf_file *e, unsigned i, GElf_Dyn *d)
{
    return e->dynamic && gelf_getdyn(e->dynamic, (int)i, d) && d->d_tag != DT_NULL;
}

static void read_entry(struct elf_file *e, const GElf_Dyn *d, struct elf_file_table *names)
{
    uint64_t value = d->d_un.d_val;
    switch (d->d_tag) {
    case DT_STRTAB: names->address = value; break;
    case DT_STRSZ: names->size = value; break;
    case DT_SYMTAB: e->symbols = value; break;
    case DT_GNU_HASH: e->gnu_hash = value; break;
    case DT_VERNEED: e->verneed = value; break;
    case DT_FLAGS_1: e->flags_1 = value; break;
    case DT_RELA: e->rela.address = value; break;
    case DT_RELASZ: e->rela.size = value; break;
    case DT_REL: e->rel.address = value; break;
    case DT_RELSZ: e->rel.size = value; break;
    case DT_JMPREL: e->plt.address = value; break;
    case DT_PLTRELSZ: e->plt.size = value; break;
    case DT_PLTREL: e->plt_is_rela = value == DT_RELA; break;
    }
}

static void read_dynamic(struct elf_file *e)
{
    struct elf_file_table names = {0};
    GElf_Dyn d;
    for (unsigned i = 0; get_dynamic(e, i, &d); i++)
        read_entry(e, &d, &names);
    if (names.address)
        e->names = elf_file_at(e, names.address, names.size, ELF_T_BYTE);
}

/* A string of the dynamic section's table; "" = there is none. */
static const char *name_at(const struct elf_file *e, uint64_t offset)
{
    const Elf_Data *d = e->names;
    if (!d || offset >= d->d_size || !memchr((char *)d->d_buf + offset, 0, d->d_size - offset))
        return "";
    return (char *)d->d_buf + offset;
}

const char *elf_file_next(const struct elf_file *e, int64_t tag, unsigned *at)
{
    GElf_Dyn d;
    while (get_dynamic(e, *at, &d)) {
        ++*at;
        if (d.d_tag == tag)
            return name_at(e, d.d_un.d_val);
    }
    return NULL;
}

/* ---- what it imports -------------------------------------------------------------------------------- */

/* Relocations name exactly the symbols that are looked up. The symbol table has no length of its own. */
struct imports {
    struct elf_file *e;
    Elf_Data *symbols;
    void (*see)(void *to, const char *name);
    void *to;
};

static void see_symbol(const struct imports *m, uint64_t index)
{
    GElf_Sym s;
    if (index && index < INT32_MAX && gelf_getsym(m->symbols, (int)index, &s) && s.st_shndx == SHN_UNDEF)
        m->see(m->to, name_at(m->e, s.st_name));
}

static void see_table(const struct imports *m, const struct elf_file_table *t, bool is_rela)
{
    Elf_Data *d = t->address ? elf_file_at(m->e, t->address, t->size, is_rela ? ELF_T_RELA : ELF_T_REL) : NULL;
    GElf_Rela rela;
    GElf_Rel rel;
    for (int i = 0; d && (is_rela ? !!gelf_getrela(d, i, &rela) : !!gelf_getrel(d, i, &rel)); i++)
        see_symbol(m, GELF_R_SYM(is_rela ? rela.r_info : rel.r_info));
}

void elf_file_imports(struct elf_file *e, void (*see)(void *to, const char *name), void *to)
{
    struct imports m = {e, NULL, see, to};
    if (e->symbols)
        m.symbols = elf_file_at(e, e->symbols, CHUNK_MAX, ELF_T_SYM);
    if (!m.symbols)
        return;
    see_table(&m, &e->rela, true);
    see_table(&m, &e->rel, false);
    see_table(&m, &e->plt, e->plt_is_rela);
}

/* ---- what it exports -------------------------------------------------------------------------------- */

/* All of it is words of 32 bits: four of a header, a filter, buckets, chains (glibc, do_lookup_x). */
struct gnu_hash {
    const uint32_t *word;
    size_t words, chains; /* chains: where the first begins */
    uint32_t buckets, first_symbol;
};

static bool read_gnu_hash(struct elf_file *e, struct gnu_hash *h)
{
    Elf_Data *d = e->gnu_hash ? elf_file_at(e, e->gnu_hash, CHUNK_MAX, ELF_T_WORD) : NULL;
    h->word = d ? d->d_buf : NULL;
    h->words = d ? d->d_size / sizeof *h->word : 0;
    if (h->words < 4)
        return false;
    bool is_64 = e->header.e_ident[EI_CLASS] == ELFCLASS64;
    h->buckets = h->word[0];
    h->first_symbol = h->word[1];
    h->chains = 4 + (size_t)h->word[2] * (is_64 ? 2 : 1) + h->buckets;
    return h->buckets && h->chains <= h->words;
}

static bool is_export(const struct elf_file *e, Elf_Data *symbols, size_t index, const char *name)
{
    GElf_Sym s;
    return index < INT32_MAX && gelf_getsym(symbols, (int)index, &s) && s.st_shndx != SHN_UNDEF &&
           strcmp(name_at(e, s.st_name), name) == 0;
}

bool elf_file_exports(struct elf_file *e, const char *name)
{
    struct gnu_hash h;
    Elf_Data *symbols = e->symbols ? elf_file_at(e, e->symbols, CHUNK_MAX, ELF_T_SYM) : NULL;
    if (!symbols || !read_gnu_hash(e, &h))
        return false;
    uint32_t hash = 5381;
    for (const char *s = name; *s; s++)
        hash = hash * 33 + (uint8_t)*s;
    size_t index = h.word[h.chains - h.buckets + hash % h.buckets];
    for (; index >= h.first_symbol && index - h.first_symbol < h.words - h.chains; index++) {
        uint32_t link = h.word[h.chains + index - h.first_symbol]; /* its lowest bit: the chain's end */
        if ((link | 1) == (hash | 1) && is_export(e, symbols, index, name))
            return true;
        if (link & 1)
            return false;
    }
    return false;
}

/* ---- versions, sections ------------------------------------------------------------------------------ */

/* The entries are chained by offsets. A file of the other byte order is not read. */
static bool get_part(const Elf_Data *d, uint64_t at, void *part, size_t size)
{
    if (at > d->d_size || size > d->d_size - at)
        return false;
    memcpy(part, (char *)d->d_buf + at, size);
    return true;
}

static void see_file_versions(const struct elf_file *e, const Elf_Data *d, uint64_t at, const Elf64_Verneed *file,
                              void (*see)(void *to, const char *file, const char *version), void *to)
{
    Elf64_Vernaux v;
    at += file->vn_aux;
    for (unsigned i = 0; i < file->vn_cnt && get_part(d, at, &v, sizeof v); i++) {
        see(to, name_at(e, file->vn_file), name_at(e, v.vna_name));
        if (!v.vna_next)
            break;
        at += v.vna_next;
    }
}

void elf_file_versions(struct elf_file *e, void (*see)(void *to, const char *file, const char *version), void *to)
{
    const unsigned files_max = 1024;
    bool swapped = e->header.e_ident[EI_DATA] != ELFDATA2LSB;
    Elf_Data *d = e->verneed && !swapped ? elf_file_at(e, e->verneed, VERSIONS_MAX, ELF_T_BYTE) : NULL;
    Elf64_Verneed file;
    uint64_t at = 0;
    for (unsigned i = 0; d && i < files_max && get_part(d, at, &file, sizeof file); i++) {
        see_file_versions(e, d, at, &file, see, to);
        if (!file.vn_next)
            break;
        at += file.vn_next;
    }
}

Elf_Scn *elf_file_section(const struct elf_file *e, const char *name)
{
    size_t names;
    Elf_Scn *s = NULL;
    GElf_Shdr header;
    if (elf_getshdrstrndx(e->elf, &names) != 0)
        return NULL;
    while ((s = elf_nextscn(e->elf, s))) {
        const char *own = gelf_getshdr(s, &header) ? elf_strptr(e->elf, names, header.sh_name) : NULL;
        if (own && strcmp(own, name) == 0)
            return s;
    }
    return NULL;
}

/* ---- open and close --------------------------------------------------------------------------------- */

static const char no_header[] = " is truncated: its ELF header is not whole";

/* libelf takes what is too short, or of a class that does not exist, for no ELF file at all. */
static bool looks_like_elf(int fd)
{
    char magic[SELFMAG];
    return pread(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

static const char *read_header(struct elf_file *e, int fd)
{
    elf_version(EV_CURRENT);
    e->elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!e->elf)
        return " cannot be read";
    switch (elf_kind(e->elf)) {
    case ELF_K_ELF: break;
    case ELF_K_AR: return " is an archive, not a program";
    default: return looks_like_elf(fd) ? no_header : " is neither an ELF file nor a script with a #! line";
    }
    return gelf_getehdr(e->elf, &e->header) ? read_segments(e) : no_header;
}

const char *elf_file_open(struct elf_file *e, int fd)
{
    memset(e, 0, sizeof *e);
    const char *wrong = read_header(e, fd);
    if (wrong)
        elf_file_close(e);
    else
        read_dynamic(e);
    return wrong;
}

void elf_file_close(struct elf_file *e)
{
    elf_end(e->elf);
    e->elf = NULL;
}
