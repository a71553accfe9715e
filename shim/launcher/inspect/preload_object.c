/* preload_object.c: see preload_object.h. */
#include "launcher/inspect/preload_object.h"

#include "sys/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define OBJECT_NAME "liblastcall.so"
#define LIBRARIES   "lib/" ARCH_NAME "-linux-gnu"

/* Beside the program, as `make` leaves it; and where `make install` and Debian's packages put libraries. */
static const char *const places[] = {".", "../lib", "../" LIBRARIES, "../lib64"};

/* The path of this program. Where /proc is not mounted, the path that exec was given (AT_EXECFN): valid, since the
 * program has not changed its directory yet. */
static bool find_self(char self[PATH_MAX])
{
    const char *told = (const char *)getauxval(AT_EXECFN);
    ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
    if (n <= 0)
        return told && realpath(told, self);
    self[n] = '\0';
    return true;
}

static bool look_beside(char path[PATH_MAX])
{
    char self[PATH_MAX], trial[PATH_MAX + 64];
    if (!find_self(self))
        return false;
    *strrchr(self, '/') = '\0';
    for (unsigned i = 0; i < COUNT(places); i++) {
        snprintf(trial, sizeof trial, "%s/%s/" OBJECT_NAME, self, places[i]);
        if (realpath(trial, path))
            return true;
    }
    return false;
}

static bool find(struct object *o, const char *given, char *problem, size_t size)
{
    if (!given) {
        if (look_beside(o->path))
            return true;
        snprintf(problem, size,
                 OBJECT_NAME " is neither beside this program nor in ../lib, ../" LIBRARIES " or ../lib64 of its"
                             " directory; --preload PATH says where it is");
        return false;
    }
    if (realpath(given, o->path))
        return true;
    snprintf(problem, size, "--preload '%s': %s; the command is not started", given, strerror(errno));
    return false;
}

/* ld.so(8) takes blanks and colons for separators, and there is no way to quote them. */
static bool can_be_named(const struct object *o, char *problem, size_t size)
{
    if (!strpbrk(o->path, " :"))
        return true;
    snprintf(problem, size, "'%s' has a blank or a colon in its path: LD_PRELOAD cannot name it", o->path);
    return false;
}

static bool is_shared_object(struct object *o, char *problem, size_t size)
{
    static struct program_facts facts;
    int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        snprintf(problem, size, "'%s' cannot be read: %s; the command is not started", o->path, strerror(errno));
        return false;
    }
    memset(&facts, 0, sizeof facts);
    snprintf(facts.path, sizeof facts.path, "%s", o->path);
    program_file(fd, &facts); /* its status is about programs */
    close(fd);
    if (facts.kind != ELF_LIBRARY) {
        snprintf(problem, size, "'%s' is no ELF shared object, so it cannot be loaded; the command is not started",
                 o->path);
        return false;
    }
    o->machine = facts.machine;
    o->bits = facts.bits;
    snprintf(o->machine_name, sizeof o->machine_name, "%s", facts.machine_name);
    return true;
}

bool preload_object_find(struct object *o, const char *given, char *problem, size_t size)
{
    return find(o, given, problem, size) && can_be_named(o, problem, size) && is_shared_object(o, problem, size);
}

bool preload_object_suits(const struct object *o, const struct program_facts *program)
{
    return program->kind != ELF_PROGRAM || (program->machine == o->machine && program->bits == o->bits);
}
