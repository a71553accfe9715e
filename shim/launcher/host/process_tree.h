/* process_tree.h: the processes that descend from this one, orphans included (this process must be their subreaper,
 * or PID 1), and the operations on all of them. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_TREE_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_TREE_H

#include "base.h"

struct process {
    int pid, parent;
    char state;      /* as in /proc/PID/stat: 'Z' and 'X' have ended */
    bool descendant; /* of this process */
};

struct processes { /* all processes of this machine, by pid */
    struct process *at;
    unsigned count, room;
};

/* False: there is no /proc, or no memory. What was read is to be given to process_tree_free all the same. */
bool process_tree_read_all(struct processes *all);
void process_tree_free(struct processes *all);

enum { PROCESS_TREE_MAX = 4096 };

struct process_tree {
    unsigned count;
    int pid[PROCESS_TREE_MAX]; /* the descendants that live */
};

void process_tree_read(struct process_tree *t);

/* From now on orphans become children of this process. */
void process_tree_adopt_orphans(void);

/* Send a signal to every descendant but one (0 = to all). The tree is read again once each process is held by a
 * pidfd, since a pid may have been reused meanwhile. */
void process_tree_signal(int signo, int but);

/* Stop all descendants but one (0 = all); returns when none runs, or after a second. SIGCONT by process_tree_signal
 * continues them. */
void process_tree_stop(int but);

/* Is this signal pending for a descendant but one (which takes it when it is continued)? */
bool process_tree_has_pending(int signo, int but);

/* End all descendants, also those that they still start, and reap the children of this process. False: some did not go
 * in 5 s. */
bool process_tree_end(void);

#endif
