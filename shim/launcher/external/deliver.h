/* deliver.h: the signal of an external drain reaches the program: its first process, and, if that one holds no listener
 * (a shell that stays as the parent), also each server that has no ancestor with a listener. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_DELIVER_H
#define LASTCALL_LAUNCHER_EXTERNAL_DELIVER_H

#include "core/drain.h"
#include "launcher/external/observe.h"

/* The signal by which the program is asked to stop: signo, or what is sent in its place. shuts_down: requests are in
 * flight, and the program shall let them end. */
int deliver_which(const struct observer *o, int signo, const struct options *options, bool shuts_down);

/* Would all servers ignore the signal? Then it means nothing to them, and they go on serving. */
bool deliver_is_ignored(struct observer *o, int signo, const struct options *options);

/* What the program will do when it gets the signal, as far as /proc tells of handlers. */
enum program_answer deliver_answer(struct observer *o, int signo, const struct options *options);

void deliver_signal(struct observer *o, int signo);

/* SIGKILL to the first process, and to each other that holds a listener or a connection. */
void deliver_kill(struct observer *o);

#endif
