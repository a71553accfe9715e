/* fd.h: descriptors of our own get high numbers, out of the program's way: it may count on the lowest free ones, and
 * close ranges of low ones. */
#ifndef LASTCALL_SYS_FD_H
#define LASTCALL_SYS_FD_H

#include "base.h"

/* From where on, once the drain has begun. */
void fd_set_high(int base);
int fd_high(void);

/* Move a descriptor that has just been made up there, close-on-exec. Returns its new number; fd itself if there is no
 * room, or if it is an error. */
int fd_move_high(int fd);

/* Move a descriptor that stays for as long as the process lives, close-on-exec, out of the way of programs that count
 * on the lowest numbers, close ranges of low ones, or use select; as far up as the limit allows. Returns as
 * fd_move_high does. */
int fd_move_up(int fd);

/* Has the open file O_NONBLOCK? False, too, if there is none. */
bool fd_is_nonblocking(int fd);

#endif
