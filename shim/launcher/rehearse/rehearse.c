/* rehearse.c: `lastcall rehearse`: the command itself. See rehearse.h. */
#include "launcher/rehearse/json.h"
#include "launcher/rehearse/rehearse.h"
#include "core/options.h"
#include "launcher/host/clock.h"
#include "launcher/commands.h"
#include "launcher/load/address.h"
#include "launcher/host/process_tree.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { CLIENTS_MAX = 10000, ROWS_MAX = 32 };

/* ---- what was asked for ------------------------------------------------------------------------------ */

static int choose(struct rehearsal *r, char *list)
{
    char *save = NULL;
    for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        unsigned i = 0;
        while (i < scenarios_count && strcmp(scenarios[i].name, name) != 0)
            i++;
        if (i == scenarios_count)
            return cli_usage("rehearse", "there is no scenario '%s'; rehearse --help names them", name);
        r->chosen[i] = true;
    }
    return 0;
}

static int read_clients(struct rehearsal *r, const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || !n || n > CLIENTS_MAX)
        return cli_usage("rehearse", "--clients is a number from 1 to %d, not '%s'", CLIENTS_MAX, text);
    r->clients = (unsigned)n;
    return 0;
}

static int read_duration(nsec_t *out, const char *option, const char *text)
{
    if (options_duration(text, out) && *out)
        return 0;
    return cli_usage("rehearse", "--%s is a duration such as 500ms, 25s or 2m, not '%s'", option, text);
}

static int read_url(struct rehearsal *r, const char *text)
{
    const char *wrong = url_parse(&r->url, text);
    r->url_given = text;
    return wrong ? cli_usage("rehearse", "--url: '%s' %s", text, wrong) : 0;
}

static int read_slow(struct rehearsal *r, const char *text)
{
    r->slow_given = text;
    for (const char *c = text; *c; c++)
        if (*text != '/' || *c <= ' ' || *c > '~')
            return cli_usage("rehearse", "--slow is a path of the same server, such as /report?year=1, not '%s'", text);
    return *text && strlen(text) < sizeof r->url.path
               ? 0
               : cli_usage("rehearse", "--slow is a path that is too short or too long");
}

static const struct option options[] = {
    {"url", 1, 0, 'u'},     {"clients", 1, 0, 'c'},       {"scenario", 1, 0, 's'},
    {"slow", 1, 0, 'S'},    {"ready-timeout", 1, 0, 'r'}, {"grace", 1, 0, 'g'},
    {"preload", 1, 0, 'p'}, {"json", 0, 0, 'j'},          {0, 0, 0, 0},
};

static int read_option(struct rehearsal *r, int key, const char *word)
{
    switch (key) {
    case 'u': return read_url(r, optarg);
    case 'c': return read_clients(r, optarg);
    case 's': return choose(r, optarg);
    case 'S': return read_slow(r, optarg);
    case 'r': return read_duration(&r->ready_timeout, "ready-timeout", optarg);
    case 'g': return read_duration(&r->grace, "grace", optarg);
    case 'p': r->preload_given = optarg; return 0;
    case 'j': r->json = true; return 0;
    case ':': return cli_usage("rehearse", "%s needs a value", word);
    default: return cli_usage("rehearse", "there is no option '%s'", word);
    }
}

static int read_options(struct rehearsal *r, int argc, char **argv)
{
    int key, status = 0;
    optind = 1;
    while (!status && (key = getopt_long(argc, argv, "+:", options, NULL)) != -1)
        status = read_option(r, key, argv[optind - 1]);
    r->command = argv + optind;
    if (!status && !argv[optind])
        status = cli_usage("rehearse", "no command: say how your server is started, after --");
    return status;
}

/* Those that were named, or all that can be had. */
static int choose_scenarios(struct rehearsal *r)
{
    unsigned named = 0;
    for (unsigned i = 0; i < scenarios_count; i++) {
        named += r->chosen[i];
        if (r->chosen[i] && scenarios[i].slow && !r->slow_given)
            return cli_usage("rehearse", "scenario %s needs --slow PATH", scenarios[i].name);
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
        return cli_usage("rehearse", "--clients %u: no more than %llu descriptors may be open here (ulimit -Hn)",
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
    nsec_t owed = l->last_response > o->term ? l->last_response : o->term;
    *side = (struct rehearse_side){.served = l->count[LOAD_OK],
                                   .idle_closed = l->idle_closed,
                                   .idle_reset = l->idle_reset,
                                   .tail = since(o->gone, owed),
                                   .took = since(o->gone, o->term),
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
    bool never;   /* with lastcall it did not end by itself */
    bool outside; /* no object of ours was in it */
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

static bool was_outside(const struct outcome *o)
{
    const char *how = json_string_value(json_object_get(o->report, "how"));
    return how && !strcmp(how, "outside");
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
    show->outside |= was_outside(&outcomes[SIDE_WITH]);
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
        if (show->outside)
            puts("(It was drained from outside, since no object of ours can live in it: it says no farewell, and a "
                 "request that\n"
                 "crosses the end of its kept connection is lost. `lastcall check` tells more.)");
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
    static struct rehearsal r = {
        .ready_timeout = 30 * NSEC_PER_SEC, .grace = 10 * NSEC_PER_SEC, .pidfd = -1, .output = -1};
    int status = read_options(&r, argc, argv);
    if (!status)
        status = choose_scenarios(&r);
    if (!status)
        status = allow_descriptors(&r);
    if (!status)
        status = prepare(&r);
    if (status)
        return status;
    read_patience(&r);
    status = rehearse_all(&r);
    unlink(r.report_path);
    if (r.interrupt)
        rehearse_fail(status, "interrupted; %s is ended", r.command[0]);
    return status;
}

static const char help[] =
    "Starts COMMAND, your server, without lastcall and with it, loads it with clients that never retry, sends it\n"
    "SIGTERM in the middle, and shows both outcomes side by side: requests served; requests LOST, by kind; the tail,\n"
    "from the last response to the process gone; the time from SIGTERM to that; and the exit status.\n\n"
    "  --url URL            what is asked for: http://127.0.0.1:PORT/PATH (or [::1], localhost), unix:/SOCKET:/PATH;\n"
    "                       default: / of the only place where COMMAND listens. Its first answer, below 400, is what\n"
    "                       every answer must be, its body too if that is the same twice\n"
    "  --slow PATH          a page of the same server that takes its time, for the scenario inflight\n"
    "  --scenario NAME,...  only these; default: all that can be had\n"
    "  --clients N          in each scenario but reuse; default: as below\n"
    "  --ready-timeout D    how long COMMAND may take to serve; default 30s\n"
    "  --grace D            after the deadline (LASTCALL_DELAY and LASTCALL_TIMEOUT) it is killed so much later; "
    "default 10s\n"
    "  --preload PATH       liblastcall.so, for `lastcall run`, which starts COMMAND with lastcall; default: as there\n"
    "  --json               one JSON object in place of the table\n\n"
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

const struct command command_rehearse = {"rehearse", "[options] -- COMMAND [ARGUMENT...]",
                                         "prove it on your own server: TERM under load, without lastcall and with it",
                                         help, run};
