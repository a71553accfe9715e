/* report.c: see report.h. The file is opened and written to as the library does it (sys/logfile.h). */
#include "launcher/external/report.h"

#include "launcher/host/log.h"
#include "sys/logfile.h"

#include <string.h>
#include <unistd.h>

static void say_text(const struct report *r, const struct report_aborted *aborts, unsigned count)
{
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_text(&line, r);
    host_log_line(line.at, line.len);
    for (unsigned i = 0; i < count; i++) {
        text_init(&line, buf, sizeof buf);
        report_text_aborted(&line, &aborts[i]);
        host_log_line(line.at, line.len);
    }
}

static bool put_json(int fd, const struct report *r, const struct report_aborted *aborts, unsigned count)
{
    enum report_json expects;
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_json_begin(&line, &expects, r);
    bool whole = logfile_write(fd, line.at, line.len);
    for (unsigned i = 0; whole && i < count; i++) {
        text_init(&line, buf, sizeof buf);
        report_json_aborted(&line, &expects, &aborts[i]);
        whole = logfile_write(fd, line.at, line.len);
    }
    text_init(&line, buf, sizeof buf);
    report_json_end(&line, &expects);
    return whole && logfile_write(fd, line.at, line.len);
}

/* The line is written in pieces, and other servers may write to the same file. Half a line is no JSON, and the next
 * report would continue that line: half a report is taken back. */
static void write_json(int fd, const struct report *r, const struct report_aborted *aborts, unsigned count)
{
    bool locked = logfile_lock(fd);
    uint64_t end = logfile_end(fd);
    if (!put_json(fd, r, aborts, count)) {
        if (locked)
            logfile_take_back(fd, end);
        host_log(LOG_WARN, "the report cannot be written whole: it is in the log only", NULL);
    }
    logfile_unlock(fd);
}

/* -1: there is to be none, or it cannot be opened. */
static int open_file(const struct options *o)
{
    int fd = o->report ? logfile_open(o->report) : -1;
    if (o->report && fd < 0)
        host_log(LOG_WARN, "the report file cannot be opened", "path", o->report, "because", strerror(-fd), "instead",
                 "the log only", NULL);
    return fd;
}

void external_report_begun(const struct options *o, const struct report_begun *b)
{
    struct text line;
    char buf[512];
    int fd = open_file(o);
    if (fd < 0)
        return;
    text_init(&line, buf, sizeof buf);
    report_json_begun(&line, b);
    bool locked = logfile_lock(fd);
    uint64_t end = logfile_end(fd);
    if (!logfile_write(fd, line.at, line.len) && locked)
        logfile_take_back(fd, end);
    logfile_unlock(fd);
    close(fd);
}

void external_report(const struct options *o, const struct report *r, const struct report_aborted *aborts,
                     unsigned count)
{
    say_text(r, aborts, count);
    int fd = open_file(o);
    if (fd < 0)
        return;
    write_json(fd, r, aborts, count);
    close(fd);
}
