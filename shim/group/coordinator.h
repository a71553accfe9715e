/* coordinator.h: the drain of a group (DESIGN section 8) in two phases. The process that gets the drain signal
 * coordinates: it commands its descendants to drain too. All participants report that they are drained; the coordinator
 * asks them to confirm it (a connection may have come meanwhile); when all have, its signal is delivered, and then
 * theirs. Drain thread only, but for coordinator_delivered. */
#ifndef LASTCALL_GROUP_COORDINATOR_H
#define LASTCALL_GROUP_COORDINATOR_H

#include "group/peers.h"

/* Where no thread waits for the group's changes, look for them so often. */
#define COORDINATOR_LOOK (20 * NSEC_PER_MSEC)

/* The drain begins: find out which process coordinates it. */
void coordinator_begin(void);

/* Our part of the drain at this moment. */
struct coordinator_part {
    uint8_t phase;  /* enum drain_phase */
    bool drained;   /* nothing is outstanding here */
    uint32_t asked; /* coordinator_asked(), taken before `drained` was */
    nsec_t now;
};

/* What a step has found out. */
struct coordinator_events {
    bool coordinator_lost; /* it has died before it delivered: this process coordinates now, and has its signal */
    struct peers_deaths deaths;
};

/* How often the coordinator has asked this participant to confirm that it is drained. */
uint32_t coordinator_asked(void);
/* Has this process asked its participants, as their coordinator? */
bool coordinator_has_asked(void);

/* Add what was in flight in the others at the signal. False: some have not counted it yet. */
bool coordinator_add_in_flight(uint64_t *in_flight);

/* Fill in the group's part of the census, and add what has happened to events. */
void coordinator_step(const struct coordinator_part *part, struct census *census, struct coordinator_events *events);

/* Tell the others how far we are. */
void coordinator_publish(uint8_t phase, const struct census *census);

/* This process has none of the drain's listeners open any more. */
void coordinator_closed(void);

/* The futex that changes when this process has something to do, and the futex's value now. */
uint32_t *coordinator_futex(uint32_t *value);
/* The bit by which its waiter can be woken alone (FUTEX_WAIT_BITSET). */
uint32_t coordinator_futex_bit(void);

/* This process's part is over. A participant has added its aborted requests before (group_add_aborted); a
 * coordinator waits a moment until its participants have said that theirs is over too. */
void coordinator_end(enum report_end end);
/* The coordinator is about to deliver its signal: its participants may deliver theirs. */
void coordinator_finish(void);

/* The coordinator ends at its deadline, and will not wait for its participants: end those that are left. */
void coordinator_end_members(void);

/* Does another process coordinate our drain? */
bool coordinator_is_other(void);
/* The serial of the process that coordinates our drain, maybe this one; 0: this process drains alone. */
uint32_t coordinator_serial(void);

/* Has the coordinator of this drain, or the master that this process works for, delivered its signal? Then a signal
 * from it is not deferred. Any thread, any signal handler. */
bool coordinator_delivered(void);

#endif
