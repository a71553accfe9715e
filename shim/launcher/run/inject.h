/* inject.h: puts liblastcall.so into a static Go program as the program starts. No process remains afterwards: the
 * program needs no launcher as its parent. */
#ifndef LASTCALL_LAUNCHER_RUN_INJECT_H
#define LASTCALL_LAUNCHER_RUN_INJECT_H

#include "base.h"

/* execve(path, argv, envp), with the library (`object`, a path) mapped into the program before its first
 * instruction. For programs that have no dynamic linker; the calling process must have one thread. If ptrace is
 * denied, the program is executed without the library, and the reason is written to the descriptor problem_to in one
 * line. /proc/PID/maps shows whether the library is mapped. Returns the error number of execve. */
int inject_exec(const char *object, const char *path, char *const argv[], char *const envp[], int problem_to);

#endif
