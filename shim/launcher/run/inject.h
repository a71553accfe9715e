/* inject.h: puts liblastcall.so into a static Go program as it starts. Nobody stays behind: not even a parent is needed. */
#ifndef LASTCALL_LAUNCHER_RUN_INJECT_H
#define LASTCALL_LAUNCHER_RUN_INJECT_H

#include "base.h"

/* execve(path, argv, envp), with the object (a path) in the program before its first instruction. For programs that have no
 * dynamic linker; in a process with one thread. If ptrace is denied, the program is executed without, and *problem_to (a
 * descriptor) is told why in one line. Whether the object is there can be seen in /proc/PID/maps. Returns the error number
 * of execve. */
int inject_exec(const char *object, const char *path, char *const argv[], char *const envp[], int problem_to);

#endif
