/* elfneeds.h: what the dynamic linker would load with a program, and who in it imports what. */
#ifndef LASTCALL_ELFNEEDS_H
#define LASTCALL_ELFNEEDS_H

#include "cli/elffile.h"
#include "cli/elfscan.h"

/* Fills libraries, imports and what is told of the libc. The rest of *facts is there already. */
void elfneeds_read(struct elffile *program, struct elf_facts *facts);

#endif
