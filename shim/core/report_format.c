/* report_format.c: spells reports and log lines. The fields are tables that text and JSON both walk, so that
 * the two cannot drift apart. */
#include "core/report_format.h"

/* ---- values --------------------------------------------------------------------------------------- */

/* May it stand in logfmt without quotes? */
static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~' || s[i] == '=' || s[i] == '"' || s[i] == '\\')
            return false;
    return n > 0;
}

static void put_logfmt(struct text *t, const char *s, size_t n)
{
    if (is_plain(s, n))
        text_bytes(t, s, n);
    else
        text_quoted(t, s, n, false);
}

static void put_json(struct text *t, const char *s)
{
    text_quoted(t, s, text_length(s), true);
}

/* ` key=` or `,"key":`, with a suffix for the unit. */
static void put_key(struct text *t, enum log_format format, const char *key, const char *suffix)
{
    text_str(t, format == LOG_JSON ? ",\"" : " ");
    text_str(t, key);
    text_str(t, suffix);
    text_str(t, format == LOG_JSON ? "\":" : "=");
}

static void put_u64(struct text *t, enum log_format format, const char *key, uint64_t value)
{
    put_key(t, format, key, "");
    text_u64(t, value);
}

/* People read 1.2s, machines read integers. */
static void put_time(struct text *t, enum log_format format, const char *key, nsec_t ns)
{
    put_key(t, format, key, format == LOG_JSON ? "_us" : "");
    if (format == LOG_JSON)
        text_u64(t, ns / NSEC_PER_USEC);
    else
        text_duration(t, ns);
}

static void put_signal(struct text *t, enum log_format format, int signo)
{
    const char *name = options_signal_name(signo);
    const char *quote = format == LOG_JSON ? "\"" : "";
    put_key(t, format, "signal", "");
    text_str(t, quote);
    if (name)
        text_str(t, name);
    else
        text_i64(t, signo);
    text_str(t, quote);
}

/* ---- counters ------------------------------------------------------------------------------------- */

#define COUNTER(name) #name, offsetof(struct report_counts, name)

static const struct counter {
    char name[24];
    size_t field;
} counters[] = {
    {COUNTER(in_flight)},    {COUNTER(served_after_signal)},
    {COUNTER(idle_closed)},  {COUNTER(close_sent)},
    {COUNTER(late_data)},    {COUNTER(aborted)},
    {COUNTER(unread_bytes)}, {COUNTER(opaque)},
    {COUNTER(untracked)},
};

static void put_counters(struct text *t, enum log_format format, const struct report_counts *c)
{
    for (unsigned i = 0; i < COUNT(counters); i++)
        put_u64(t, format, counters[i].name, *(const uint64_t *)((const char *)c + counters[i].field));
}

/* A sum that wrapped would be a small number: a lie. */
void report_counts_add(struct report_counts *to, const struct report_counts *more)
{
    for (unsigned i = 0; i < COUNT(counters); i++) {
        uint64_t *sum = (uint64_t *)((char *)to + counters[i].field);
        uint64_t value = *(const uint64_t *)((const char *)more + counters[i].field);
        *sum = value > UINT64_MAX - *sum ? UINT64_MAX : *sum + value;
    }
}

/* ---- the report ----------------------------------------------------------------------------------- */

const char *report_end_name(enum report_end end)
{
    switch (end) {
    case REPORT_DRAINED: return "drained";
    case REPORT_DEADLINE: return "deadline";
    case REPORT_SECOND_SIGNAL: return "second_signal";
    case REPORT_EXIT: return "exit";
    }
    return "unknown";
}

static const char *accept_stop_name(const struct report *r)
{
    return r->accept_stop ? r->accept_stop : "none";
}

void report_text(struct text *t, const struct report *r)
{
    text_str(t, "lastcall: ");
    text_str(t, report_end_name(r->end));
    text_str(t, " pid=");
    text_i64(t, r->pid);
    if (r->mode) {
        text_str(t, " mode=");
        text_str(t, r->mode);
    }
    if (r->processes > 1)
        put_u64(t, LOG_TEXT, "processes", r->processes);
    put_signal(t, LOG_TEXT, r->signal);
    put_time(t, LOG_TEXT, "duration", r->duration);
    if (r->accept_stopped)
        put_time(t, LOG_TEXT, "accept_stopped", r->accept_stopped);
    else
        text_str(t, " accept_stopped=no");
    text_str(t, " accept_stop=");
    text_str(t, accept_stop_name(r));
    put_counters(t, LOG_TEXT, &r->counts);
    put_time(t, LOG_TEXT, "exit_delay", r->exit_delay);
    log_line_end(t, LOG_TEXT);
}

static void put_totals(struct text *t, const struct report *r)
{
    text_str(t, "{\"event\":\"drain\",\"version\":\"" LASTCALL_VERSION "\",\"pid\":");
    text_i64(t, r->pid);
    put_signal(t, LOG_JSON, r->signal);
    put_u64(t, LOG_JSON, "wall_start_ms", r->wall_start_ms);
    put_key(t, LOG_JSON, "end", "");
    put_json(t, report_end_name(r->end));
    if (r->mode) {
        put_key(t, LOG_JSON, "mode", "");
        put_json(t, r->mode);
    }
    put_key(t, LOG_JSON, "accept_stop", "");
    put_json(t, accept_stop_name(r));
    put_time(t, LOG_JSON, "duration", r->duration);
    put_time(t, LOG_JSON, "accept_stopped", r->accept_stopped);
    put_time(t, LOG_JSON, "exit_delay", r->exit_delay);
    put_counters(t, LOG_JSON, &r->counts);
    if (!r->connections)
        return;
    put_time(t, LOG_JSON, "accept_stop_at", r->accept_stop_at);
    put_time(t, LOG_JSON, "deadline", r->deadline);
    put_u64(t, LOG_JSON, "connections_left_out", r->left_out);
}

void report_json_begun(struct text *t, const struct report_begun *b)
{
    text_str(t, "{\"event\":\"draining\",\"version\":\"" LASTCALL_VERSION "\",\"pid\":");
    text_i64(t, b->pid);
    put_signal(t, LOG_JSON, b->signal);
    put_u64(t, LOG_JSON, "wall_start_ms", b->wall_start_ms);
    if (b->mode) {
        put_key(t, LOG_JSON, "mode", "");
        put_json(t, b->mode);
    }
    put_u64(t, LOG_JSON, "in_flight", b->in_flight);
    if (b->deadline == 0)
        text_str(t, ",\"deadline_us\":null");
    else
        put_time(t, LOG_JSON, "deadline", b->deadline);
    text_str(t, "}\n");
}

/* ---- one process of a group ----------------------------------------------------------------------- */

void report_text_process(struct text *t, const struct report_process *p)
{
    text_str(t, "lastcall: process pid=");
    text_i64(t, p->pid);
    put_key(t, LOG_TEXT, "end", "");
    put_logfmt(t, p->end, text_length(p->end));
    put_counters(t, LOG_TEXT, &p->counts);
    log_line_end(t, LOG_TEXT);
}

static void put_process(struct text *t, const struct report_process *p)
{
    text_str(t, "{\"pid\":");
    text_i64(t, p->pid);
    put_key(t, LOG_JSON, "end", "");
    put_json(t, p->end);
    put_counters(t, LOG_JSON, &p->counts);
    text_char(t, '}');
}

/* ---- one aborted connection --------------------------------------------------------------------------- */

/* A process without a group need not say which process held the connection. */
static void put_owner(struct text *t, enum log_format format, const struct report_aborted *c)
{
    if (!c->pid)
        return;
    put_key(t, format, "pid", "");
    text_i64(t, c->pid);
}

static void put_or_unknown(struct text *t, const char *key, const char *s, size_t n)
{
    put_key(t, LOG_TEXT, key, "");
    if (n)
        put_logfmt(t, s, n);
    else
        text_str(t, "unknown");
}

void report_text_aborted(struct text *t, const struct report_aborted *c)
{
    text_str(t, "lastcall: aborted");
    put_or_unknown(t, "peer", c->peer, text_length(c->peer));
    put_owner(t, LOG_TEXT, c);
    put_or_unknown(t, "method", c->method, c->method_len);
    if (c->age)
        put_time(t, LOG_TEXT, "age", c->age);
    else
        text_str(t, " age=unknown");
    put_u64(t, LOG_TEXT, "request_bytes", c->request_bytes);
    text_str(t, c->head_sent ? " head_sent=yes" : " head_sent=no");
    put_u64(t, LOG_TEXT, "response", c->response_bytes);
    text_char(t, '/');
    if (c->has_total)
        text_u64(t, c->response_total);
    else
        text_str(t, "unknown");
    put_u64(t, LOG_TEXT, "unread_bytes", c->unread_bytes);
    log_line_end(t, LOG_TEXT);
}

static void put_aborted(struct text *t, const struct report_aborted *c)
{
    text_str(t, "{\"peer\":");
    put_json(t, c->peer);
    put_owner(t, LOG_JSON, c);
    put_key(t, LOG_JSON, "method", "");
    text_quoted(t, c->method, c->method_len, true);
    put_u64(t, LOG_JSON, "request_bytes", c->request_bytes);
    put_u64(t, LOG_JSON, "response_bytes", c->response_bytes);
    put_key(t, LOG_JSON, "response_total", "");
    if (c->has_total)
        text_u64(t, c->response_total);
    else
        text_str(t, "null");
    put_key(t, LOG_JSON, "head_sent", "");
    text_str(t, c->head_sent ? "true" : "false");
    put_time(t, LOG_JSON, "age", c->age);
    put_u64(t, LOG_JSON, "unread_bytes", c->unread_bytes);
    text_char(t, '}');
}

/* ---- one connection ------------------------------------------------------------------------------- */

static void put_change(struct text *t, unsigned state, uint64_t at_us)
{
    text_char(t, '[');
    put_json(t, conn_history_state_name(state));
    text_char(t, ',');
    text_u64(t, at_us);
    text_char(t, ']');
}

static void put_connection(struct text *t, const struct report_connection *c)
{
    text_str(t, "{\"pid\":");
    text_i64(t, c->pid);
    put_key(t, LOG_JSON, "peer", "");
    put_json(t, c->peer);
    put_key(t, LOG_JSON, "method", "");
    put_json(t, c->method);
    put_u64(t, LOG_JSON, "in_bytes", c->in_bytes);
    put_u64(t, LOG_JSON, "out_bytes", c->out_bytes);
    put_key(t, LOG_JSON, "aborted", "");
    text_str(t, c->aborted ? "true" : "false");
    put_key(t, LOG_JSON, "changes", "");
    text_char(t, '[');
    for (unsigned i = 0; i < c->changes; i++) {
        if (i > 0)
            text_char(t, ',');
        put_change(t, c->states[i], c->at_us[i]);
    }
    text_char(t, ']');
    put_u64(t, LOG_JSON, "left_out", c->left_out);
    text_char(t, '}');
}

/* ---- lines that stay whole in a small buffer ------------------------------------------------------ */

static size_t room_in(const struct text *t)
{
    return t->size - 1 - t->len;
}

/* Where the text stood before something is appended that has to fit as a whole. */
struct mark {
    size_t len;
    bool truncated;
};

static struct mark begin_whole(struct text *t)
{
    struct mark mark = {t->len, t->truncated};
    t->truncated = false;
    return mark;
}

/* What was appended behind `mark` is taken back if it was truncated, or if fewer than `reserve` bytes are left: half
 * an element would spoil the line. False: so it was. */
static bool end_whole(struct text *t, struct mark mark, size_t reserve)
{
    if (!t->truncated && room_in(t) >= reserve) {
        t->truncated = mark.truncated;
        return true;
    }
    t->len = mark.len;
    t->at[mark.len] = '\0';
    t->truncated = true;
    return false;
}

/* ---- the JSON line, piece by piece ---------------------------------------------------------------- */

/* What goes between what was written and the next piece; "" = that piece may not come now. A reader finds
 * `aborts` always, `processes` only in the report of a group, `connections` only if there are any. */
static const struct joint {
    char process[16], aborted[16], connection[32], end[16];
} joints[] = {
    [REPORT_JSON_TOTALS] = {"", "", "", "{}\n"},
    [REPORT_JSON_FIRST] = {",\"processes\":[", ",\"aborts\":[", ",\"aborts\":[],\"connections\":[",
                           ",\"aborts\":[]}\n"},
    [REPORT_JSON_PROCESS] = {",", "],\"aborts\":[", "],\"aborts\":[],\"connections\":[", "],\"aborts\":[]}\n"},
    [REPORT_JSON_ABORTED] = {"", ",", "],\"connections\":[", "]}\n"},
    [REPORT_JSON_CONNECTION] = {"", "", ",", "]}\n"},
    [REPORT_JSON_BEGIN] = {"", "", "", ""},
};

static struct mark begin_piece(struct text *t, const char *join)
{
    struct mark mark = begin_whole(t);
    t->truncated = !*join;
    text_str(t, join);
    return mark;
}

/* Is there room left for the end that follows a piece? Only then has the line come to `next`. */
static void end_piece(struct text *t, struct mark mark, enum report_json *line, enum report_json next)
{
    if (end_whole(t, mark, text_length(joints[next].end)))
        *line = next;
}

void report_json_begin(struct text *t, enum report_json *line, const struct report *r)
{
    struct mark mark = begin_whole(t);
    *line = REPORT_JSON_TOTALS;
    put_totals(t, r);
    end_piece(t, mark, line, REPORT_JSON_FIRST);
}

void report_json_process(struct text *t, enum report_json *line, const struct report_process *p)
{
    struct mark mark = begin_piece(t, joints[*line].process);
    put_process(t, p);
    end_piece(t, mark, line, REPORT_JSON_PROCESS);
}

void report_json_aborted(struct text *t, enum report_json *line, const struct report_aborted *c)
{
    struct mark mark = begin_piece(t, joints[*line].aborted);
    put_aborted(t, c);
    end_piece(t, mark, line, REPORT_JSON_ABORTED);
}

void report_json_connection(struct text *t, enum report_json *line, const struct report_connection *c)
{
    struct mark mark = begin_piece(t, joints[*line].connection);
    put_connection(t, c);
    end_piece(t, mark, line, REPORT_JSON_CONNECTION);
}

/* If it does not fit, it may be said again into another buffer. */
void report_json_end(struct text *t, enum report_json *line)
{
    struct mark mark = begin_whole(t);
    text_str(t, joints[*line].end);
    end_piece(t, mark, line, REPORT_JSON_BEGIN);
}

/* ---- log lines ------------------------------------------------------------------------------------ */

static const char *const level_names[] = {
    [LOG_OFF] = "off",   [LOG_ERROR] = "error", [LOG_WARN] = "warn",
    [LOG_INFO] = "info", [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

void log_line_begin(struct text *t, enum log_format format, uint64_t wall_ms, enum log_level level, int pid,
                    const char *message)
{
    bool json = format == LOG_JSON;
    text_str(t, json ? "{\"time_ms\":" : "lastcall[");
    if (json) {
        text_u64(t, wall_ms);
        text_str(t, ",\"level\":\"");
        text_str(t, level_names[level]);
        text_str(t, "\",\"pid\":");
    }
    text_i64(t, pid);
    if (json) {
        text_str(t, ",\"msg\":");
        put_json(t, message);
        return;
    }
    text_str(t, "] ");
    text_str(t, level_names[level]);
    text_str(t, ": ");
    text_str(t, message);
}

static size_t end_of(enum log_format format)
{
    return format == LOG_JSON ? 2 : 1; /* }\n or \n */
}

/* A value that is too long is halved until it fits: its beginning tells the most. */
void log_line_str(struct text *t, enum log_format format, const char *key, const char *s, size_t n)
{
    for (;; n /= 2) {
        struct mark mark = begin_whole(t);
        put_key(t, format, key, "");
        if (format == LOG_JSON)
            text_quoted(t, s, n, true);
        else
            put_logfmt(t, s, n);
        if (end_whole(t, mark, end_of(format)) || !n)
            return;
    }
}

void log_line_u64(struct text *t, enum log_format format, const char *key, uint64_t value)
{
    struct mark mark = begin_whole(t);
    put_u64(t, format, key, value);
    end_whole(t, mark, end_of(format));
}

/* Even a truncated line ends, or the next one would be glued to it. */
void log_line_end(struct text *t, enum log_format format)
{
    if (format == LOG_JSON)
        text_char(t, '}');
    if (!room_in(t) && t->len) {
        t->len--;
        t->truncated = true;
    }
    text_char(t, '\n');
}
