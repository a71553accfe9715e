/* stats.h: the counts of this drain, each counted where its event happens. Any thread, any signal handler. */
#ifndef LASTCALL_PROCESS_STATS_H
#define LASTCALL_PROCESS_STATS_H

#include "core/report_format.h"

struct stats {
    struct report_counts counts;
    nsec_t last_done_at;          /* when the last thing outstanding was done */
    nsec_t last_accept_at;        /* when the last connection was accepted */
    unsigned accepting;           /* calls of accept that do not block, begun while draining */
    unsigned interrupts;          /* threads that were sent a signal to interrupt their accept */
    unsigned interrupts_answered; /* threads of these that have left their accept */
};
extern HIDDEN struct stats stats;

void stats_after_fork(void);

#endif
