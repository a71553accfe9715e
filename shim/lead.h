/* lead.h: what the coordinator tells of all processes of its drain (lead_report.c). Drain thread only. */
#ifndef LASTCALL_LEAD_H
#define LASTCALL_LEAD_H

#include "shim.h"

/* Call f for every process of our drain, ourselves first (returns their number), and for every aborted request of the
 * others. */
unsigned lead_processes(void (*f)(const struct report_process *p, void *arg), void *arg);
void lead_cuts(void (*f)(const struct report_cut *cut, void *arg), void *arg);

/* And for every connection that was recorded, of all; once, then they are forgotten. Of how many there is nothing? */
void lead_connections(void (*f)(const struct report_connection *c, void *arg), void *arg);
uint64_t lead_left_out(void);

/* When the last thing was done that any of them owed. */
nsec_t lead_owed_at(void);

#endif
