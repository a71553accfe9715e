/* service_manager.h: hands the service manager's (systemd's) settings for the main process on to the command. The
 * service manager has started the launcher, but the command is the process that serves, listens, and reports
 * readiness and liveness. */
#ifndef LASTCALL_LAUNCHER_RUN_SERVICE_MANAGER_H
#define LASTCALL_LAUNCHER_RUN_SERVICE_MANAGER_H

#include "base.h"

#include <sys/types.h>

/* In the command's process, before its exec: the variables that name the launcher (LISTEN_PID: sd_listen_fds(3),
 * WATCHDOG_PID: sd_watchdog_enabled(3), SYSTEMD_EXEC_PID: systemd.exec(5)) name the command's process instead. */
void service_manager_rename(pid_t launcher);

/* In the launcher, after the fork of the command's process: closes the listeners that were handed over as
 * descriptors 3 and up. While the launcher held such a listener, the listener would stay open at the end of a drain;
 * and if the launcher were the last holder, its exit would reset the connections in the accept queue. */
void service_manager_close_listeners(void);

/* Does a service manager accept messages from this process as the main process of a service (NOTIFY_SOCKET:
 * sd_notify(3))? By default a service manager accepts none from another process. */
bool service_manager_notifies(void);

/* MAINPID: declares this child the service's main process. To be called before the command can send a message.
 * False: the message cannot be sent. After a call that succeeded the launcher must not reap the child: the service
 * manager reaps the child, and takes its status as that of the service, when the launcher ends. */
bool service_manager_set_main(pid_t child);

#endif
