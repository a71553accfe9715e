/* rehearse.h: what the parts of `lastcall rehearse` share.
 *
 *   rehearse.c             the command: options, one scenario after the other, the verdict
 *   scenarios.c            the table of scenarios
 *   start.c                start the server and wait until it serves
 *   env.c                  its environment
 *   run.c                  one run: load, TERM, the end
 *   table.[ch]             the two outcomes side by side, and the progress bar (pure)
 *   bar.c                  the bar on a terminal
 *   json.[ch]              the same for machines
 *
 * A function that returns an int says 0, or has said what is wrong and returns the exit status of it all. */
#ifndef LASTCALL_LAUNCHER_REHEARSE_REHEARSE_H
#define LASTCALL_LAUNCHER_REHEARSE_REHEARSE_H

#include "launcher/cli.h"
#include "launcher/load/load.h"
#include "launcher/rehearse/table.h"
#include "launcher/load/url.h"

#include <jansson.h>
#include <sys/resource.h>
#include <sys/types.h>

enum side { SIDE_BARE, SIDE_WITH, SIDES };

struct scenario {
    const char *name;
    unsigned clients;
    bool one;                /* clients is not the user's choice */
    bool slow;               /* asks for the slow page */
    bool stopped;            /* the server is stopped while the clients come */
    unsigned ready_each;     /* responses per client, on average, before TERM; 0: all have sent their request */
    nsec_t ready_most;       /* TERM after this at the latest, whatever was reached */
    struct load_config load; /* how they ask; the rest is filled in */
};

extern const struct scenario scenarios[];
extern const unsigned scenarios_count;

struct page { /* what a good response is */
    const char *path;
    int status;
    bool fixed; /* the body was the same twice: then always */
    char *body;
    uint64_t length;
    nsec_t duration;
};

struct outcome { /* of one run */
    struct load_result load;
    nsec_t term, gone; /* when the signal was sent, and the process it was sent to was gone */
    int status;        /* as a shell has it */
    bool killed;       /* killed by rehearse: TERM did not end the server in time */
    unsigned left;     /* processes that outlived the server, and were ended by rehearse */
    json_t *report;    /* lastcall's own, or NULL */
};

struct rehearsal {
    /* what was asked for */
    const char *url_given, *slow_given, *preload_given;
    unsigned clients; /* 0 = as each scenario has it */
    bool chosen[32];  /* scenarios */
    nsec_t ready_timeout, grace;
    bool json;
    char **command;

    /* what was found out */
    bool known; /* url, page and slow are filled in */
    struct url url;
    struct page page, slow;
    nsec_t patience;       /* from TERM on: the deadline of a drain, and the grace */
    char report_path[128]; /* where lastcall's report goes */
    struct rlimit limit;   /* of descriptors, as the server shall have it */

    /* what runs */
    int signals;   /* a signalfd: the signals that interrupt rehearse */
    int interrupt; /* the one that came */
    pid_t pid;     /* the server; 0 = none */
    int pidfd, output;
    int status; /* once it has ended */
    bool ended;
    nsec_t ended_at;

    /* for the bar */
    bool terminal;
    unsigned step, steps;
    const struct scenario *scenario;
    enum side side;
    const char *doing;
    const struct load_result *watched;
    nsec_t begun;
};

/* ---- bar.c */
void rehearse_draw(const struct rehearsal *r);
void rehearse_clear_bar(void);
/* cli_fail, past the bar. */
int rehearse_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- start.c */
int rehearse_start(struct rehearsal *r); /* r->side; it serves when this returns 0 */
void rehearse_end(struct rehearsal *r);  /* all of its processes */
/* Wait for fd to be readable (-1 = none), for the server's end, for an interrupt or until then; draws the bar
 * meanwhile. */
enum waited { WAITED_FD, WAITED_END, WAITED_TIME, WAITED_INTERRUPT };
enum waited rehearse_wait(struct rehearsal *r, int fd, bool end, nsec_t until);
/* The last lines of what the server has written, to standard error. */
void rehearse_show_output(const struct rehearsal *r);

/* ---- env.c: the environment of the server on r->side */
int rehearse_environment(const struct rehearsal *r, char ***out);

/* ---- run.c */
int rehearse_run(struct rehearsal *r, const struct scenario *s, struct outcome *o);

/* How many clients the scenario has. */
unsigned rehearse_clients(const struct rehearsal *r, const struct scenario *s);

#endif
