/* rehearse.c: `lastcall rehearse`: the command itself. See rehearse.h. */
#include "launcher/rehearse/json.h"
#include "launcher/rehearse/rehearse.h"
#include "core/options.h"
#include "launcher/host/clock.h"
#include "launcher/commands.h"
#include "launcher/load/address.h"
#include "launcher/host/process_tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#define CLIENTS_MAX          10000
#define TEXT_OF(number)      TEXT_OF_TOKEN(number)
#define TEXT_OF_TOKEN(token) #token

enum { ROWS_MAX = 32 };

/* ---- what was asked for ------------------------------------------------------------------------------ */

static struct rehearsal rehearsal = {
    .ready_timeout = 30 * NSEC_PER_SEC, .grace = 10 * NSEC_PER_SEC, .pidfd = -1, .output = -1};

/* The scenario with the name of n bytes at `name`, or scenarios_count. */
static unsigned find_scenario(const char *name, size_t n)
{
    unsigned i = 0;
    while (i < scenarios_count && (strlen(scenarios[i].name) != n || memcmp(scenarios[i].name, name, n) != 0))
        i++;
    return i;
}

static const char *take_scenarios(void *settings, size_t field UNUSED, const char *list)
{
    static char wrong[128];
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        unsigned i = find_scenario(list, n);
        if (n && i == scenarios_count) {
            snprintf(wrong, sizeof wrong, "names '%.*s', which is no scenario; rehearse --help names them",
                     (int)(n < 64 ? n : 64), list);
            return wrong;
        }
        if (n)
            ((struct rehearsal *)settings)->chosen[i] = true;
    }
    return NULL;
}

static const char *take_clients(void *settings, size_t field UNUSED, const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || !n || n > CLIENTS_MAX)
        return "is no number from 1 to " TEXT_OF(CLIENTS_MAX);
    ((struct rehearsal *)settings)->clients = (unsigned)n;
    return NULL;
}

static const char *take_duration(void *settings, size_t field, const char *text)
{
    nsec_t time;
    if (!options_duration(text, &time) || !time)
        return "is no duration such as 500ms, 25s or 2m";
    *(nsec_t *)((char *)settings + field) = time;
    return NULL;
}

static const char *take_url(void *settings, size_t field UNUSED, const char *text)
{
    struct rehearsal *r = settings;
    r->url_given = text;
    return url_parse(&r->url, text);
}

static const char *take_slow(void *settings, size_t field UNUSED, const char *text)
{
    struct rehearsal *r = settings;
    r->slow_given = text;
    for (const char *c = text; *c; c++)
        if (*text != '/' || *c <= ' ' || *c > '~')
            return "is no path of the same server, such as /report?year=1";
    return strlen(text) < sizeof r->url.path ? NULL : "is too long";
}

static const struct cli_option options[] = {
    {"url", 0, "URL",
     "what is asked for: http://127.0.0.1:PORT/PATH (or [::1], localhost), unix:/SOCKET:/PATH;\n"
     "default: / of the only place where COMMAND listens. Its first answer, below 400, is what\n"
     "every answer must be, its body too if that is the same twice",
     NULL, take_url, 0},
    {"slow", 0, "PATH", "a page of the same server that takes its time, for the scenario inflight", NULL, take_slow, 0},
    {"scenario", 0, "NAME,...", "only these; default: all that can be had", NULL, take_scenarios, 0},
    {"clients", 0, "N", "in each scenario but reuse; default: as below", NULL, take_clients, 0},
    {"ready-timeout", 0, "DURATION", "how long COMMAND may take to serve", "30s", take_duration,
     offsetof(struct rehearsal, ready_timeout)},
    {"grace", 0, "DURATION", "after the deadline (LASTCALL_DELAY and LASTCALL_TIMEOUT) it is killed so much later",
     "10s", take_duration, offsetof(struct rehearsal, grace)},
    {"preload", 0, "PATH", "liblastcall.so, for `lastcall run`, which starts COMMAND with lastcall; default: as there",
     NULL, cli_take_string, offsetof(struct rehearsal, preload_given)},
    {"json", 0, NULL, "one JSON object in place of the table", NULL, cli_take_switch, offsetof(struct rehearsal, json)},
    {0},
};

/* The scenarios that were named, or all that the server permits. */
static int choose_scenarios(struct rehearsal *r)
{
    unsigned named = 0;
    for (unsigned i = 0; i < scenarios_count; i++) {
        named += r->chosen[i];
        if (r->chosen[i] && scenarios[i].slow && !r->slow_given)
            return cli_usage(&command_rehearse, "scenario %s needs --slow PATH", scenarios[i].name);
    }
    for (unsigned i = 0; i < scenarios_count; i++) {
        r->chosen[i] = named ? r->chosen[i] : !scenarios[i].slow || r->slow_given;
        r->steps += SIDES * r->chosen[i];
    }
    return 0;
}

/* How long a drain may take by what the environment says. */
static void read_patience(struct rehearsal *r)
{
    static struct options o;
    options_read(&o, (const char *const *)environ, NULL, 0);
    r->patience = o.delay + (o.timeout ? o.timeout : 25 * NSEC_PER_SEC) + r->grace;
}

static int allow_descriptors(struct rehearsal *r)
{
    getrlimit(RLIMIT_NOFILE, &r->limit);
    struct rlimit most = {r->limit.rlim_max, r->limit.rlim_max};
    if (r->clients && most.rlim_max < r->clients + 64)
        return cli_usage(&command_rehearse, "--clients %u: no more than %llu descriptors may be open here (ulimit -Hn)",
                         r->clients, (unsigned long long)most.rlim_max);
    setrlimit(RLIMIT_NOFILE, &most);
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static int prepare(struct rehearsal *r)
{
    const char *dir = getenv("TMPDIR");
    sigset_t set;
    snprintf(r->report_path, sizeof r->report_path, "%s/lastcall-rehearse-XXXXXX", dir && *dir ? dir : "/tmp");
    int fd = mkstemp(r->report_path);
    if (fd < 0)
        return cli_fail(CLI_USAGE, "no file for the report can be made in %s: %s", r->report_path, strerror(errno));
    fchmod(fd, 0666); /* the server may have another uid by then */
    close(fd);
    sigemptyset(&set);
    for (unsigned i = 0; i < 4; i++)
        sigaddset(&set, (const int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT}[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r->terminal = isatty(STDERR_FILENO);
    process_tree_adopt_orphans();
    return 0;
}

static nsec_t since(nsec_t later, nsec_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

static void judge(struct rehearse_side *side, const struct outcome *o)
{
    const struct load_result *l = &o->load;
    nsec_t outstanding_until = l->last_response > o->term ? l->last_response : o->term;
    *side = (struct rehearse_side){.served = l->count[LOAD_OK],
                                   .idle_closed = l->idle_closed,
                                   .idle_reset = l->idle_reset,
                                   .exit_delay = since(o->gone, outstanding_until),
                                   .gone = since(o->gone, o->term),
                                   .status = o->status,
                                   .killed = o->killed,
                                   .left = o->left};
    for (int i = 0; i < LOAD_CLASSES; i++)
        side->lost[i] = i == LOAD_OK || i == LOAD_REFUSED ? 0 : l->count[i];
}

/* What of the losses was kept, a few of them. */
static void explain(const char *scenario, const struct load_result *l)
{
    for (unsigned i = 0; i < l->losses && i < 5; i++) {
        const struct load_loss *loss = &l->loss[i];
        fprintf(stderr,
                "lastcall: %s, with lastcall: client %u, request %u: %s, %s (%llu bytes, %.1f ms after it was sent)\n",
                scenario, loss->client, loss->request, load_class_name(loss->class), loss->why,
                (unsigned long long)loss->bytes, (double)loss->after / 1e6);
    }
}

struct show { /* what is told so far */
    struct rehearse_row rows[ROWS_MAX];
    unsigned count;
    json_t *json;
    bool never;    /* with lastcall the server did not end by itself */
    bool external; /* the drain was external */
};

static void print_table(const struct rehearsal *r, const struct show *show)
{
    char room[4096], url[URL_TEXT];
    struct text t;
    text_init(&t, room, sizeof room);
    rehearse_clear_bar();
    if (show->count == 1) {
        url_text(url, &r->url);
        printf("%s, %s; SIGTERM in the middle of each:\n", r->command[0], url);
        rehearse_table_head(&t);
    }
    rehearse_table_row(&t, &show->rows[show->count - 1]);
    fputs(room, stdout);
    fflush(stdout);
}

static bool was_external(const struct outcome *o)
{
    const char *how = json_string_value(json_object_get(o->report, "mode"));
    return how && !strcmp(how, "external");
}

static int rehearse_one(struct rehearsal *r, const struct scenario *s, struct show *show)
{
    static struct outcome outcomes[SIDES];
    struct rehearse_row *row = &show->rows[show->count++];
    row->name = s->name;
    for (r->side = SIDE_BARE; r->side < SIDES; r->side++, r->step++) {
        int status = rehearse_run(r, s, &outcomes[r->side]);
        if (status)
            return status;
        judge(&row->side[r->side], &outcomes[r->side]);
    }
    if (outcomes[SIDE_BARE].killed && outcomes[SIDE_WITH].killed)
        return rehearse_fail(CLI_USAGE, "%s does not end on TERM, without lastcall or with it: killed after %g s each",
                             r->command[0], (double)r->patience / 1e9);
    show->never |= outcomes[SIDE_WITH].killed;
    show->external |= was_external(&outcomes[SIDE_WITH]);
    if (!r->json)
        print_table(r, show);
    if (outcomes[SIDE_WITH].killed)
        rehearse_fail(0, "%s, with lastcall: %s did not end within %g s of TERM and was killed", s->name, r->command[0],
                      (double)r->patience / 1e9);
    explain(s->name, &outcomes[SIDE_WITH].load);
    if (!show->json)
        show->json = rehearse_json_begin(r);
    rehearse_json_add(show->json, s, rehearse_clients(r, s), outcomes, row);
    for (int i = 0; i < SIDES; i++)
        json_decref(outcomes[i].report);
    return 0;
}

static int conclude(const struct rehearsal *r, const struct show *show)
{
    uint64_t lost[SIDES] = {0, 0};
    char room[512];
    struct text t;
    for (unsigned i = 0; i < show->count; i++)
        for (int k = 0; k < SIDES; k++)
            lost[k] += rehearse_lost(&show->rows[i].side[k]);
    text_init(&t, room, sizeof room);
    rehearse_clear_bar();
    rehearse_verdict(&t, show->rows, show->count);
    if (r->json) {
        const char *verdict = lost[SIDE_WITH] ? "lost" : show->never ? "never_ended" : "kept";
        rehearse_json_end(show->json, lost[SIDE_BARE], lost[SIDE_WITH], verdict);
        json_dumpf(show->json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        fputs(room, stdout);
        if (show->external)
            puts("(It was drained externally, since the library cannot be loaded into it: no close option is sent, and "
                 "a "
                 "request that\n"
                 "arrives as its kept connection closes is lost. `lastcall check` tells more.)");
        if (!r->page.fixed || (r->slow.path && !r->slow.fixed))
            puts("(A body changes from one response to the next: only its status and framing were checked.)");
    }
    return lost[SIDE_WITH] || show->never;
}

static int rehearse_all(struct rehearsal *r)
{
    static struct show show;
    for (unsigned i = 0; i < scenarios_count; i++) {
        int status = r->chosen[i] ? rehearse_one(r, &scenarios[i], &show) : 0;
        if (status)
            return status;
    }
    return conclude(r, &show);
}

static int run(int argc, char **argv)
{
    struct rehearsal *r = &rehearsal;
    if (argc == 0)
        return cli_usage(&command_rehearse, "no command: say how your server is started, after --");
    r->command = argv;
    int status = choose_scenarios(r);
    if (!status)
        status = allow_descriptors(r);
    if (!status)
        status = prepare(r);
    if (status)
        return status;
    read_patience(r);
    status = rehearse_all(r);
    unlink(r->report_path);
    if (r->interrupt)
        rehearse_fail(status, "interrupted; %s is ended", r->command[0]);
    return status;
}

static const char about[] =
    "Starts COMMAND, your server, without lastcall and with it, loads it with clients that never retry, sends it\n"
    "SIGTERM in the middle, and shows both outcomes side by side: requests served; requests LOST, by kind; the exit "
    "delay,\n"
    "from the last response to the process gone; the time from SIGTERM to that; and the exit status.\n";

static const char help[] =
    "Scenarios:\n"
    "  hammer     16 connections that are kept, without a pause\n"
    "  think      64 clients that pause 5 to 50 ms between requests\n"
    "  churn      16 clients, a new connection for each request\n"
    "  reuse      one upstream that keeps its connection, a request every 20 ms\n"
    "  idle       50 connections that are kept and say nothing more\n"
    "  backlog    20 connections wait in the accept queue, since the server is stopped until the signal has come\n"
    "  inflight   8 requests of the slow page are being served\n\n"
    "COMMAND stays in the foreground; it runs in a session of its own, in this directory and environment, and what it\n"
    "writes is shown if it fails. The environment's LASTCALL_ variables hold for it, but for LASTCALL_REPORT.\n\n"
    "Exit status: 0 nothing was lost with lastcall and the server ended, 1 not so, 2 usage, or COMMAND cannot be\n"
    "rehearsed (why is said), 126 it cannot be executed, 127 it is not found, 130 interrupted.\n";

const struct command command_rehearse = {
    .name = "rehearse",
    .words = "-- COMMAND [ARGUMENT...]",
    .summary = "prove it on your own server: TERM under load, without lastcall and with it",
    .about = about,
    .help = help,
    .options = options,
    .settings = &rehearsal,
    .words_are_command = true,
    .run = run,
};
