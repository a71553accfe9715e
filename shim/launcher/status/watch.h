/* watch.h: `lastcall status --watch`. */
#ifndef LASTCALL_LAUNCHER_STATUS_WATCH_H
#define LASTCALL_LAUNCHER_STATUS_WATCH_H

#include "launcher/status/read.h"

/* Read again and again until no group of the wish is left, or, on a terminal, until q or ^C. On a terminal a page is
 * redrawn; else a line (json: an object) is written for each change. Returns the exit status. */
int status_watch(const struct status_wish *wish, bool json);

#endif
