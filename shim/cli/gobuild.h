/* gobuild.h: what Go's linker left in a program about its build (debug/buildinfo of Go reads the same). */
#ifndef LASTCALL_GOBUILD_H
#define LASTCALL_GOBUILD_H

#include "elffile.h"

struct gobuild {
    char version[48]; /* "go1.19.8"; "" = not known */
    bool cgo;         /* built with CGO_ENABLED=1 */
};

/* false = there is nothing of Go's, as far as can be seen. Stripped programs have it too. */
bool gobuild_read(struct elffile *e, struct gobuild *to);

#endif
