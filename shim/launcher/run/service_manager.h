/* service_manager.h: what systemd, or another service manager, means for the process that it has started. That process is the
 * launcher, and the command is meant: it serves, it listens, it says that it is ready and alive. */
#ifndef LASTCALL_LAUNCHER_RUN_SERVICE_MANAGER_H
#define LASTCALL_LAUNCHER_RUN_SERVICE_MANAGER_H

#include "base.h"

#include <sys/types.h>

/* In the command's process, before its exec: the variables that name the launcher (LISTEN_PID: sd_listen_fds(3), WATCHDOG_PID:
 * sd_watchdog_enabled(3), SYSTEMD_EXEC_PID: systemd.exec(5)) name this process instead. */
void service_manager_rename(pid_t launcher);

/* In the launcher, once the command's process has been made: listeners handed over as descriptors 3 and up are not ours to hold. A
 * listener that somebody else holds is left open at the end of a drain, and one whose last holder we were would reset who waits
 * in it. */
void service_manager_close_listeners(void);

/* Does a service manager take messages of us as the main process of a service (NOTIFY_SOCKET: sd_notify(3))? By default it takes
 * none of another process. */
bool service_manager_notifies(void);

/* MAINPID: the service's main process is this child from now on. To be said before the command can say anything. False: it cannot
 * be said. Who has said so must not reap the child: its status is the service's, and goes to the service manager with our own end. */
bool service_manager_set_main(pid_t child);

#endif
