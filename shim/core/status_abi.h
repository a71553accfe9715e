/* status_abi.h: where a process that serves keeps its connections, and what the program believes of signals, for
 * `lastcall status`, which reads them by proc_pid_mem(5) and so costs the server nothing. The member's slot in the
 * group's table says where the view lies.
 *
 * Pure. The reader may be of another build than the library that wrote the view: the reader believes nothing before
 * status_abi_check. */
#ifndef LASTCALL_STATUS_ABI_H
#define LASTCALL_STATUS_ABI_H

#include "core/conn_pool.h"
#include "core/signal_view.h"

struct status_abi {
    char magic[8];
    uint32_t version, size;
    uint64_t layout;  /* of the library that wrote the view: one number for all that a reader looks at */
    char build[16];   /* its LASTCALL_VERSION, for people; NUL-terminated */
    uint64_t pool;    /* the address of its struct conn_pool */
    uint64_t signals; /* and of its struct signal_view */
};

enum status_abi_verdict { STATUS_ABI_GOOD, STATUS_ABI_NONE, STATUS_ABI_OTHER_BUILD };

/* Once, when the process begins to serve. */
void status_abi_init(struct status_abi *v, const struct conn_pool *pool, const struct signal_view *signals);

/* A copy of what lies at the address: no view at all; a view of a build with other structs; or a view that can be
 * read. */
enum status_abi_verdict status_abi_check(const struct status_abi *v);

#endif
