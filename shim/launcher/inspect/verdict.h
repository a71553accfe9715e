/* verdict.h: how far lastcall can drain a program, judged by the program's facts. Pure: no file, no clock, no
 * environment. */
#ifndef LASTCALL_LAUNCHER_INSPECT_VERDICT_H
#define LASTCALL_LAUNCHER_INSPECT_VERDICT_H

#include "launcher/inspect/program.h"

enum verdict_kind {
    VERDICT_FULL,       /* every connection is drained with all that lastcall knows */
    VERDICT_PARTIAL,    /* the library is loaded, but some connections cannot be drained */
    VERDICT_EXTERNAL,   /* the library cannot be loaded: `lastcall run` drains the program externally */
    VERDICT_UNEXAMINED, /* the program may be started, but not examined: `lastcall run` preloads the library */
    VERDICT_NONE,       /* the program cannot be started here, or is no program */
};

enum verdict_way { /* how `lastcall run` would do it */
                   VERDICT_BY_PRELOAD,
                   VERDICT_BY_LAUNCHER, /* the same library, mapped into a static or musl-linked Go program at exec */
                   VERDICT_BY_EXTERNAL,
                   VERDICT_NO_WAY,
};

enum { VERDICT_REASONS_MAX = 8, VERDICT_REASON_MAX = 256 };

struct verdict {
    enum verdict_kind kind; /* for any caller */
    enum verdict_way way;   /* for the caller: root may start a set-user-ID program of root's with LD_PRELOAD */
    unsigned reason_count;  /* at least 1; the first is the one that decided */
    char reasons[VERDICT_REASONS_MAX][VERDICT_REASON_MAX];
};

void verdict_of(const struct program_facts *facts, struct verdict *verdict);

/* The library of the program that must precede liblastcall.so in LD_PRELOAD, or the program aborts at its start;
 * NULL: none. */
const struct elf_library *verdict_first_library(const struct program_facts *facts);

/* "full", "partial", "external", "unexamined", "none" */
const char *verdict_name(enum verdict_kind kind);

#endif
