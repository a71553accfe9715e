/* announce.c: what a drain says: a few log lines and one honest report. */
#include "pump.h"

#include "door.h"
#include "group.h"
#include "lead.h"
#include "track/conn_log.h"
#include "sys/logfile.h"
#include "sys/syscall.h"
#include "process/trace.h"

#include <fcntl.h>
#include <time.h>

static enum report_json json_line;

static int report_fd = -1; /* -1: none */

static size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

/* One that is led has something to say only to whom asks for every detail, and may have become somebody who cannot
 * write there. */
void announce_open(void)
{
    const struct options *o = &config;
    bool led = group.leader != MEMBER_NONE;
    if (!led || log_wants(LOG_DEBUG))
        log_open_file();
    if (o->report && report_fd < 0 && !led) {
        report_fd = logfile_open(o->report);
        ownfd_add(report_fd);
        if (report_fd < 0)
            log_path_failed("the report file cannot be opened", o->report, report_fd, "the log only");
    }
}

void report_after_fork(void)
{
    report_fd = -1;
}

void announce_signal(void)
{
    if (group.leader == MEMBER_NONE)
        log_number(LOG_INFO, "signal withheld, draining", "signal", (uint64_t)deferred.first_signal);
    else
        log_number(LOG_DEBUG, "drains with its group", "signal", (uint64_t)deferred.first_signal);
}

void announce_door(nsec_t now)
{
    struct text line;
    char buf[512];
    const char *how = door_name();
    if (!log_wants(LOG_DEBUG))
        return;
    log_begin(&line, buf, sizeof buf, LOG_DEBUG, "door closed");
    log_line_str(&line, config.log_format, "how", how, length(how));
    log_line_u64(&line, config.log_format, "after_us", (now - deferred.signal_at) / NSEC_PER_USEC);
    log_end(&line);
}

static const char *doubt_name(uint64_t why)
{
    static const char *const names[] = {
        [OPAQUE_NOT] = "none",
        [OPAQUE_REQUEST] = "the request is no HTTP/1.x that everybody reads alike",
        [OPAQUE_RESPONSE] = "the response is no HTTP/1.x that everybody reads alike",
        [OPAQUE_TUNNEL] = "upgraded, or a tunnel",
        [OPAQUE_DEPTH] = "too many requests outstanding",
        [OPAQUE_UNSEEN] = "bytes passed unseen",
        [OPAQUE_CONCURRENT_IO] = "two threads at once in one direction",
        [OPAQUE_COUNTS] = "the kernel counts other bytes than the hooks",
        [OPAQUE_FOUND] = "met in the middle of its life",
    };
    return why < COUNT(names) ? names[why] : "unknown";
}

static void trace_line(enum trace what, int fd, uint64_t value, nsec_t at)
{
    struct text line;
    char buf[512];
    enum log_format format = config.log_format;
    log_begin(&line, buf, sizeof buf, LOG_TRACE, trace_name(what));
    log_line_u64(&line, format, "fd", (uint64_t)(unsigned)fd);
    log_line_u64(&line, format, "after_us", (at - deferred.signal_at) / NSEC_PER_USEC);
    if (what == TRACE_OPAQUE)
        log_line_str(&line, format, "because", doubt_name(value), length(doubt_name(value)));
    else if (value > 0)
        log_line_u64(&line, format, "bytes", value);
    log_end(&line);
}

void announce_trace(void)
{
    if (log_wants(LOG_TRACE))
        trace_take(trace_line);
}

static void add_process(const struct report_process *p, void *report)
{
    report_counts_add(&((struct report *)report)->counts, &p->counts);
}

static void fill(struct report *r, nsec_t now, enum report_end how)
{
    memset(r, 0, sizeof *r);
    r->pid = self_pid();
    r->signal = deferred.first_signal;
    r->wall_start_ms = deferred.signal_wall_ms;
    r->took = now - deferred.signal_at;
    r->door = drain_state.drain.door_closed_at ? drain_state.drain.door_closed_at - deferred.signal_at : 0;
    nsec_t owed_at = lead_owed_at(); /* may be of a moment ago only: another process's, or a thread's */
    r->tail = now > owed_at ? now - owed_at : 0;
    r->end = how;
    r->hidden = door_name();
    r->processes = lead_processes(add_process, r);
    r->hidden_at = drain_state.drain.door_from ? drain_state.drain.door_from - deferred.signal_at : 0;
    r->deadline = config.timeout;
    r->left_out = lead_left_out();
}

static void count_cut(const struct report_cut *cut, void *unused)
{
    (void)unused;
    stats.counts.unread_bytes += cut->unread_bytes;
}

void announce_count_cuts(void)
{
    if (drain_state.drain.phase == DRAIN_RELEASED)
        stats.counts.cut = survey_cut(count_cut, NULL);
}

static bool report_is_cut; /* a piece of it could not be written */

/* To a file, or -1: to where the log goes. */
static void put_to(int fd, const struct text *line)
{
    if (fd < 0)
        log_put(line);
    else if (!report_is_cut && !logfile_write(fd, line->at, line->len))
        report_is_cut = true;
}

/* ---- the report as text ---- */

static void cut_to_log(const struct report_cut *cut, void *unused)
{
    struct text line;
    char buf[1024];
    (void)unused;
    text_init(&line, buf, sizeof buf);
    report_text_cut(&line, cut);
    log_put(&line);
}

static void process_to_log(const struct report_process *p, void *unused)
{
    struct text line;
    char buf[1024];
    (void)unused;
    text_init(&line, buf, sizeof buf);
    report_text_process(&line, p);
    log_put(&line);
}

static void text_to_log(const struct report *r)
{
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_text(&line, r);
    log_put(&line);
    if (r->processes > 1)
        lead_processes(process_to_log, NULL);
    if (r->counts.cut == 0)
        return;
    survey_cut(cut_to_log, NULL);
    lead_cuts(cut_to_log, NULL);
}

/* ---- and as JSON ---- */

static void cut_to_json(const struct report_cut *cut, void *fd)
{
    struct text line;
    char buf[1024];
    text_init(&line, buf, sizeof buf);
    report_json_cut(&line, &json_line, cut);
    put_to(*(int *)fd, &line);
}

static void process_to_json(const struct report_process *p, void *fd)
{
    struct text line;
    char buf[1024];
    text_init(&line, buf, sizeof buf);
    report_json_process(&line, &json_line, p);
    put_to(*(int *)fd, &line);
}

/* There may be thousands: not a system call for each. */
static void connection_to_json(const struct report_connection *c, void *line)
{
    enum { AT_MOST = 2048 };
    struct text *t = line;
    if (t->size - t->len < AT_MOST) {
        put_to(report_fd, t);
        text_init(t, t->at, t->size);
    }
    report_json_connection(t, &json_line, c);
}

static void connections_to_json(void)
{
    struct text line;
    char buf[16384];
    text_init(&line, buf, sizeof buf);
    lead_connections(connection_to_json, &line);
    put_to(report_fd, &line);
}

static void json_to(int fd, const struct report *r)
{
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_json_begin(&line, &json_line, r);
    put_to(fd, &line);
    if (r->processes > 1)
        lead_processes(process_to_json, &fd);
    survey_cut(cut_to_json, &fd);
    lead_cuts(cut_to_json, &fd);
    if (r->connections)
        connections_to_json();
    text_init(&line, buf, sizeof buf);
    report_json_end(&line, &json_line);
    put_to(fd, &line);
}

/* The line comes in pieces, and the file may be others' too. Half a line is no JSON, and the next report would be the other
 * half of it. */
static void report_to_file(const struct report *r)
{
    int fd = report_fd;
    bool locked = logfile_lock(fd);
    uint64_t end = logfile_end(fd);
    report_is_cut = false;
    json_to(fd, r);
    if (report_is_cut) {
        if (locked)
            logfile_take_back(fd, end);
        log_number(LOG_WARN, "the report cannot be written whole: it is in the log only", "file_bytes", end);
    }
    logfile_unlock(fd);
}

void announce_end(nsec_t now, enum report_end how)
{
    struct report r;
    announce_trace();
    fill(&r, now, how);
    if (report_fd >= 0) {
        r.connections = conn_log_on();
        report_to_file(&r);
        r.connections = false; /* in the log nobody looks for them */
    }
    if (!log_wants(LOG_INFO) && !(log_wants(LOG_WARN) && r.counts.cut > 0))
        return;
    if (config.log_format == LOG_JSON)
        json_to(-1, &r);
    else
        text_to_log(&r);
}
