/* close_conns.h: letting connections go: an end of file for the idle, for the others one together with an answer. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H

#include "launcher/external/observe.h"

/* That descriptors cannot be taken over here was found by a system call that was refused with this error number. */
void part_cannot_take(struct watch *w, int error);

/* Makes the program read an end of file on it, if it is still quiet. */
void part_let_go(struct watch *w, struct visitor *v, nsec_t now);

/* Begins to say farewell (cork_close.h); says it to all with whom that was begun and whose answer lies there. */
void part_begin_farewell(struct watch *w, struct visitor *v, nsec_t now);
void part_say_farewells(struct watch *w, nsec_t now);

/* Whoever holds it besides us may have closed it, or its client may have: then nothing of ours must stand in the way. */
bool part_is_left_to_us(const struct watch *w, const struct visitor *v);

/* It has not closed: a response that goes on. That must not wait for the cork. */
void part_uncork(struct watch *w, struct visitor *v, nsec_t now);

#endif
