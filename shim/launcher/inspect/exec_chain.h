/* exec_chain.h: from the words of a command to the file that the kernel runs at last: PATH, #! lines, env. */
#ifndef LASTCALL_LAUNCHER_INSPECT_EXEC_CHAIN_H
#define LASTCALL_LAUNCHER_INSPECT_EXEC_CHAIN_H

#include "launcher/inspect/program.h"

/* Fills asked, path, script, scripts, by_env, env_clears, executable and, if the program cannot be started, problem.
 * Returns the open file (the caller closes the descriptor), or -errno as exec would. A FIFO or device is never
 * opened. */
int exec_chain_command(char *const *argv, struct program_facts *facts);

/* facts->problem = before "name" after, with whatever the name has in it escaped. Returns status. */
int exec_chain_problem(struct program_facts *facts, int status, const char *before, const char *name,
                       const char *after);

#endif
