/* timeline.c: `lastcall timeline`: a picture of a drain out of its report. */
#include "launcher/commands.h"
#include "launcher/timeline/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1 };

static struct request {
    const char *report, *output, *title;
    unsigned drain;
    enum timeline_format format;
} request;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static const char *take_output(void *settings, size_t field UNUSED, const char *path)
{
    struct request *r = settings;
    r->output = path;
    r->format = ends_with(path, ".html") || ends_with(path, ".htm") ? TIMELINE_HTML : TIMELINE_SVG;
    if (r->format == TIMELINE_SVG && !ends_with(path, ".svg"))
        return "ends neither in .svg nor in .html; those two can be drawn";
    return NULL;
}

static const char *take_drain(void *settings, size_t field UNUSED, const char *text)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < 1 || n > 1000000000)
        return "is no number from 1 on";
    ((struct request *)settings)->drain = (unsigned)n;
    return NULL;
}

static const struct cli_option options[] = {
    {"output", 'o', "FILE",
     "write there, by its ending a picture (.svg) or a page (.html); else SVG to standard output", NULL, take_output,
     0},
    {"drain", 0, "N", "of a file that tells of several, number N, from 1; else the last", NULL, take_drain, 0},
    {"title", 0, "TEXT", "a headline in place of the one that says how it went", NULL, cli_take_string,
     offsetof(struct request, title)},
    {0},
};

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
    struct timeline t;
    if (argc != 1)
        return cli_usage(&command_timeline, "one report is wanted, not %d", argc);
    request.report = argv[0];
    if (!read_report(&t, &request))
        return FAILED;
    if (!t.recorded)
        warn("the report does not tell of single connections: set LASTCALL_REPORT_CONNECTIONS=1 to have them drawn");
    if (t.unreadable > 0)
        cli_fail(0, "%u connections in %s cannot be read, and are left out", t.unreadable, request.report);
    int status = draw(&t, &request);
    timeline_free(&t);
    return status;
}

static const char about[] =
    "REPORT is the file that LASTCALL_REPORT named, - standard input. Each connection is a bar,\n"
    "coloured by its state over time, if the server ran with LASTCALL_REPORT_CONNECTIONS=1.\n";

static const char help[] = "Exit status: 0 drawn, 1 there was nothing to draw or it could not be written, 2 usage.\n";

const struct command command_timeline = {
    .name = "timeline",
    .words = "REPORT",
    .summary = "draw a drain from its report",
    .about = about,
    .help = help,
    .options = options,
    .settings = &request,
    .run = run,
};
