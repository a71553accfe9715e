/* commands.h: every command of `lastcall`: one file each (run.c, check.c ...), one row each in lastcall.c. */
#ifndef LASTCALL_COMMANDS_H
#define LASTCALL_COMMANDS_H

#include "cli/cli.h"

extern const struct command command_check;
extern const struct command command_run;
extern const struct command command_status;
extern const struct command command_rehearse;
extern const struct command command_timeline;
extern const struct command command_version;

#endif
