/* commands.h: every command of `lastcall`: one folder each (run/, check/ ...), one row each in main.c. */
#ifndef LASTCALL_LAUNCHER_COMMANDS_H
#define LASTCALL_LAUNCHER_COMMANDS_H

#include "launcher/cli.h"

extern const struct command command_check;
extern const struct command command_run;
extern const struct command command_status;
extern const struct command command_rehearse;
extern const struct command command_timeline;
extern const struct command command_version;

#endif
