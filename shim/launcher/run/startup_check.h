/* startup_check.h: has the command been executed, and has the object been loaded into it? A pipe that exec closes tells the
 * first, /proc/PID/maps the second: it is looked at a dozen times at most, after 1 ms, 2 ms, 4 ms ..., since nothing tells
 * of a mapping (inotify hears of the dynamic linker's open, which is too early, and of no close while it is mapped). It
 * costs the command nothing. */
#ifndef LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H
#define LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H

#include "base.h"

#include <poll.h>

enum handshake_state {
    HANDSHAKE_EXEC, /* the end of the pipe: executed; or an error number in it */
    HANDSHAKE_LOAD, /* the object, at most so long */
    HANDSHAKE_LOADED,
    HANDSHAKE_OVER,   /* it failed, or nobody waits for the object */
    HANDSHAKE_ABSENT, /* the object has not come */
    HANDSHAKE_HIDDEN, /* it cannot be known: the process does not let itself be looked into */
};

struct handshake {
    enum handshake_state state;
    int result, report; /* the pipe's ends; report is the child's */
    int error;          /* of exec */
    const char *object; /* its path; NULL: it is not expected */
    nsec_t look, until; /* when to look next, and for the last time */
    nsec_t pause;
};

/* Before the fork. False: there is no pipe (errno). */
bool handshake_begin(struct handshake *h, const char *object);

/* In the child: exec has failed. */
void handshake_fail(const struct handshake *h, int error);

/* In the parent, after the fork. */
void handshake_forked(struct handshake *h);

/* What to poll for, one at most; *wake is lowered to the time of the next step at the latest. */
unsigned handshake_poll(const struct handshake *h, struct pollfd *to, nsec_t *wake);

/* Something may have happened. Returns the state. */
enum handshake_state handshake_step(struct handshake *h, int child, nsec_t now);

#endif
