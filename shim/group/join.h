/* join.h: how a process comes into its group: the memory is inherited over fork, and found over exec by a descriptor
 * that the environment names, or at an ancestor. */
#ifndef LASTCALL_GROUP_JOIN_H
#define LASTCALL_GROUP_JOIN_H

#include "core/text.h"

/* The process begins to serve: join the group that the environment names, or an ancestor's, or found one; history:
 * found one that keeps a history of its drains. Errors in the environment's value are appended to errors. */
void join_group(struct text *errors, bool history);

#endif
