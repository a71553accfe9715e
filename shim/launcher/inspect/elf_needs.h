/* elf_needs.h: what the dynamic linker would load with a program, and who in it imports what. */
#ifndef LASTCALL_LAUNCHER_INSPECT_ELF_NEEDS_H
#define LASTCALL_LAUNCHER_INSPECT_ELF_NEEDS_H

#include "launcher/inspect/elf_file.h"
#include "launcher/inspect/program.h"

/* Fills libraries, imports and what is told of the libc. The rest of *facts is there already. */
void elf_needs_read(struct elf_file *program, struct program_facts *facts);

#endif
