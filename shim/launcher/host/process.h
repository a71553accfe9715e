/* process.h: what /proc tells of one process. Nothing is ever written, and no descriptor of the process is
 * duplicated: a socket that two processes hold does not close when one of them closes it. */
#ifndef LASTCALL_LAUNCHER_HOST_PROCESS_H
#define LASTCALL_LAUNCHER_HOST_PROCESS_H

#include "base.h"

/* The start of a file of /proc, NUL-terminated. Returns its length, or -errno. */
long process_file(const char *path, char *to, size_t size);

/* "/proc/PID/NAME", "/proc/PID/DIRECTORY/FD" */
enum { PROCESS_PATH = 64 };
const char *process_path(char path[static PROCESS_PATH], int pid, const char *name);
const char *process_fd_path(char path[static PROCESS_PATH], int pid, const char *directory, int fd);

/* 'R', 'S', 'T', 'Z' ... and the parent. False: the process has gone. */
bool process_life(int pid, char *state, int *parent);

/* The process's name (PR_SET_NAME) unchanged: any bytes. Returns the number of bytes. */
size_t process_name(int pid, char *to, size_t size);

/* The process that a thread belongs to; pid itself if that cannot be known. */
int process_of_thread(int pid);

/* The process's pid in each PID namespace that sees the process, in the process's own namespace last. Returns the
 * count, at most `max`; 0: the process has ended. */
unsigned process_numbers(int pid, int *number, unsigned max);

/* Does the process ignore the signal; has it a handler for it; is the signal pending for the whole process? False if
 * that cannot be known. */
bool process_ignores(int pid, int signo);
bool process_catches(int pid, int signo);
bool process_has_pending(int pid, int signo);

/* `size` bytes at an address of the process's memory, all or none. mem: from process_memory, or -errno. */
int process_memory(int pid);
bool process_peek(int mem, uint64_t address, void *to, size_t size);

/* A descriptor of the process's network namespace, if the launcher is in another one; -1: the namespace is the
 * launcher's, or cannot be opened (*unreadable tells). */
int process_network(int pid, bool *unreadable);

#endif
