/* report_format.h: what a drain was, as lines of logfmt for people or one of JSON for machines. Pure. */
#ifndef LASTCALL_REPORT_FORMAT_H
#define LASTCALL_REPORT_FORMAT_H

#include "core/conn_history.h"
#include "core/options.h"
#include "core/text.h"

enum report_end { REPORT_DRAINED, REPORT_DEADLINE, REPORT_SECOND_SIGNAL, REPORT_EXIT };

struct report_counts {
    uint64_t in_flight;           /* requests in flight at the signal */
    uint64_t served_after_signal; /* requests served that arrived after the signal */
    uint64_t idle_closed;         /* connections closed while idle */
    uint64_t close_sent;          /* responses into which we put Connection: close */
    uint64_t late_data;           /* connections on which bytes came after we had decided to close */
    uint64_t aborted;             /* connections with an aborted request or response */
    uint64_t unread_bytes;        /* received by the kernel, never read by the program */
    uint64_t opaque;              /* connections that were opaque at the signal or became so */
    uint64_t untracked;           /* connections found by the last sweep that the table lacked */
};

struct report {
    int pid, signal;        /* the signal that began the drain */
    unsigned processes;     /* of the group, with this one; 0 and 1 = alone */
    uint64_t wall_start_ms; /* Unix time of the signal, ms */
    nsec_t duration;        /* signal to delivery */
    nsec_t accept_stopped;  /* signal to the stop of accepting; 0 = accepted until delivery */
    nsec_t exit_delay;      /* last outstanding connection to delivery */
    enum report_end end;
    const char *mode;            /* "external": drained without the library in the program; NULL = not said */
    const char *accept_stop;     /* how accepting was stopped: "so_bindtoifindex", "syn_filter" ...; NULL = "none" */
    struct report_counts counts; /* of all processes together */
    bool connections;            /* it tells of each connection, and therefore also of the next three */
    nsec_t accept_stop_at;       /* signal to listeners hidden; 0 = they were not */
    nsec_t deadline;             /* from the signal; 0 = none */
    uint64_t left_out;           /* connections that it does not tell of */
};

struct report_process { /* one process of a group */
    int pid;
    const char *end; /* one word: how its part ended: "drained", "deadline", "killed" */
    struct report_counts counts;
};

struct report_aborted { /* one connection that was aborted */
    const char *peer;   /* "127.0.0.1:4242", "[::1]:80", "unix" */
    int pid;            /* the process that held the connection; 0 = not said */
    const char *method; /* "GET"; "" = opaque or not known */
    size_t method_len;
    uint64_t request_bytes;  /* received of the request so far */
    uint64_t response_bytes; /* of the response: sent by the program so far */
    uint64_t response_total; /* if has_total: head and body together */
    bool has_total, head_sent;
    nsec_t age; /* since the request began; 0 = not known */
    uint64_t unread_bytes;
};

struct report_connection { /* one connection, through all of the drain */
    int pid;               /* the process that held the connection */
    const char *peer;
    const char *method; /* of its last request; "" = opaque or not known; may be truncated */
    uint64_t in_bytes, out_bytes;
    bool aborted;
    unsigned changes; /* of its state */
    const uint8_t *states;
    const uint64_t *at_us; /* from the signal */
    uint64_t left_out;     /* more changes than could be kept */
};

/* Adds each of them; a sum stops at UINT64_MAX. */
void report_counts_add(struct report_counts *to, const struct report_counts *more);

/* One whole line each, with its newline, NUL-terminated. 1024 bytes hold any report or process,
 * 2048 any connection. */
void report_text(struct text *t, const struct report *r);
void report_text_process(struct text *t, const struct report_process *p);
void report_text_aborted(struct text *t, const struct report_aborted *c);

/* The JSON line at the signal: SIGKILL may come before the report. */
struct report_begun {
    int pid, signal;
    const char *mode; /* as in struct report */
    uint64_t wall_start_ms, in_flight;
    nsec_t deadline; /* 0: none */
};
void report_json_begun(struct text *t, const struct report_begun *b);

/* The JSON line comes in pieces: begin, its processes, its aborted requests, its connections, end. *line is what it
 * expects next; it is the caller's, set by begin and from then on changed by these functions only. Each piece may go
 * into a buffer of its own that is written before the next, or all into one. A piece for which there is no room, or
 * that comes out of turn, is left out whole (t->truncated tells), so that the line is valid JSON in the end: `{}` if
 * not even the totals fitted. The end fits after any piece in the same buffer, else needs 16 bytes. */
enum report_json {
    REPORT_JSON_TOTALS,     /* nothing is written: the totals did not fit */
    REPORT_JSON_FIRST,      /* a first process, a first aborted request or the end: no array is open */
    REPORT_JSON_PROCESS,    /* another process, a first aborted request or the end */
    REPORT_JSON_ABORTED,    /* another aborted request, a first connection or the end */
    REPORT_JSON_CONNECTION, /* another connection or the end */
    REPORT_JSON_BEGIN,      /* the line has ended */
};
void report_json_begin(struct text *t, enum report_json *line, const struct report *r);
void report_json_process(struct text *t, enum report_json *line, const struct report_process *p);
void report_json_aborted(struct text *t, enum report_json *line, const struct report_aborted *c);
void report_json_connection(struct text *t, enum report_json *line, const struct report_connection *c);
void report_json_end(struct text *t, enum report_json *line);

const char *report_end_name(enum report_end end);

/* One log line: time (Unix ms), level, message, and key-value pairs that are appended with
 * log_line_*; finished with log_line_end. Pairs for which there is no room are shortened or left out
 * (t->truncated tells); the line still ends well. */
void log_line_begin(struct text *t, enum log_format format, uint64_t wall_ms, enum log_level level, int pid,
                    const char *message);
void log_line_str(struct text *t, enum log_format format, const char *key, const char *s, size_t n);
void log_line_u64(struct text *t, enum log_format format, const char *key, uint64_t value);
void log_line_end(struct text *t, enum log_format format);

#endif
