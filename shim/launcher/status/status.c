/* status.c: `lastcall status [PID]`: the groups of this machine, before, during and after the signal. */
#include "launcher/commands.h"

#include "launcher/status/print.h"
#include "launcher/host/process.h"
#include "launcher/status/holders.h"
#include "launcher/status/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NOT_THERE = 1, NOT_PERMITTED = 3 };
enum { REQUESTS_SHOWN = 20 };

static struct wanted {
    int pid; /* 0: all */
    bool watch, json, metrics;
} wanted;

/* ---- the command line -------------------------------------------------------------------------------------------- */

/* A number that a process can have; 0: it is none. */
static int pid_of(const char *word)
{
    long n = 0;
    for (; *word >= '0' && *word <= '9' && n < INT_MAX / 10; word++)
        n = n * 10 + (*word - '0');
    return *word ? 0 : (int)n;
}

/* 0, or the exit status. */
static int read_words(struct wanted *w, int argc, char **argv)
{
    if (argc > 1)
        return cli_usage(&command_status, "status takes one process id, and '%s' is another", argv[1]);
    if (argc == 1 && (w->pid = pid_of(argv[0])) == 0)
        return cli_usage(&command_status, "'%s' is no process id", argv[0]);
    if (w->json && w->metrics)
        return cli_usage(&command_status, "--json and --openmetrics cannot be had together");
    if (w->watch && w->metrics)
        return cli_usage(&command_status, "--watch and --openmetrics cannot be had together");
    return 0;
}

/* ---- a process that is not shown --------------------------------------------------------------------------------- */

static int say_why_not(int pid)
{
    char path[32];
    struct stat st;
    uint64_t ino;
    switch (holders_process_kind(pid, &ino)) {
    case PROCESS_NONE: return cli_fail(NOT_THERE, "there is no process %d", pid);
    case PROCESS_ENDED: return cli_fail(NOT_THERE, "process %d has ended", pid);
    case PROCESS_UNRELATED: return cli_fail(NOT_THERE, "process %d is not under lastcall", pid);
    case PROCESS_PRELOADED: return cli_fail(NOT_THERE, "process %d is under lastcall, but does not serve", pid);
    case PROCESS_MAPPED: return cli_fail(NOT_THERE, "process %d has a group in which nobody is seen to serve", pid);
    case PROCESS_FORBIDDEN: break;
    }
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (stat(path, &st) != 0)
        return cli_fail(NOT_THERE, "process %d has ended", pid);
    return cli_fail(NOT_PERMITTED, "process %d belongs to user %u, and the kernel does not let the caller look into it",
                    pid, (unsigned)st.st_uid);
}

/* ---- showing ----------------------------------------------------------------------------------------------------- */

static bool show(const struct status *s, const struct wanted *w)
{
    if (w->json)
        return status_json(stdout, s, false, true);
    if (w->metrics)
        status_metrics(stdout, s);
    else
        status_page(stdout, s, REQUESTS_SHOWN);
    if (s->groups == 0 && !w->metrics)
        puts("no process that the caller may see is under lastcall and serves");
    return true;
}

static int show_once(const struct status *s, const struct wanted *w)
{
    if (w->pid && s->groups == 0)
        return say_why_not(w->pid);
    if (!show(s, w) || fflush(stdout) != 0 || ferror(stdout))
        return cli_fail(NOT_PERMITTED, "the output cannot be written");
    return w->pid && s->group[0].problem ? NOT_PERMITTED : 0;
}

static int watch(const struct status *s, const struct wanted *w)
{
    struct status_wish wish = {0};
    if (w->pid) {
        wish.dev = s->group[0].dev;
        wish.ino = s->group[0].ino;
    }
    return status_watch(&wish, w->json);
}

static int run(int argc, char **argv)
{
    struct status s;
    int status = read_words(&wanted, argc, argv);
    if (status)
        return status;
    const struct status_wish wish = {.pid = wanted.pid ? process_of_thread(wanted.pid) : 0};
    if (!status_read(&s, &wish))
        return cli_fail(NOT_PERMITTED, "/proc cannot be read");
    bool watches = wanted.watch && s.groups > 0 && !(wanted.pid && s.group[0].problem);
    status = watches ? watch(&s, &wanted) : show_once(&s, &wanted);
    status_free(&s);
    return status;
}

static const struct cli_option options[] = {
    {"watch", 0, NULL,
     "look again and again, until the group has ended; on a terminal a page with a bar of\n"
     "the time that is left (q ends), else a line for each change",
     NULL, cli_take_switch, offsetof(struct wanted, watch)},
    {"json", 0, NULL, "as one JSON object; with --watch, an object on a line for each change", NULL, cli_take_switch,
     offsetof(struct wanted, json)},
    {"openmetrics", 0, NULL, "as OpenMetrics text", NULL, cli_take_switch, offsetof(struct wanted, metrics)},
    {0},
};

static const char about[] =
    "Without PID, every group of processes on this machine that the caller may see. It is read from outside: the\n"
    "server makes no system call for it. A request's age is the time since its last byte came.\n";

static const char help[] =
    "Exit status: 0 shown; 1 there is no such process, or it is not under lastcall, or does not serve;\n"
    "2 usage; 3 the caller may not look into it, or it cannot be read.\n";

const struct command command_status = {
    .name = "status",
    .words = "[PID]",
    .summary = "connections by state, requests in flight, deferred signals, the time that is left",
    .about = about,
    .help = help,
    .options = options,
    .settings = &wanted,
    .run = run,
};
