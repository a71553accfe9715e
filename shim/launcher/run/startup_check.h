/* startup_check.h: has the command been executed, and has the object been loaded into it? A pipe that exec closes tells the
 * first, /proc/PID/maps the second: it is looked at a dozen times at most, after 1 ms, 2 ms, 4 ms ..., since nothing tells
 * of a mapping (inotify hears of the dynamic linker's open, which is too early, and of no close while it is mapped). It
 * costs the command nothing. */
#ifndef LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H
#define LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H

#include "base.h"

#include <poll.h>

enum startup_state {
    STARTUP_EXEC, /* the end of the pipe: executed; or an error number in it */
    STARTUP_LOAD, /* the object, at most so long */
    STARTUP_LOADED,
    STARTUP_OVER,    /* it failed, or nobody waits for the object */
    STARTUP_ABSENT,  /* the object has not come */
    STARTUP_UNKNOWN, /* it cannot be known: the process does not let itself be looked into */
};

struct startup_check {
    enum startup_state state;
    int result, report; /* the pipe's ends; report is the child's */
    int error;          /* of exec */
    const char *object; /* its path; NULL: it is not expected */
    nsec_t look, until; /* when to look next, and for the last time */
    nsec_t pause;
};

/* Before the fork. False: there is no pipe (errno). */
bool startup_check_begin(struct startup_check *h, const char *object);

/* In the child: exec has failed. */
void startup_check_fail(const struct startup_check *h, int error);

/* In the parent, after the fork. */
void startup_check_forked(struct startup_check *h);

/* What to poll for, one at most; *wake is lowered to the time of the next step at the latest. */
unsigned startup_check_poll(const struct startup_check *h, struct pollfd *to, nsec_t *wake);

/* Something may have happened. Returns the state. */
enum startup_state startup_check_step(struct startup_check *h, int child, nsec_t now);

#endif
