/* go_signature.h: the one routine in which a Go program makes its network system calls, known by its bytes.
 *
 * Since Go 1.19 that is Syscall6 of runtime/internal/syscall (1.23: internal/runtime/syscall, 1.26: .../linux). No
 * symbol is needed, so a stripped program works as well. Pure; the library and the inspector use it. The bytes:
 * go_signature_x86_64.h. */
#ifndef LASTCALL_GO_SIGNATURE_H
#define LASTCALL_GO_SIGNATURE_H

#include "base.h"

struct go_signature {
    unsigned hits; /* so many routines have all of the bytes; anything but 1: hands off */
    size_t at;     /* where the last of them begins */
};

/* Look through n bytes of executable code, which lie (or will lie) at `address`; adds to *found. */
void go_signature_find(const uint8_t *text, size_t n, uint64_t address, struct go_signature *found);

/* Do these n bytes of a PT_NOTE segment hold the note that Go's linker writes? (cmd/link, elf.go:
 * ELF_NOTE_GOBUILDID) */
bool go_signature_is_note(const uint8_t *note, size_t n);

/* Is the head of Go's build information in these n bytes? A program without a build id has no note.
 * (debug/buildinfo) */
bool go_signature_has_buildinfo(const uint8_t *data, size_t n);

#endif
