/* stats.c: see stats.h. */
#include "process/stats.h"

HIDDEN struct stats stats;

void stats_after_fork(void)
{
    memset(&stats, 0, sizeof stats);
}
