/* report.h: the report of an external drain. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_REPORT_H
#define LASTCALL_LAUNCHER_EXTERNAL_REPORT_H

#include "core/report_format.h"

/* The signal has come: the first line of LASTCALL_REPORT. */
void external_report_begun(const struct options *o, const struct report_begun *b);

/* The report to the log and, if there is to be one, to LASTCALL_REPORT. */
void external_report(const struct options *o, const struct report *r, const struct report_aborted *aborts,
                     unsigned count);

#endif
