/* report.c: see report.h. */
#include "launcher/external/report.h"

#include "launcher/host/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void say_text(const struct report *r, const struct report_cut *cuts, unsigned count)
{
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_text(&line, r);
    runlog_line(line.at, line.len);
    for (unsigned i = 0; i < count; i++) {
        text_init(&line, buf, sizeof buf);
        report_text_cut(&line, &cuts[i]);
        runlog_line(line.at, line.len);
    }
}

/* A full disk is not worth more than a report. */
static void put(int fd, const struct text *line)
{
    for (size_t at = 0; at < line->len;) {
        ssize_t n = write(fd, line->at + at, line->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static void write_json(int fd, const struct report *r, const struct report_cut *cuts, unsigned count)
{
    enum report_json expects;
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_json_begin(&line, &expects, r);
    put(fd, &line);
    for (unsigned i = 0; i < count; i++) {
        text_init(&line, buf, sizeof buf);
        report_json_cut(&line, &expects, &cuts[i]);
        put(fd, &line);
    }
    text_init(&line, buf, sizeof buf);
    report_json_end(&line, &expects);
    put(fd, &line);
}

void outside_report(const struct options *o, const struct report *r, const struct report_cut *cuts, unsigned count)
{
    say_text(r, cuts, count);
    if (!o->report)
        return;
    int fd = open(o->report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd < 0) {
        runlog(LOG_WARN, "the report file cannot be opened", "path", o->report, "because", strerror(errno), "instead",
               "the log only", NULL);
        return;
    }
    write_json(fd, r, cuts, count);
    close(fd);
}
