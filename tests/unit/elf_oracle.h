/* elf_oracle.h: bytes, taken for an ELF file, through program and verdict; and what must be true of any outcome. */
#ifndef LASTCALL_ELF_ORACLE_H
#define LASTCALL_ELF_ORACLE_H

#include "launcher/inspect/verdict.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct program_facts oracle_facts;
static struct verdict oracle_verdict;

/* Names that come from the file end, and are not longer than their room. */
static bool oracle_ends(const char *s, size_t size)
{
    return memchr(s, 0, size) != NULL;
}

/* A reason is a sentence for a terminal: not empty, and nothing in it but printable ASCII. */
static bool oracle_is_sentence(const char *s, size_t size)
{
    size_t n = 0;
    while (n < size && s[n] >= ' ' && s[n] <= '~')
        n++;
    return n > 10 && n < size && !s[n];
}

static bool oracle_knows(const struct program_facts *f, elf_importer who)
{
    return who < f->library_count + 2;
}

static const char *oracle_complaint(int status)
{
    const struct program_facts *f = &oracle_facts;
    const struct verdict *v = &oracle_verdict;
    if (status != 0 && status != -ENOEXEC)
        return "a status that is none";
    if (status != 0 && v->kind != VERDICT_NONE)
        return "no program, but a verdict as if it were one";
    if (v->reason_count < 1 || v->reason_count > VERDICT_REASONS_MAX)
        return "no reason, or too many";
    for (unsigned i = 0; i < v->reason_count; i++)
        if (!oracle_is_sentence(v->reasons[i], sizeof v->reasons[i]))
            return "a reason that is no sentence";
    if (f->library_count > ELF_LIBRARIES_MAX)
        return "too many libraries";
    for (unsigned i = 0; i < f->library_count; i++)
        if (!oracle_ends(f->libraries[i].name, ELF_NAME_MAX) ||
            !oracle_ends(f->libraries[i].path, sizeof f->libraries[i].path))
            return "a library's name without end";
    for (unsigned i = 0; i < HOOKS; i++)
        if (!oracle_knows(f, f->calls.imports[i]))
            return "imported by nobody";
    if (!oracle_ends(f->interpreter, sizeof f->interpreter) || !oracle_ends(f->go.version, ELF_VERSION_MAX) ||
        !oracle_ends(f->libc_needed, ELF_VERSION_MAX) || !oracle_ends(f->libc_found, ELF_VERSION_MAX))
        return "a string without end";
    return NULL;
}

/* Scans an open file as a program that may be started. NULL, or what is wrong with the outcome. */
static const char *oracle_scan(int fd)
{
    memset(&oracle_facts, 0, sizeof oracle_facts);
    strcpy(oracle_facts.path, "/tmp/program");
    oracle_facts.executable = true;
    int status = program_file(fd, &oracle_facts);
    verdict_of(&oracle_facts, &oracle_verdict);
    return oracle_complaint(status);
}

/* Makes the whole of an open file what the bytes are. */
static bool oracle_fill(int fd, const void *bytes, size_t n)
{
    return ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n;
}

#endif
