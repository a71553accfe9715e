/* pump.h: the waiting thread of a drain: made by the first signal, gone after the release. */
#ifndef LASTCALL_PUMP_H
#define LASTCALL_PUMP_H

#include "shim.h"

/* survey.c: look at every connection: act on what is due (idle windows, ends of lingering), and count what
 * release still waits for. */
void survey(struct census *census, nsec_t now, bool first);
/* Are there connections on our ports that the table lacks? Adopts them. */
void survey_sweep(void);
/* Mark what an event of the private epoll set told about connection index/generation. True: the
 * witness changed. */
bool survey_event(uint64_t token, nsec_t now);
/* Every connection that is cut by a release now: calls f for each. Returns their number. */
unsigned survey_cut(void (*f)(const struct report_cut *cut, void *arg), void *arg);

/* holders.c. Of what a fork has shared: what does no other process hold any more? That is ours alone again. with_listeners: look
 * also if only those are shared. pinned: a connection whose pin the caller has, or NULL. */
void holders_look(bool with_listeners, const struct conn *pinned);

/* announce.c: what the drain says: log lines and the final report. */
void announce_open(void);
void announce_signal(void);
void announce_door(nsec_t now);
void announce_trace(void); /* what the hooks have decided since the last time */
void announce_count_cuts(void);
void announce_end(nsec_t now, enum report_end end);

#endif
