/* fd_slot.h: what is known of a descriptor, in one word: its kind in the two top bits, an index below. An untracked
 * file is the word 0, so that it costs one load and one branch. Pure. */
#ifndef LASTCALL_FD_SLOT_H
#define LASTCALL_FD_SLOT_H

#include "base.h"

enum { FD_MAX = 1 << 20 }; /* the kernel's default nr_open; higher ones pass through */

enum fd_kind { FD_OTHER, FD_CONN, FD_LISTENER, FD_SPECIAL };

/* The index of a special slot. */
enum fd_special {
    SPECIAL_SIGNALFD,
    SPECIAL_OWN,          /* a descriptor of lastcall, which the program cannot close */
    SPECIAL_BOUND,        /* a socket that this process has bound */
    SPECIAL_LOOKED_AT,    /* the sweep is looking at it: a thread that is about to change its slot waits */
    SPECIAL_NODE_CLUSTER, /* the socket over which node's primary passes connections (compat/node_cluster.h) */
    SPECIAL_TIMED,        /* a socket, no tracked connection, whose calls have a time-out (hook/timed.c) */
    SPECIAL_CHANNEL,      /* a socket over which this process, a primary of node, passes them (compat/node_primary.h) */
    SPECIAL_KINDS,
};

static inline uint32_t fd_slot_make(enum fd_kind kind, uint32_t index)
{
    return (uint32_t)kind << 30 | index;
}

static inline enum fd_kind fd_slot_kind(uint32_t slot)
{
    return (enum fd_kind)(slot >> 30);
}

static inline uint32_t fd_slot_index(uint32_t slot)
{
    return slot & 0x3fffffff;
}

static inline bool fd_slot_is_own(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_OWN);
}

#endif
