/* print.h: a struct status as a page for people, a line for each change, JSON, and OpenMetrics. */
#ifndef LASTCALL_LAUNCHER_STATUS_PRINT_H
#define LASTCALL_LAUNCHER_STATUS_PRINT_H

#include "launcher/status/model.h"

#include <stdio.h>

/* For people. requests_max: so many in flight are named, for each group. */
void status_page(FILE *to, const struct status *s, unsigned requests_max);

/* One line for a group; with times, or (to see whether anything has changed) without. */
void status_line(FILE *to, const struct status_group *g, bool times);

/* One JSON object; compact: on one line. times: as above. False: no memory. */
bool status_json(FILE *to, const struct status *s, bool compact, bool times);

/* https://prometheus.io/docs/specs/om/open_metrics_spec/ */
void status_metrics(FILE *to, const struct status *s);

/* `[#####.....]`: how much of a whole is left; `width` characters inside. */
void status_bar(FILE *to, nsec_t left, nsec_t whole, unsigned width);

#endif
