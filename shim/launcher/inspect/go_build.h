/* go_build.h: the build information that Go's linker leaves in a program (Go's debug/buildinfo reads the same), and
 * whether liblastcall.so would recognise the program as Go. */
#ifndef LASTCALL_LAUNCHER_INSPECT_GO_BUILD_H
#define LASTCALL_LAUNCHER_INSPECT_GO_BUILD_H

#include "launcher/inspect/elf_file.h"

struct gobuild {
    char version[48]; /* "go1.19.8"; "" = not known */
    bool cgo;         /* built with CGO_ENABLED=1 */
    bool marked;      /* liblastcall.so, which checks less, also recognises the program as Go */
    unsigned entries; /* routines that make system calls, recognised by their bytes: liblastcall.so needs exactly one */
};

/* false = no trace of Go was found. Stripped programs have the build information too. */
bool go_build_read(struct elf_file *e, struct gobuild *to);

#endif
