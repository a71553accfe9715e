/* startup_check.h: has the command been executed, and has the library been loaded into the command? A close-on-exec
 * pipe shows the exec, /proc/PID/maps the library. The maps file is read a dozen times at most, after 1 ms, 2 ms, 4
 * ms ..., since the kernel reports no mapping (inotify reports the dynamic linker's open, which is too early, and no
 * close while the file is mapped). The checks cost the command nothing. */
#ifndef LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H
#define LASTCALL_LAUNCHER_RUN_STARTUP_CHECK_H

#include "base.h"

#include <poll.h>

enum startup_state {
    STARTUP_EXEC, /* waits for the end of the pipe: executed; or an error number in the pipe */
    STARTUP_LOAD, /* waits for the library, until `until` */
    STARTUP_LOADED,
    STARTUP_OVER,    /* exec has failed, or no library is expected */
    STARTUP_ABSENT,  /* the library was not loaded in time */
    STARTUP_UNKNOWN, /* not known: the process's maps may not be read */
};

struct startup_check {
    enum startup_state state;
    int result, report; /* the pipe's ends; report is the child's */
    int error;          /* of exec */
    const char *object; /* path of the library; NULL: none is expected */
    nsec_t look, until; /* when to look next, and for the last time */
    nsec_t pause;
};

/* Before the fork. False: there is no pipe (errno). */
bool startup_check_begin(struct startup_check *h, const char *object);

/* In the child: exec has failed. */
void startup_check_fail(const struct startup_check *h, int error);

/* In the parent, after the fork. */
void startup_check_forked(struct startup_check *h);

/* The descriptor to poll, one at most; *wake is lowered to the time of the next step at the latest. */
unsigned startup_check_poll(const struct startup_check *h, struct pollfd *to, nsec_t *wake);

/* Something may have happened. Returns the state. */
enum startup_state startup_check_step(struct startup_check *h, int child, nsec_t now);

#endif
