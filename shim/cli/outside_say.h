/* outside_say.h: what a drain from outside says: log lines, and its report. */
#ifndef LASTCALL_OUTSIDE_SAY_H
#define LASTCALL_OUTSIDE_SAY_H

#include "core/report.h"

/* The report to the log and, if there is to be one, to LASTCALL_REPORT. */
void outside_report(const struct options *o, const struct report *r, const struct report_cut *cuts, unsigned count);

#endif
