/* view.h: where a process that serves keeps its connections, for `lastcall status`, which reads them from outside
 * (proc_pid_mem(5)) and so costs the server nothing. The member's slot in the group's table says where the view lies.
 *
 * Pure. The reader was perhaps built from other sources than the object that wrote it: it believes nothing before
 * view_check. */
#ifndef LASTCALL_VIEW_H
#define LASTCALL_VIEW_H

#include "core/fdtable.h"

struct view {
    char magic[8];
    uint32_t version, size;
    uint64_t layout; /* view_layout() of the object that wrote it */
    char build[16];  /* its LASTCALL_VERSION, for people; NUL-terminated */
    uint64_t pool;   /* the address of its struct conn_pool */
};

enum view_verdict { VIEW_GOOD, VIEW_NONE, VIEW_OTHER_BUILD };

/* Once, when the process begins to serve. */
void view_init(struct view *v, const struct conn_pool *pool);

/* A copy of what lies at the address: none at all; of a build whose structs differ; or one that can be read. */
enum view_verdict view_check(const struct view *v);

/* One number for the places and sizes of all that a reader of the pool looks at. */
uint64_t view_layout(void);

#endif
