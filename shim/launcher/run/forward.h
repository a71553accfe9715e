/* forward.h: a signal that came to the launcher goes on to the command. */
#ifndef LASTCALL_LAUNCHER_RUN_FORWARD_H
#define LASTCALL_LAUNCHER_RUN_FORWARD_H

#include <sys/signalfd.h>

/* With the value that was sent with it (sigqueue(3)), if the kernel lets us. */
void forward_signal(int pid, const struct signalfd_siginfo *info);

#endif
