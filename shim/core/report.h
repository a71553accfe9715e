/* report.h: what a drain was, as one line of logfmt for people or of JSON for machines. Pure. */
#ifndef LASTCALL_REPORT_H
#define LASTCALL_REPORT_H

#include "options.h"
#include "text.h"

enum report_end { REPORT_DRAINED, REPORT_DEADLINE, REPORT_SECOND_SIGNAL, REPORT_EXIT };

struct report {
    int pid, signal;        /* the signal that began the drain */
    uint64_t wall_start_ms; /* Unix time of the signal, ms */
    nsec_t took;            /* signal to release */
    nsec_t door;            /* signal to door closed; 0 = it was not closed before release */
    nsec_t tail;            /* last thing owed to release */
    enum report_end end;
    const char *hidden;       /* how the listeners were closed: "hide", "filter", "drain", "none" */
    uint64_t in_flight;       /* requests in flight at the signal */
    uint64_t served_late;     /* requests served that arrived after the signal */
    uint64_t idle_closed;     /* connections closed while idle */
    uint64_t farewells;       /* responses into which we put Connection: close */
    uint64_t crossed;         /* connections on which bytes came after we had decided to close */
    uint64_t cut;             /* connections whose request or response was cut */
    uint64_t unread_bytes;    /* received by the kernel, never read by the program */
    uint64_t opaque;          /* connections that were opaque at the signal or became so */
    uint64_t refused_unknown; /* connections found by the last sweep that the table lacked */
};

struct report_cut {     /* one connection that was cut */
    const char *peer;   /* "127.0.0.1:4242", "[::1]:80", "unix" */
    const char *method; /* "GET"; "" = opaque or not known */
    size_t method_len;
    uint64_t request_bytes;  /* received of the request so far */
    uint64_t response_bytes; /* of the response: sent by the program so far */
    uint64_t response_total; /* if has_total: head and body together */
    bool has_total, head_sent;
    nsec_t age; /* since the request began; 0 = not known */
    uint64_t unread_bytes;
};

/* One whole line with its newline, NUL-terminated. The report's JSON line holds the cuts in an array:
 * begin, a report_json_cut for each, end. A report without its cuts fits in 1024 bytes; cuts for which
 * there is no room are left out whole, so the line stays valid JSON. */
void report_text(struct text *t, const struct report *r);
void report_text_cut(struct text *t, const struct report_cut *c);
void report_json_begin(struct text *t, const struct report *r);
void report_json_cut(struct text *t, const struct report_cut *c, bool first);
void report_json_end(struct text *t);

const char *report_end_name(enum report_end end);

/* One log line: time (Unix ms), level, message, and key-value pairs that are appended with
 * log_line_*; finished with log_line_end. Pairs for which there is no room are shortened or left out
 * (t->cut tells); the line still ends well. */
void log_line_begin(struct text *t, enum log_format format, uint64_t wall_ms, enum log_level level, int pid,
                    const char *message);
void log_line_str(struct text *t, enum log_format format, const char *key, const char *s, size_t n);
void log_line_u64(struct text *t, enum log_format format, const char *key, uint64_t value);
void log_line_end(struct text *t, enum log_format format);

#endif
