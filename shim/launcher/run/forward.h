/* forward.h: a signal that came to the launcher goes on to the command. */
#ifndef LASTCALL_LAUNCHER_RUN_FORWARD_H
#define LASTCALL_LAUNCHER_RUN_FORWARD_H

#include <sys/signalfd.h>

/* Sends the signal with the value that came with the signal (sigqueue(3)), if the kernel permits that. */
void forward_signal(int pid, const struct signalfd_siginfo *info);

#endif
