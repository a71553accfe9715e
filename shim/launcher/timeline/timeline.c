/* timeline.c: `lastcall timeline`: a picture of a drain out of its report. */
#include "launcher/commands.h"
#include "launcher/timeline/timeline.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1 };

static const char help[] =
    "REPORT is the file that LASTCALL_REPORT named, - standard input. Each connection is a bar,\n"
    "coloured by its state over time, if the server ran with LASTCALL_REPORT_CONNECTIONS=1.\n"
    "\n"
    "  -o FILE.svg, FILE.html   write there, by its ending a picture or a page; else SVG to standard output\n"
    "  --drain N                of a file that tells of several, number N, from 1; else the last\n"
    "  --title TEXT             a headline in place of the one that says how it went\n"
    "\n"
    "Exit status: 0 drawn, 1 there was nothing to draw or it could not be written, 2 usage.\n";

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"drain", required_argument, NULL, 'd'},
    {"title", required_argument, NULL, 't'},
    {NULL, 0, NULL, 0},
};

struct request {
    const char *report, *output, *title;
    unsigned drain;
    enum timeline_format format;
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static bool take_output(struct request *r, const char *path)
{
    r->output = path;
    r->format = ends_with(path, ".html") || ends_with(path, ".htm") ? TIMELINE_HTML : TIMELINE_SVG;
    return r->format == TIMELINE_HTML || ends_with(path, ".svg");
}

static bool take_drain(struct request *r, const char *text)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < 1 || n > 1000000000)
        return false;
    r->drain = (unsigned)n;
    return true;
}

/* 0, or the exit status. */
static int take(struct request *r, int argc, char **argv)
{
    optind = 0; /* glibc: scan anew */
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:", options, NULL)) != -1;) {
        if (c == 'o' && !take_output(r, optarg))
            return cli_usage("timeline", "'%s' ends neither in .svg nor in .html; those two can be drawn", optarg);
        if (c == 'd' && !take_drain(r, optarg))
            return cli_usage("timeline", "--drain takes a number from 1, not '%s'", optarg);
        if (c == 't')
            r->title = optarg;
        if (c == ':')
            return cli_usage("timeline", "%s wants something behind it", argv[optind - 1]);
        if (c == '?')
            return cli_usage("timeline", "there is no option '%s'", argv[optind - 1]);
    }
    if (argc - optind != 1)
        return cli_usage("timeline", "one report is wanted, not %d", argc - optind);
    r->report = argv[optind];
    return 0;
}

static void warn(const char *sentence)
{
    cli_fail(0, "%s", sentence);
}

static bool read_report(struct timeline *t, const struct request *r)
{
    bool standard = strcmp(r->report, "-") == 0;
    const struct timeline_reader how = {standard ? "standard input" : r->report, r->drain, warn};
    FILE *in = standard ? stdin : fopen(r->report, "re");
    if (!in) {
        cli_fail(0, "%s cannot be opened: %s", r->report, strerror(errno));
        return false;
    }
    bool good = timeline_read(t, in, &how);
    if (!standard)
        fclose(in);
    return good;
}

static int draw(const struct timeline *t, const struct request *r)
{
    const char *name = r->output ? r->output : "standard output";
    FILE *out = r->output ? fopen(r->output, "we") : stdout;
    if (!out)
        return cli_fail(FAILED, "%s cannot be written: %s", name, strerror(errno));
    bool drawn = timeline_draw(out, t, r->format, r->title);
    errno = 0;
    bool written = fflush(out) == 0 && !ferror(out);
    int error = errno;
    if (r->output)
        fclose(out);
    if (!drawn)
        return cli_fail(FAILED, "there is no memory to draw %s", r->report);
    return written ? 0 : cli_fail(FAILED, "%s cannot be written: %s", name, error ? strerror(error) : "output error");
}

static int run(int argc, char **argv)
{
    struct request r = {.report = ""};
    struct timeline t;
    int status = take(&r, argc, argv);
    if (status != 0)
        return status;
    if (!read_report(&t, &r))
        return FAILED;
    if (!t.recorded)
        warn("the report does not tell of single connections: set LASTCALL_REPORT_CONNECTIONS=1 to have them drawn");
    if (t.unreadable > 0)
        cli_fail(0, "%u connections in %s cannot be read, and are left out", t.unreadable, r.report);
    status = draw(&t, &r);
    timeline_free(&t);
    return status;
}

const struct command command_timeline = {
    "timeline", "REPORT [-o FILE.svg|FILE.html] [--drain N] [--title TEXT]", "draw a drain from its report", help, run,
};
