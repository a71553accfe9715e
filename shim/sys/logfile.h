/* logfile.h: where the lines of lastcall go. Opened when a drain begins, or before the program changes its ids
 * (process/outfile.h); the standard error is used only while it is still the file seen at start, and only if it takes a
 * line without blocking. */
#ifndef LASTCALL_SYS_LOGFILE_H
#define LASTCALL_SYS_LOGFILE_H

#include "base.h"

struct logfile_id {
    uint64_t dev, inode; /* 0: no file */
};

/* Which file is this? And is it still that one? The program may have put another one there. */
struct logfile_id logfile_identify(int fd);
bool logfile_is(int fd, struct logfile_id id);

/* Write n bytes to the standard error, if that is still this file and takes the bytes now. */
void logfile_to_stderr(struct logfile_id id, const char *line, size_t n);

/* Open for appending, close-on-exec, at a high number (fd.h). -errno. The path may lie where others may write: a
 * symbolic link of another user's is not followed (-ELOOP), a file that has other names too not written to (-EMLINK),
 * and a FIFO or a terminal not waited for. */
int logfile_open(const char *path);

/* The file has no name any more: nobody will read it. */
bool logfile_is_removed(int fd);

/* Lock the file against other processes that write to it. A process that may read the file may hold a lock for ever,
 * so the wait ends after 100 ms. False: another process has the lock. */
bool logfile_lock(int fd);
void logfile_unlock(int fd);

/* False: not all bytes could be written (a full disk, a pipe that is closed or full). */
bool logfile_write(int fd, const char *line, size_t n);

/* The end of a regular file; 0 of any other. */
uint64_t logfile_end(int fd);
/* Truncate the file there: the bytes after it are lastcall's, and an incomplete line. */
void logfile_take_back(int fd, uint64_t end);

#endif
