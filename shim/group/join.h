/* join.h: how a process comes into its group: the memory is inherited over fork, and found over exec by a descriptor that
 * the environment names, or at an ancestor. */
#ifndef LASTCALL_GROUP_JOIN_H
#define LASTCALL_GROUP_JOIN_H

#include "core/text.h"

/* The process begins to serve: join the group of the environment or of an ancestor, or found one; history: one that keeps
 * a history of its drains. What is wrong with the environment's is said in complaints. */
void join_group(struct text *complaints, bool history);

#endif
