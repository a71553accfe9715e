/* process_tree.h: the processes that descend from this one, orphans included (it must be their subreaper), and what can be done
 * to all of them. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_TREE_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_TREE_H

#include "base.h"

#include <sys/types.h>

enum { TREE_MAX = 4096 };

struct tree {
    unsigned count;
    pid_t pid[TREE_MAX]; /* those that live */
};

/* From now on orphans become our children. */
void tree_adopt_orphans(void);

void tree_read(struct tree *t);

/* A signal to every one but one (0 = all). It is asked again whose each is once it is held, since its number may be another's by now. */
void tree_signal(int signo, pid_t but);

/* Stop all of them but one (0 = all); returns when none runs, or after a second. SIGCONT by tree_signal lets them go on. */
void tree_stop(pid_t but);

/* Is this signal waiting for one of them but one (to go on, if it is stopped)? */
bool tree_is_pending(int signo, pid_t but);

/* End all of them, also those that they still start, and reap those that are ours. False: some did not go in 5 s. */
bool tree_end(void);

#endif
