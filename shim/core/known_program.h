/* known_program.h: which signals mean "stop" to a program, beside TERM, as far as its names tell
 * (LASTCALL_SIGNALS=auto).
 *
 * Pure. */
#ifndef LASTCALL_KNOWN_PROGRAM_H
#define LASTCALL_KNOWN_PROGRAM_H

#include "base.h"

/* The signal by which supervisors ask this program to stop gracefully; 0: TERM, or the program is not known. exe: the
 * path of the executable, n bytes (a link of /proc ends in " (deleted)" once the file has been replaced). args: its
 * arguments as in /proc/PID/cmdline, each with its NUL, args_len bytes; they tell which program an interpreter runs. */
int known_program_signal(const char *exe, size_t n, const char *args, size_t args_len);

/* Does this program, which stops by `graceful`, let its requests end first? */
bool known_program_waits(const char *exe, size_t n, int graceful);

/* The drain signals of LASTCALL_SIGNALS=auto (bit s = signal s). */
uint64_t known_program_signals(int graceful, bool has_terminal);

#endif
