/* verdict.h: what lastcall can do for a program, judged by its facts. Pure: no file, no clock, no environment. */
#ifndef LASTCALL_LAUNCHER_INSPECT_VERDICT_H
#define LASTCALL_LAUNCHER_INSPECT_VERDICT_H

#include "launcher/inspect/program.h"

enum verdict_kind {
    VERDICT_FULL,     /* each of its connections is drained with all that lastcall knows */
    VERDICT_PARTIAL,  /* the object is loaded, and some of the connections are beyond it */
    VERDICT_EXTERNAL, /* no object can live in it: `lastcall run` drains it from outside */
    VERDICT_UNEXAMINED, /* it may be started, and what it is cannot be told: `lastcall run` gives it the object all the same */
    VERDICT_NONE, /* it cannot be started here, or is no program */
};

enum verdict_way { /* how `lastcall run` would do it */
                   VERDICT_BY_PRELOAD,
                   VERDICT_BY_LAUNCHER, /* the same object, mapped into a Go program at exec, for it is static or musl's */
                   VERDICT_BY_EXTERNAL,
                   VERDICT_NO_WAY,
};

enum { VERDICT_REASONS_MAX = 8, VERDICT_REASON_MAX = 256 };

struct verdict {
    enum verdict_kind kind; /* whoever starts it */
    enum verdict_way way;   /* for the caller: root may start a set-user-ID program of root's with LD_PRELOAD */
    unsigned reason_count;  /* at least 1; the first is the one that decided */
    char reasons[VERDICT_REASONS_MAX][VERDICT_REASON_MAX];
};

void verdict_of(const struct program_facts *facts, struct verdict *verdict);

/* The library of the program that must stand before ours in LD_PRELOAD, or the program ends itself at its start; NULL: none. */
const struct elf_library *verdict_first_library(const struct program_facts *facts);

/* "full", "partial", "outside", "unexamined", "none" */
const char *verdict_name(enum verdict_kind kind);

#endif
