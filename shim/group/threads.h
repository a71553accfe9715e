/* threads.h: the threads of this process in a drain. */
#ifndef LASTCALL_GROUP_THREADS_H
#define LASTCALL_GROUP_THREADS_H

/* Interrupt the call that each of our threads waits in: the thread makes the call again. Each thread answers
 * (stats.interrupts_answered) when it is out of its call, but those that block the signal. Any thread. */
void threads_interrupt(void);

#endif
