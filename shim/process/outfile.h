/* outfile.h: a file that a drain writes to: the log, the report. It is opened when a drain begins; or before, where
 * the process gives up the right to open it (it changes to another user, or root directory): then it is held, over
 * forks too. The drain thread, and the program's thread that makes such a change. */
#ifndef LASTCALL_PROCESS_OUTFILE_H
#define LASTCALL_PROCESS_OUTFILE_H

#include "sys/logfile.h"

struct outfile {
    int fd; /* -1: not open */
    bool held;
    struct logfile_id id;
};

/* Its descriptor; -1: it is not open, or a call that no hook sees has put another file there, the program's. */
int outfile_fd(const struct outfile *f);

/* Open it, if it is not open. 0, or an error number (< 0). */
int outfile_open(struct outfile *f, const char *path);

/* Open it, and hold it, at a number out of the program's way (fd_move_up). Returns the descriptor, which the caller
 * keeps the program from closing; an error number (< 0): it cannot be opened now either. */
int outfile_hold(struct outfile *f, const char *path);

/* The program has put another file there. */
void outfile_replaced(struct outfile *f, int fd);

/* A fork's child: a file that is not held was its parent's, and is closed by ownfd_after_fork. */
void outfile_forget_unheld(struct outfile *f);

#endif
