/* preload_object.h: liblastcall.so: where it is, and whether it can be loaded into a program. */
#ifndef LASTCALL_LAUNCHER_INSPECT_PRELOAD_OBJECT_H
#define LASTCALL_LAUNCHER_INSPECT_PRELOAD_OBJECT_H

#include "launcher/inspect/program.h"

struct object {
    char path[PATH_MAX];    /* absolute, without symbolic links */
    unsigned machine, bits; /* EM_X86_64 ..., 64 */
    char machine_name[24];
};

/* Find liblastcall.so, or take the file named (given; NULL: look beside this program), and check that the file is a
 * shared object. False: `problem` says in one sentence what is wrong. */
bool preload_object_find(struct object *o, const char *given, char *problem, size_t size);

/* Is the library built for the machine of this program? */
bool preload_object_suits(const struct object *o, const struct program_facts *program);

#endif
