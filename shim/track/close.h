/* close.h: a connection ends: half-closed by lastcall or by the program, then closed by the program, lingering where
 * that close would reset the connection. Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_CLOSE_H
#define LASTCALL_TRACK_CLOSE_H

#include "core/conn.h"

/* Half-close c: its last response is complete, and says so. */
void close_half(struct conn *c, nsec_t now);
/* The program has half-closed connection c. */
void close_half_by_program(uint32_t slot);

/* Wake the drain thread when c's output is acknowledged, and its peer has ended. */
void close_watch(const struct conn *c);

/* Bytes have come after our close decision, and were swallowed. */
void close_count_late(struct conn *c, uint64_t bytes);

/* The program is about to close fd, which has a slot. */
void close_by_program(int fd);

#endif
