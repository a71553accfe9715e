/* report.c: see report.h. */
#include "drain/report.h"

#include "drain/drain.h"
#include "drain/listeners.h"
#include "drain/state.h"
#include "group/group.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/log.h"
#include "process/outfile.h"
#include "process/self.h"
#include "process/stats.h"
#include "process/trace.h"
#include "sys/logfile.h"
#include "sys/net.h"
#include "track/conn_log.h"
#include "track/connections.h"
#include "track/left_alone.h"

static enum report_json json_line;

static struct outfile report_file = {.fd = -1};
static const char *accept_stop; /* how accepting was stopped; NULL: not yet, or there was no listener */

/* A participant writes debug lines only, so it opens no log for less; it may also have changed to a user who cannot
 * write there. */
void drain_report_open(void)
{
    const struct options *o = &config;
    bool led = group.coordinator != MEMBER_NONE;
    if (!led || log_wants(LOG_DEBUG))
        log_open_file();
    int err = o->report && !led ? outfile_open(&report_file, o->report) : 0;
    if (err < 0)
        log_path_failed("the report file cannot be opened", o->report, err, "the log only");
}

int drain_report_hold(void)
{
    return config.report ? outfile_hold(&report_file, config.report) : -1;
}

bool drain_report_holds(int fd)
{
    return report_file.held && report_file.fd == fd;
}

void drain_report_replaced(int fd)
{
    outfile_replaced(&report_file, fd);
}

void drain_report_after_fork(void)
{
    outfile_forget_unheld(&report_file);
    accept_stop = NULL;
}

void drain_report_left_alone(void)
{
    const struct listener *l;
    while ((l = left_alone_untold()) != NULL)
        log_number(LOG_INFO, "not HTTP, so it is left alone (LASTCALL_LISTEN names what is drained all the same)",
                   "port", l->port);
}

void drain_report_signal(bool shuts_down)
{
    if (group.coordinator != MEMBER_NONE) {
        log_number(LOG_DEBUG, "drains with its group", "signal", (uint64_t)deferred.first_signal);
        return;
    }
    drain_report_left_alone();
    log_number(LOG_INFO, "signal deferred, draining", "signal", (uint64_t)deferred.first_signal);
    if (shuts_down && !config.deliver_first)
        log_number(LOG_INFO,
                   "the program's own handler runs when the drain is over, or before its deadline; "
                   "LASTCALL_DELIVER=first runs it at once",
                   "shutdown_time_ms", config.shutdown_time / NSEC_PER_MSEC);
}

static void begun_to_file(uint64_t in_flight)
{
    struct text line;
    char buf[512];
    const struct report_begun begun = {
        .pid = self_pid(),
        .signal = deferred.first_signal,
        .wall_start_ms = deferred.signal_wall_ms,
        .in_flight = in_flight,
        .deadline = config.timeout,
    };
    text_init(&line, buf, sizeof buf);
    report_json_begun(&line, &begun);
    int fd = report_file.fd;
    bool locked = logfile_lock(fd);
    uint64_t end = logfile_end(fd);
    if (!logfile_write(fd, line.at, line.len) && locked)
        logfile_take_back(fd, end);
    logfile_unlock(fd);
}

void drain_report_begun(uint64_t in_flight)
{
    if (group.coordinator == MEMBER_NONE && outfile_fd(&report_file) >= 0)
        begun_to_file(in_flight);
}

void drain_report_accept_stopped(nsec_t now)
{
    struct text line;
    char buf[512];
    accept_stop = listeners_how();
    if (!log_wants(LOG_DEBUG))
        return;
    const char *how = accept_stop ? accept_stop : "none";
    log_begin(&line, buf, sizeof buf, LOG_DEBUG, "accept stopped");
    log_line_str(&line, config.log_format, "accept_stop", how, text_length(how));
    log_line_u64(&line, config.log_format, "after_us", (now - deferred.signal_at) / NSEC_PER_USEC);
    log_end(&line);
}

static const char *opaque_reason_name(uint64_t why)
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
        log_line_str(&line, format, "because", opaque_reason_name(value), text_length(opaque_reason_name(value)));
    else if (value > 0)
        log_line_u64(&line, format, "bytes", value);
    log_end(&line);
}

void drain_report_trace(void)
{
    if (log_wants(LOG_TRACE))
        trace_take(trace_line);
}

/* ---- what the delivery aborts ------------------------------------------------------------------------------------ */

static bool is_aborted(const struct conn *c)
{
    if (!conn_is_alive(c) || conn_is_inherited(c) || c->stale || left_alone_connection(c))
        return false;
    if (c->stage >= CONN_HALF_CLOSED)
        return !__atomic_load_n(&c->acked, __ATOMIC_ACQUIRE) && sock_unsent(c->fd) > 1;
    if (conn_is_waited_for(c))
        return true;
    return sock_unread(c->fd) > 0;
}

static void describe_aborted(struct report_aborted *aborted, const struct conn *c)
{
    struct sock_counts k;
    aborted->pid = self_pid();
    aborted->method = conn_method(c);
    while (aborted->method[aborted->method_len])
        aborted->method_len++;
    long unread = sock_unread(c->fd);
    aborted->unread_bytes = unread > 0 ? (uint64_t)unread : 0;
    aborted->request_bytes = c->message.in;
    if (!conn_is_opaque(c) && !http1_between(&c->out)) {
        aborted->response_bytes = c->message.out;
        aborted->head_sent = !http1_in_head(&c->out);
        aborted->has_total = aborted->head_sent && c->out.facts.has_length;
        aborted->response_total = c->message.out + c->out.left;
    }
    if (!c->unix_ && sock_counts(c->fd, &k) == 0)
        aborted->age = (nsec_t)k.quiet_in_ms * NSEC_PER_MSEC;
}

/* The program may go on until it has its signal, and close this one: not while our calls are at it. */
unsigned drain_report_each_aborted(void (*f)(const struct report_aborted *aborted, void *arg), void *arg)
{
    unsigned count = 0;
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++) {
        struct conn *c = pool_at(&connections, i);
        struct report_aborted aborted;
        struct sock_address peer;
        char text[SOCK_TEXT];
        if (!c->live || !conn_lock(&c->pin))
            continue;
        bool counts = is_aborted(c);
        if (counts) {
            conn_log_aborted(c);
            memset(&peer, 0, sizeof peer);
            sock_peer(c->fd, &peer);
            memset(&aborted, 0, sizeof aborted);
            describe_aborted(&aborted, c);
        }
        connections_unpin(c);
        if (!counts)
            continue;
        count++;
        sock_text(&peer, text);
        aborted.peer = text;
        f(&aborted, arg);
    }
    return count;
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

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
    r->duration = now - deferred.signal_at;
    r->accept_stopped =
        drain_state.drain.accept_stopped_at ? drain_state.drain.accept_stopped_at - deferred.signal_at : 0;
    nsec_t done_at = group_report_last_done_at(); /* may be of a moment ago only: another process's, or a thread's */
    r->exit_delay = now > done_at ? now - done_at : 0;
    r->end = how;
    r->accept_stop = listeners_how();
    if (!r->accept_stop) /* the program's own shutdown has closed them since */
        r->accept_stop = accept_stop;
    r->processes = group_report_processes(add_process, r);
    r->accept_stop_at = drain_state.drain.stopping_from ? drain_state.drain.stopping_from - deferred.signal_at : 0;
    r->deadline = config.timeout;
    r->left_out = group_report_left_out();
}

static void add_unread(const struct report_aborted *aborted, void *unused)
{
    (void)unused;
    stats.counts.unread_bytes += aborted->unread_bytes;
}

void drain_report_count_aborted(void)
{
    if (drain_state.drain.phase == DRAIN_DONE)
        __atomic_add_fetch(&stats.counts.aborted, drain_report_each_aborted(add_unread, NULL), __ATOMIC_RELAXED);
}

static bool report_is_truncated; /* a piece of it could not be written */

/* To a file, or -1: to where the log goes. */
static void put_to(int fd, const struct text *line)
{
    if (fd < 0)
        log_put(line);
    else if (!report_is_truncated && !logfile_write(fd, line->at, line->len))
        report_is_truncated = true;
}

/* ---- the report as text ---- */

static void aborted_to_log(const struct report_aborted *aborted, void *unused)
{
    struct text line;
    char buf[1024];
    (void)unused;
    text_init(&line, buf, sizeof buf);
    report_text_aborted(&line, aborted);
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
        group_report_processes(process_to_log, NULL);
    if (r->counts.aborted == 0)
        return;
    drain_report_each_aborted(aborted_to_log, NULL);
    group_report_aborted(aborted_to_log, NULL);
}

/* ---- and as JSON ---- */

static void aborted_to_json(const struct report_aborted *aborted, void *fd)
{
    struct text line;
    char buf[1024];
    text_init(&line, buf, sizeof buf);
    report_json_aborted(&line, &json_line, aborted);
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
        put_to(report_file.fd, t);
        text_init(t, t->at, t->size);
    }
    report_json_connection(t, &json_line, c);
}

static void connections_to_json(void)
{
    struct text line;
    char buf[16384];
    text_init(&line, buf, sizeof buf);
    group_report_connections(connection_to_json, &line);
    put_to(report_file.fd, &line);
}

static void json_to(int fd, const struct report *r)
{
    struct text line;
    char buf[2048];
    text_init(&line, buf, sizeof buf);
    report_json_begin(&line, &json_line, r);
    put_to(fd, &line);
    if (r->processes > 1)
        group_report_processes(process_to_json, &fd);
    drain_report_each_aborted(aborted_to_json, &fd);
    group_report_aborted(aborted_to_json, &fd);
    if (r->connections)
        connections_to_json();
    text_init(&line, buf, sizeof buf);
    report_json_end(&line, &json_line);
    put_to(fd, &line);
}

/* The line comes in pieces, and the file may be others' too. Half a line is no JSON, and the next report would be the
 * other half of it. */
static void report_to_file(const struct report *r)
{
    int fd = report_file.fd;
    bool locked = logfile_lock(fd);
    uint64_t end = logfile_end(fd);
    report_is_truncated = false;
    json_to(fd, r);
    if (report_is_truncated) {
        if (locked)
            logfile_take_back(fd, end);
        log_number(LOG_WARN, "the report cannot be written whole: it is in the log only", "file_bytes", end);
    }
    logfile_unlock(fd);
}

void drain_report_end(nsec_t now, enum report_end how)
{
    struct report r;
    drain_report_trace();
    fill(&r, now, how);
    if (outfile_fd(&report_file) >= 0) {
        r.connections = conn_log_on();
        report_to_file(&r);
        r.connections = false; /* in the log they are of no use */
    }
    if (!log_wants(LOG_INFO) && !(log_wants(LOG_WARN) && r.counts.aborted > 0))
        return;
    if (config.log_format == LOG_JSON)
        json_to(-1, &r);
    else
        text_to_log(&r);
}
