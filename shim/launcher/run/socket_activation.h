/* socket_activation.h: listeners that systemd, or another, hands to a service as descriptors 3 and up (sd_listen_fds(3)). They are
 * meant for the process that LISTEN_PID names: for the command, not for its launcher. */
#ifndef LASTCALL_LAUNCHER_RUN_SOCKET_ACTIVATION_H
#define LASTCALL_LAUNCHER_RUN_SOCKET_ACTIVATION_H

#include <sys/types.h>

/* In the command's process, before its exec: what was handed to `launcher` is for this process. */
void socket_activation_take(pid_t launcher);

/* In the launcher, once the command's process has been made: they are not ours to hold. A listener that somebody else holds
 * is left open at the end of a drain, and one whose last holder we were would reset who waits in it. */
void socket_activation_close(void);

#endif
