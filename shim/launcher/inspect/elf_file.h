/* elf_file.h: one ELF file as the kernel and the dynamic linker read it: by program headers, never by sections, which
 * it may lack. libelf reads it, and every place in it is checked before it is looked at. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ELF_FILE_H
#define LASTCALL_LAUNCHER_INSPECT_ELF_FILE_H

#include "base.h"

#include <gelf.h>
#include <limits.h>

enum { ELFFILE_LOADS = 64 };

struct elffile_table { /* one that the dynamic section points to */
    uint64_t address, size;
};

struct elffile {
    Elf *elf;
    GElf_Ehdr header;
    GElf_Phdr loads[ELFFILE_LOADS]; /* its PT_LOAD segments; more are not looked at */
    unsigned load_count;
    char interpreter[PATH_MAX]; /* "" = none */
    bool go_note;               /* it has a note of Go's linker */
    bool one_word_tls;          /* of thread-local storage it has one word, and no initial value for it */
    Elf_Data *dynamic;          /* NULL = none that can be read */
    Elf_Data *names;            /* the string table of the dynamic section */
    uint64_t flags_1;
    uint64_t verneed, symbols, gnu_hash; /* addresses; 0 = not there */
    struct elffile_table rel, rela, plt; /* relocations */
    bool plt_is_rela;
};

/* NULL, or what is wrong with it, in words that follow the file's name. fd stays the caller's, and open as long. */
const char *elffile_open(struct elffile *e, int fd);
void elffile_close(struct elffile *e);

/* What the file has for this address of the program's memory, at most `size` bytes and at least one; NULL = nothing.
 * It lives as long as e. */
Elf_Data *elffile_at(struct elffile *e, uint64_t address, uint64_t size, Elf_Type type);

/* A string of the dynamic section's table; "" = there is none. */
const char *elffile_name(const struct elffile *e, uint64_t offset);

/* The next entry of this tag (DT_NEEDED ...), as a string; *at is 0 first. NULL = no more. */
const char *elffile_next(const struct elffile *e, int64_t tag, unsigned *at);

/* Calls `see` with the name of each symbol that the dynamic linker would look up for it. */
void elffile_imports(struct elffile *e, void (*see)(void *to, const char *name), void *to);

/* Has it a symbol of this name for others? By DT_GNU_HASH; without that table: no. */
bool elffile_exports(struct elffile *e, const char *name);

/* The section of this name, if there are sections. NULL = none. */
Elf_Scn *elffile_section(const struct elffile *e, const char *name);

/* Calls `see` with each version of a symbol that it asks of another file ("libc.so.6", "GLIBC_2.34"). */
void elffile_versions(struct elffile *e, void (*see)(void *to, const char *file, const char *version), void *to);

#endif
