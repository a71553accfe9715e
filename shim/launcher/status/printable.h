/* printable.h: other processes' strings, made printable. Pure. */
#ifndef LASTCALL_LAUNCHER_STATUS_PRINTABLE_H
#define LASTCALL_LAUNCHER_STATUS_PRINTABLE_H

#include "base.h"

enum { STATUS_NAME = 64 };

/* Bytes of another process as printable ASCII without blanks at its ends; truncated to size. */
void status_printable(char *out, size_t size, const char *bytes, size_t n);
/* "TERM"; "none" for 0, a number for one without a name. The buffer is the caller's. */
const char *status_signal(int signo, char buf[static 16]);

#endif
