/* read.c: reads one drain from a file of reports. No line is trusted: the file may be truncated, edited, or no
 * report. */
#include "launcher/timeline/timeline.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16 << 20, ERRORS_TOLD = 3 };

struct reading {
    const struct timeline_reader *how;
    unsigned long line;
    unsigned drains, errors;
};

struct owner {
    json_t *report;
    struct timeline_connection *connection;
    struct timeline_change *change;
    struct timeline_process *process;
};

/* ---- errors ------------------------------------------------------------------------------------------- */

/* What is quoted may come from anywhere. */
static void make_plain(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}

static void say(const struct timeline_reader *how, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct timeline_reader *how, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    make_plain(sentence);
    how->warn(sentence);
}

static void refuse_line(struct reading *r, const char *why)
{
    if (r->errors++ < ERRORS_TOLD)
        say(r->how, "%s, line %lu: %s; it is left out", r->how->name, r->line, why);
}

static void count_errors(const struct reading *r)
{
    if (r->errors > ERRORS_TOLD)
        say(r->how, "%s: so are %u lines more", r->how->name, r->errors - ERRORS_TOLD);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* 0 if it is not there. *good becomes false if it is no whole number from 0 to most. */
static uint64_t number_of(const json_t *object, const char *key, uint64_t most, bool *good)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);
    if (value && (!json_is_integer(value) || n < 0 || (uint64_t)n > most)) {
        *good = false;
        return 0;
    }
    return (uint64_t)n;
}

static uint64_t count_of(const json_t *object, const char *key, bool *good)
{
    return number_of(object, key, INT64_MAX, good);
}

static uint64_t time_of(const json_t *object, const char *key, bool *good)
{
    return number_of(object, key, TIMELINE_LATEST, good);
}

static int pid_of(const json_t *object, bool *good)
{
    return (int)number_of(object, "pid", INT32_MAX, good);
}

/* ---- one connection --------------------------------------------------------------------------------------- */

static unsigned state_of(const json_t *word)
{
    const char *name = json_string_value(word);
    for (unsigned s = CONN_HISTORY_NONE + 1; name && s < CONN_HISTORY_STATES; s++)
        if (strcmp(name, conn_history_state_name(s)) == 0)
            return s;
    return CONN_HISTORY_NONE;
}

/* Returns their number; 0: they cannot be read. */
static unsigned read_changes(const json_t *list, struct timeline_change *out)
{
    size_t count = json_array_size(list);
    if (count > TIMELINE_CHANGES)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(list, i), *at = json_array_get(pair, 1);
        json_int_t us = json_integer_value(at);
        out[i] = (struct timeline_change){(uint64_t)us, state_of(json_array_get(pair, 0))};
        if (!json_is_integer(at) || us < 0 || (uint64_t)us > TIMELINE_LATEST || out[i].state == CONN_HISTORY_NONE)
            return 0;
        if (i > 0 && out[i].at < out[i - 1].at)
            return 0;
    }
    return (unsigned)count;
}

static bool read_connection(struct timeline_connection *c, const json_t *from, struct timeline_change *room)
{
    bool good = json_is_object(from);
    c->pid = pid_of(from, &good);
    c->peer = text_of(from, "peer");
    c->method = text_of(from, "method");
    c->in_bytes = count_of(from, "in_bytes", &good);
    c->out_bytes = count_of(from, "out_bytes", &good);
    c->left_out = count_of(from, "left_out", &good);
    c->aborted = json_is_true(json_object_get(from, "aborted"));
    c->change = room;
    c->changes = read_changes(json_object_get(from, "changes"), room);
    return good && c->changes > 0;
}

/* A connection that the report only lists as aborted: in flight for the age that the report states. */
static bool read_aborted(struct timeline_connection *c, const json_t *from, struct timeline_change *room,
                         const struct timeline *t)
{
    bool good = json_is_object(from);
    uint64_t age = time_of(from, "age_us", &good);
    c->pid = pid_of(from, &good);
    if (c->pid == 0)
        c->pid = t->pid;
    c->peer = text_of(from, "peer");
    c->method = text_of(from, "method");
    c->in_bytes = count_of(from, "request_bytes", &good);
    c->out_bytes = count_of(from, "response_bytes", &good);
    c->aborted = true;
    c->change = room;
    c->changes = 1;
    room[0] = (struct timeline_change){age < t->duration ? t->duration - age : 0, CONN_HISTORY_IN_FLIGHT};
    return good;
}

/* ---- one drain -------------------------------------------------------------------------------------------- */

static bool read_connections(struct timeline *t, struct owner *own, const json_t *list)
{
    size_t count = json_array_size(list), room = 0;
    if (count > TIMELINE_CONNECTIONS) {
        t->left_out += count - TIMELINE_CONNECTIONS;
        count = TIMELINE_CONNECTIONS;
    }
    for (size_t i = 0; i < count; i++) {
        size_t changes = json_array_size(json_object_get(json_array_get(list, i), "changes"));
        room += changes > 0 && changes <= TIMELINE_CHANGES ? changes : 1;
    }
    own->connection = calloc(count + 1, sizeof *own->connection);
    own->change = calloc(room + 1, sizeof *own->change);
    if (!own->connection || !own->change)
        return false;
    struct timeline_change *next = own->change;
    t->connection = own->connection;
    for (size_t i = 0; i < count; i++) {
        struct timeline_connection *c = &own->connection[t->connections];
        const json_t *from = json_array_get(list, i);
        memset(c, 0, sizeof *c);
        bool good = t->recorded ? read_connection(c, from, next) : read_aborted(c, from, next, t);
        next += good ? c->changes : 0;
        t->connections += good;
        t->unreadable += !good;
    }
    return true;
}

static bool read_processes(struct timeline *t, struct owner *own, const json_t *list)
{
    size_t count = json_array_size(list);
    if (count > TIMELINE_PROCESSES)
        count = TIMELINE_PROCESSES;
    own->process = calloc(count + 1, sizeof *own->process);
    if (!own->process)
        return false;
    t->process = own->process;
    for (size_t i = 0; i < count; i++) {
        const json_t *from = json_array_get(list, i);
        bool good = json_is_object(from);
        struct timeline_process p = {pid_of(from, &good), text_of(from, "end")};
        if (good)
            own->process[t->processes++] = p;
    }
    return true;
}

/* What stands at the top. False: a number is missing, or out of range. */
static bool read_totals(struct timeline *t, const json_t *report)
{
    bool good = json_object_get(report, "duration_us") != NULL;
    t->pid = pid_of(report, &good);
    t->signal = text_of(report, "signal");
    t->end = text_of(report, "end");
    t->version = text_of(report, "version");
    t->wall_ms = number_of(report, "wall_start_ms", UINT64_C(253402300799999), &good); /* the end of the year 9999 */
    t->duration = time_of(report, "duration_us", &good);
    t->accept_stopped = time_of(report, "accept_stopped_us", &good);
    t->exit_delay = time_of(report, "exit_delay_us", &good);
    t->accept_stop_at = time_of(report, "accept_stop_at_us", &good);
    t->deadline = number_of(report, "deadline_us", INT64_MAX, &good);
    t->in_flight = count_of(report, "in_flight", &good);
    t->served_after_signal = count_of(report, "served_after_signal", &good);
    t->idle_closed = count_of(report, "idle_closed", &good);
    t->aborted = count_of(report, "aborted", &good);
    t->opaque = count_of(report, "opaque", &good);
    t->recorded = json_object_get(report, "connections_left_out") != NULL;
    t->left_out = count_of(report, "connections_left_out", &good);
    return good;
}

void timeline_free(struct timeline *t)
{
    struct owner *own = t->owner;
    if (!own)
        return;
    json_decref(own->report);
    free(own->connection);
    free(own->change);
    free(own->process);
    free(own);
    t->owner = NULL;
}

/* Takes the report. */
static bool read_drain(struct timeline *t, json_t *report)
{
    struct owner *own = calloc(1, sizeof *own);
    memset(t, 0, sizeof *t);
    if (!own) {
        json_decref(report);
        return false;
    }
    own->report = report;
    t->owner = own;
    read_totals(t, report);
    bool good = read_processes(t, own, json_object_get(report, "processes")) &&
                read_connections(t, own, json_object_get(report, t->recorded ? "connections" : "aborts"));
    if (!good)
        timeline_free(t);
    return good;
}

/* ---- the file ----------------------------------------------------------------------------------------------- */

/* Reads a line without its newline into *line, which grows. False: end of file. *n is SIZE_MAX for a line that is
 * too long. */
static bool next_line(FILE *in, char **line, size_t *size, size_t *n)
{
    int c;
    *n = 0;
    bool any = false, fits = true;
    while ((c = getc(in)) != EOF) {
        any = true;
        if (c == '\n')
            break;
        if (*n == *size && fits) {
            size_t more = *size ? 2 * *size : 4096;
            char *grown = more <= LINE_MAX_BYTES ? realloc(*line, more) : NULL;
            fits = grown != NULL;
            *line = grown ? grown : *line;
            *size = grown ? more : *size;
        }
        if (fits)
            (*line)[(*n)++] = (char)c;
    }
    if (!fits)
        *n = SIZE_MAX;
    return any;
}

static bool is_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

/* The report that the line is, or NULL. */
static json_t *report_in(struct reading *r, const char *line, size_t n)
{
    json_error_t error;
    char why[JSON_ERROR_TEXT_LENGTH + 64];
    struct timeline unused;
    if (n == SIZE_MAX) {
        refuse_line(r, "it is longer than 16 MiB");
        return NULL;
    }
    if (is_blank(line, n))
        return NULL;
    json_t *value = json_loadb(line, n, 0, &error);
    if (!value) {
        snprintf(why, sizeof why, "it is no JSON, truncated by a crash perhaps (%s)", error.text);
        refuse_line(r, why);
        return NULL;
    }
    bool is_drain = strcmp(text_of(value, "event"), "drain") == 0;
    if (is_drain && read_totals(&unused, value))
        return value;
    if (is_drain)
        refuse_line(r, "a number in this report is missing or out of range");
    json_decref(value);
    return NULL;
}

/* Reads the wanted drain; other drains are only counted. */
static json_t *find_report(struct reading *r, FILE *in)
{
    json_t *found = NULL;
    char *line = NULL;
    size_t size = 0, n;
    while (next_line(in, &line, &size, &n)) {
        r->line++;
        json_t *report = report_in(r, line, n);
        if (!report)
            continue;
        r->drains++;
        if (r->how->wanted == 0 || r->drains == r->how->wanted) {
            json_decref(found);
            found = report;
        } else {
            json_decref(report);
        }
    }
    free(line);
    return found;
}

bool timeline_read(struct timeline *t, FILE *in, const struct timeline_reader *how)
{
    struct reading r = {how, 0, 0, 0};
    json_t *report = find_report(&r, in);
    count_errors(&r);
    if (report) {
        if (read_drain(t, report))
            return true;
        say(how, "there is no memory for this report");
    } else if (ferror(in)) {
        say(how, "%s cannot be read", how->name);
    } else if (r.drains > 0) {
        say(how, "%s tells of %u drain%s; there is no drain %u", how->name, r.drains, r.drains > 1 ? "s" : "",
            how->wanted);
    } else {
        say(how, "%s holds no report of a drain; a server writes one into the file that its LASTCALL_REPORT names",
            how->name);
    }
    return false;
}
