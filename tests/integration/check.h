/* check.h: what the C programs of this folder share.
 *
 * Each program is both sides of its tests: `X` runs them, and starts itself under the preload as `X ROLE ARGS`, the
 * process that is looked at. A role talks by say(); the test waits for its words, never for time to pass.
 * A failed CHECK ends its test only; what a test has started dies with it. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

/* A row of a table of tests that do the same to different things. */
struct check_row {
    const char *name;
    void (*run)(const char *const *args);
    const char *args[4]; /* NULL behind the last, if there are fewer */
};

struct check_role {
    const char *name;
    int (*run)(char **args); /* NULL-terminated; what it returns is the exit status */
};

/* A system call of which no library sees anything, like those that go through io_uring; it must not
 * fail. Returns what it returns. */
long call_unseen(long number, long a, long b, long c, void *d);
void close_unseen(int fd);

/* Is this descriptor of the calling process that of its group's memory? Which one is it; -1: none. */
bool is_group_memory(int fd);
int find_group_memory(void);

/* main() of every program: both tables end with an empty row. `X` runs all tests, `X -t NAME` one. */
int check_main(int argc, char **argv, const struct check_test *tests, const struct check_role *roles);
/* The same, with a table of rows, which come first. */
int check_main_rows(int argc, char **argv, const struct check_row *rows, const struct check_test *tests,
                    const struct check_role *roles);

#define CHECK(cond, ...)                                            \
    do {                                                            \
        if (!(cond))                                                \
            check_fail(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
    } while (0)
/* Print why, and end the test. */
__attribute__((noreturn, format(printf, 4, 5))) void check_fail(const char *file, int line, const char *cond,
                                                                const char *why, ...);
/* This machine cannot run the test. In CI (CI=true) that is a failure. */
__attribute__((noreturn)) void check_skip(const char *why);

/* ---- time ----------------------------------------------------------------------------------------------
 *
 * No test fails because something took long: under other load everything does. What must not be waited for (the
 * deadline, a process that never ends) is made so long that the test would meet HANG_S instead, which bounds a test
 * that hangs. How long something took is printed behind the test's ok. */

enum { HANG_S = 60, HANG_MS = HANG_S * 1000 };

double now_s(void); /* CLOCK_MONOTONIC */

/* Wait until cond(arg) holds; false: it did not within HANG_S. */
bool await(bool (*cond)(void *arg), void *arg);

/* The time since `since` goes behind the test's ok. */
void took(const char *what, double since);
/* The same, and it must have been at least so long: who waits for a time is late on a busy machine, and never early. */
void took_at_least(const char *what, double since, double least_s);
/* What has just been done had to be done within so many seconds of `since`. If it was not, the test has shown nothing:
 * it is left, and run again. */
void in_time(double since, double seconds);
/* Leave the test, and run it again: on a busy machine this may come of being late. What always comes of it fails. */
__attribute__((noreturn, format(printf, 1, 2))) void check_again(const char *why, ...);
/* 1 the first time, 2 when the test is run again...: what was too short for a busy machine may be longer then. */
int check_try(void);

/* How often to do what goes wrong only now and then: `usual` times, and ten times as often in `make soak`. */
int repeats(int usual);

/* ---- what a process is doing (proc(5)) ------------------------------------------------------------------- */

/* What /proc/PID/stat says behind the name: "S PPID ..."; "" if there is no such process. One buffer. */
const char *stat_of(pid_t pid);
/* Its main thread: *(pid_t *) for await(). */
bool sleeps(void *pid);
bool is_stopped(void *pid);
/* Is there no signal `sig` that was sent to the process and that no thread of it has taken? */
bool is_taken(pid_t pid, int sig);
/* Wait until it has taken that signal. */
void takes(pid_t pid, int sig);
/* The process gets `ms` to do what it should not, and then as long as it has anything to do: until all of its threads
 * sleep. */
void given_time(pid_t pid, int ms);

/* ---- the process that is looked at ------------------------------------------------------------------ */

struct child {
    pid_t pid;
    int in, out;      /* its standard input and output, as pipes */
    char dir[64];     /* its report, log and standard error */
    char said[65536]; /* of its output so far */
    size_t said_len, taken;
    int status; /* once waited for */
};

struct setup {
    bool bare;               /* without the preload */
    const char *env[12];     /* "NAME=value" more; "NAME" alone removes it */
    void (*prepare)(void *); /* in the child, before exec (limits, ids, signals) */
    void *arg;
    const char *path;   /* instead of this program: the words after it are its arguments */
    const char *behind; /* an object of tests/integration/objects, preloaded behind ours */
};

/* Starts role with up to 12 words of arguments, NULL-terminated. setup may be NULL. LASTCALL_REPORT is set to
 * dir/report, LASTCALL_IDLE to 100ms (most tests have no use for the second that idle clients get), LASTCALL_TIMEOUT to
 * ten minutes (what would be waited for until the deadline hangs). */
void child_start(struct child *c, const struct setup *setup, const char *role, ...) __attribute__((sentinel));
/* Wait until it has said a line that begins with `word`; fail if it says nothing for HANG_S. Returns the rest of that
 * line; lines before it are skipped. Good until the next call. */
const char *child_says(struct child *c, const char *word);
/* The same, as a number: "port 4242". */
long child_says_number(struct child *c, const char *word);
/* Has it said such a line (without waiting for more than what is there)? */
bool child_said(struct child *c, const char *word);
/* One line to its standard input. */
void child_tell(struct child *c, const char *line);
void child_signal(struct child *c, int sig);
/* Wait for its end; returns the wait status. */
int child_wait(struct child *c);
/* Like child_wait, and it must have left with this exit status, or been killed by this signal. */
void child_exits(struct child *c, int status);
void child_dies(struct child *c, int sig);
/* All it has said, after its end; its standard error. */
const char *child_output(struct child *c);
const char *child_errors(struct child *c);
/* A file in its dir, whole; "" if there is none. Two buffers: good until the call after the next. */
const char *child_file(struct child *c, const char *name);
/* Wait until its standard error or log (name: "stderr" or a file in dir) contains text. */
void child_logs(struct child *c, const char *name, const char *text);

/* "deferred": our handler has run, and hooks send close options from here on. */
void child_drains(struct child *c);

/* ---- the report ---------------------------------------------------------------------------------------- */

/* The value of a key of the report's line: a number (-1: no such), or does it say `key`:"value"? Fails if there is
 * not exactly one line. */
long report_number(struct child *c, const char *key);
bool report_says(struct child *c, const char *key, const char *value);

/* ---- the client side ----------------------------------------------------------------------------------- */

int client_connect(long port);
void client_send(int fd, const char *text);
void client_get(int fd, const char *path); /* GET, HTTP/1.1, keep-alive */

struct answer {
    int status; /* 0: the connection ended before a response */
    bool close; /* Connection: close */
    bool whole; /* the body is all there */
    char body[4096];
    size_t body_len; /* may be more than fits body */
};
/* Read one response with a Content-Length. */
void client_answer(int fd, struct answer *a);
/* A whole 200 with this body and, if close is wanted, the close option; fails otherwise. */
void client_expect(int fd, const char *body, bool close);
/* The connection ends cleanly: end of file, no byte, no reset. */
void client_expect_end(int fd);

/* ---- for roles ------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) void say(const char *format, ...); /* one line; async-signal-safe enough */
bool hear(char *line, size_t size); /* a line of standard input; false: end of file */

/* A listener on 127.0.0.1 and a free port; says "port N". */
int role_listen(void);

/* Serve one connection until it ends, blocking: "/" is answered at once with "hello"; "/hold" says "held PID", and is
 * answered with "done" once role_let_go was called (by whoever: a signal handler may). A process that was forked shares
 * that gate with its parent until it makes its own. */
void role_serve(int fd);
void role_let_go(void);
void role_own_gate(void);
/* A thread that accepts, and one for each connection. A line "go" on standard input lets go, "exit N" exits. */
void role_serve_threads(int lfd);
/* The same, but the standard input is the role's own. */
void role_serve_threads_ignoring(int lfd);
/* A thread that hears the standard input: "go", "exit N". role_serve_threads starts it. */
void role_hear(void);
/* What main may do then: pause for ever. */
__attribute__((noreturn)) void role_pause(void);

#endif
