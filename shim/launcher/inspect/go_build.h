/* go_build.h: what Go's linker left in a program about its build (debug/buildinfo of Go reads the same), and whether our
 * object would find its way into it. */
#ifndef LASTCALL_LAUNCHER_INSPECT_GO_BUILD_H
#define LASTCALL_LAUNCHER_INSPECT_GO_BUILD_H

#include "launcher/inspect/elf_file.h"

struct gobuild {
    char version[48]; /* "go1.19.8"; "" = not known */
    bool cgo;         /* built with CGO_ENABLED=1 */
    bool marked;      /* the object, which looks at less, takes it for Go too */
    unsigned entries; /* so many routines that make system calls are known by their bytes: it takes exactly one */
};

/* false = there is nothing of Go's, as far as can be seen. Stripped programs have it too. */
bool go_build_read(struct elf_file *e, struct gobuild *to);

#endif
