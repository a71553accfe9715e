/* logfile.h: where lines of ours go. Opened by the pump, early (the program may change its ids later); the
 * standard error is used only while it is still the file seen at start, and only if it takes a line
 * without blocking. */
#ifndef LASTCALL_SYS_LOGFILE_H
#define LASTCALL_SYS_LOGFILE_H

#include "base.h"

/* Note which file the standard error is. */
void logfile_remember_stderr(uint64_t *dev, uint64_t *ino);

/* Write n bytes to the standard error, if it is still that file and takes them now. */
void logfile_to_stderr(uint64_t dev, uint64_t ino, const char *line, size_t n);

/* Open for appending, close-on-exec, at a high number (fd.h). -errno. The path may lie where others may write: a
 * symbolic link of another user's is not followed (-ELOOP), a file that has other names too not written to (-EMLINK), and
 * a FIFO or a terminal not waited for. */
int logfile_open(const char *path);

/* Against others who write to the same file. Whoever may read it may lock it too, and for ever: it is waited for no longer
 * than 100 ms. False: somebody else has it. */
bool logfile_lock(int fd);
void logfile_unlock(int fd);

/* False: not all of it could be written (a full disk, a pipe that is closed or full). */
bool logfile_write(int fd, const char *line, size_t n);

/* The end of a regular file; 0 of any other. */
uint64_t logfile_end(int fd);
/* Cut it there: what came behind is ours, and not whole. */
void logfile_take_back(int fd, uint64_t end);

#endif
