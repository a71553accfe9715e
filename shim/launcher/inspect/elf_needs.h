/* elf_needs.h: the libraries that the dynamic linker would load with a program, and which file imports which names. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ELF_NEEDS_H
#define LASTCALL_LAUNCHER_INSPECT_ELF_NEEDS_H

#include "launcher/inspect/elf_file.h"
#include "launcher/inspect/program.h"

/* Fills the libraries, the imports and the facts about libc. The caller has filled in the rest of *facts. */
void elf_needs_read(struct elf_file *program, struct program_facts *facts);

#endif
