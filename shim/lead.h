/* lead.h: the drain of a group (DESIGN section 8), as its leader and those who are led carry it out. A process that gets
 * a drain signal leads: it orders its descendants to drain too, waits for all, asks once more ("nothing new?"), and is
 * released; then they are free. Pump only. */
#ifndef LASTCALL_LEAD_H
#define LASTCALL_LEAD_H

#include "shim.h"

#include "sys/proc.h"

/* A worker that gets the signal alone goes on as before for so long: it may be on its way to all of them. */
#define LONE_GRACE (100 * NSEC_PER_MSEC)
/* Where no thread waits for the group's changes, look for them so often. */
#define GROUP_LOOK (20 * NSEC_PER_MSEC)

/* The drain begins: find out whom it follows. */
void lead_begin(void);

/* What our leader asks: to be known before the census is taken. */
uint32_t lead_round(void);

/* Fill in the group's part of the census. ours: nothing else is owed. */
void lead_census(struct census *census, bool ours, uint32_t round, nsec_t now);

/* Tell the others how far we are. */
void lead_publish(const struct census *census);

/* An event of the private epoll set: the death of a process? */
bool lead_event(uint64_t token);

/* The futex that tells of what we wait for, and its value now. */
uint32_t *lead_word(uint32_t *value);
/* The bit by which its waiter can be woken alone (FUTEX_WAIT_BITSET). */
uint32_t lead_bit(void);

/* Our part is over; a leader waits a moment until the others have said so too. Then they are set free. */
void lead_end(enum report_end end);
void lead_free(void);

/* What is another process to us? */
enum kinship {
    STRANGER,
    MAYBE_KIN, /* a relative that may soon show that it drains with us, or that it does not */
    KIN,       /* it drains with us */
};

/* Is process pid one that drains with our leader? */
enum kinship lead_means(uint64_t pid);
/* KIN, by what is known without a wait for the number of a child that is just being forked. */
bool lead_knows(uint64_t pid);

/* Has this process descendants, or may it soon have one that serves? */
bool lead_has_workers(void);

/* Does this process work for another one? */
bool lead_is_member(void);

/* Find out whether processes hold this shared listener that do not drain with us (l->foreign). */
void lead_decide(struct listener *l);

/* Take our threads out of the call that they wait in: they make it again. Each answers (stats.interrupts_answered) when it is out
 * of it, but those that block the signal. */
void lead_call_out(void);

/* Leader only: call f for every process of our drain, ourselves first (returns their number), and for every cut of the
 * others. */
unsigned lead_processes(void (*f)(const struct report_process *p, void *arg), void *arg);
void lead_cuts(void (*f)(const struct report_cut *cut, void *arg), void *arg);

/* And for every connection that was recorded, of all; once, then they are forgotten. Of how many there is nothing? */
void lead_connections(void (*f)(const struct report_connection *c, void *arg), void *arg);
uint64_t lead_left_out(void);

/* When the last thing was done that any of them owed. */
nsec_t lead_owed_at(void);

#endif
