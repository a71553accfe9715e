/* library_path.h: where the dynamic linker would find a library: ld.so(8), and musl's ldso. */
#ifndef LASTCALL_LAUNCHER_INSPECT_LIBRARY_PATH_H
#define LASTCALL_LAUNCHER_INSPECT_LIBRARY_PATH_H

#include "base.h"

struct library_path_query {
    const char *name;            /* as DT_NEEDED has it */
    const char *asker;           /* the path of the file that asks for it, for $ORIGIN */
    const char *rpath, *runpath; /* of the asker; "" = none */
    const char *program, *program_rpath;
    const char *musl; /* musl's dynamic linker, which is its libc too; NULL = it is not musl */
    unsigned machine, bits;
};

/* Finds the library's file, of the right kind for the program; its path. The caller examines the file further. */
bool library_path_find(const struct library_path_query *q, char *path, size_t size);

#endif
