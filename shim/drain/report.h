/* report.h: what a drain writes: a few log lines, and one report at its end. Drain thread only. */
#ifndef LASTCALL_DRAIN_REPORT_H
#define LASTCALL_DRAIN_REPORT_H

#include "core/report_format.h"

/* Open the log and the report. */
void drain_report_open(void);

/* The signal has come. shuts_down: the program has a handler of its own. */
void drain_report_signal(bool shuts_down);
/* It is known what was in flight at the signal, in the whole group: the coordinator's first line. */
void drain_report_begun(uint64_t in_flight);
void drain_report_accept_stopped(nsec_t now);
void drain_report_trace(void); /* what the hooks have decided since the last time */

/* Count the connections that this process aborts by its end: before the other members are told. */
void drain_report_count_aborted(void);
/* Call f for each of them. Returns their number. */
unsigned drain_report_each_aborted(void (*f)(const struct report_aborted *aborted, void *arg), void *arg);

void drain_report_end(nsec_t now, enum report_end end);

/* ---- group_report.c: the same of all processes of our drain. Its coordinator only. ---- */

/* Call f for every process, this one first; returns their number. And for every aborted connection of the others. */
unsigned group_report_processes(void (*f)(const struct report_process *p, void *arg), void *arg);
void group_report_aborted(void (*f)(const struct report_aborted *aborted, void *arg), void *arg);

/* Call f, once, for every recorded connection of all members; then the records are dropped. How many have no record? */
void group_report_connections(void (*f)(const struct report_connection *c, void *arg), void *arg);
uint64_t group_report_left_out(void);

/* When the last outstanding connection of any member was done. */
nsec_t group_report_last_done_at(void);

#endif
