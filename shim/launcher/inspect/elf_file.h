/* elf_file.h: one ELF file as the kernel and the dynamic linker read it: by program headers, never by sections,
 * which a file may lack. libelf reads the file, and every offset in the file is checked before use. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ELF_FILE_H
#define LASTCALL_LAUNCHER_INSPECT_ELF_FILE_H

#include "base.h"

#include <gelf.h>
#include <limits.h>

enum { ELFFILE_LOADS = 64 };

struct elf_file_table { /* a table that the dynamic section points to */
    uint64_t address, size;
};

struct elf_file {
    Elf *elf;
    GElf_Ehdr header;
    GElf_Phdr loads[ELFFILE_LOADS]; /* its PT_LOAD segments; more are not looked at */
    unsigned load_count;
    char interpreter[PATH_MAX]; /* "" = none */
    bool go_note;               /* the file has a note of Go's linker */
    bool one_word_tls;          /* the file has one word of thread-local storage, without an initial value */
    Elf_Data *dynamic;          /* NULL = none that can be read */
    Elf_Data *names;            /* the string table of the dynamic section */
    uint64_t flags_1;
    uint64_t verneed, symbols, gnu_hash;  /* addresses; 0 = not there */
    struct elf_file_table rel, rela, plt; /* relocations */
    bool plt_is_rela;
};

/* NULL, or what is wrong with the file, in words that follow the file's name. The caller keeps fd, open until
 * elf_file_close. */
const char *elf_file_open(struct elf_file *e, int fd);
void elf_file_close(struct elf_file *e);

/* The file's data for this address of the program's memory, at most `size` bytes and at least one; NULL = none.
 * Valid until elf_file_close. */
Elf_Data *elf_file_at(struct elf_file *e, uint64_t address, uint64_t size, Elf_Type type);

/* The next entry of this tag (DT_NEEDED ...), as a string; *at is 0 first. NULL = no more. */
const char *elf_file_next(const struct elf_file *e, int64_t tag, unsigned *at);

/* Calls `see` with the name of each symbol that the dynamic linker would look up for this file. */
void elf_file_imports(struct elf_file *e, void (*see)(void *to, const char *name), void *to);

/* Does the file export a symbol of this name? Read from DT_GNU_HASH; without that table: false. */
bool elf_file_exports(struct elf_file *e, const char *name);

/* The section of this name, if there are sections. NULL = none. */
Elf_Scn *elf_file_section(const struct elf_file *e, const char *name);

/* Calls `see` with each symbol version that the file needs of another file ("libc.so.6", "GLIBC_2.34"). */
void elf_file_versions(struct elf_file *e, void (*see)(void *to, const char *file, const char *version), void *to);

#endif
