/* options.h: the LASTCALL_ variables: one table, one parser.
 *
 * Pure: reads an environ array, writes a struct; errors are returned, the edge prints them. The
 * strings in struct options point into environ's strings (the caller copies what must live longer). */
#ifndef LASTCALL_OPTIONS_H
#define LASTCALL_OPTIONS_H

#include "base.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_JSON };

enum { OPTIONS_SIGNALS_MAX = 8, OPTIONS_LISTEN_MAX = 16, OPTIONS_ERRORS_MAX = 16, OPTIONS_PATH_MAX = 1024 };

struct listen_filter { /* one element of LASTCALL_LISTEN */
    uint8_t family;    /* 0 any TCP address, 4, 6, 1 = unix */
    uint16_t port;     /* host order */
    uint8_t addr[16];  /* network order; 4 bytes for IPv4 */
    char path[108];    /* unix: as in sun_path; '@' first = abstract */
};

struct options {
    bool disable;
    uint64_t signals;      /* bit n = signal n begins a drain */
    bool signals_auto;     /* and those that the program is known to stop by (core/known_program.h) */
    int forward;           /* signal delivered instead of the deferred one; 0 = the same */
    int shutdown_signal;   /* of a program that is known: by it the program lets its requests end; 0 = not known. No
                              variable */
    nsec_t timeout, delay; /* 0: none */
    nsec_t shutdown_time;  /* so long before the deadline a program with a handler of its own gets its signal */
    bool deliver_first;    /* such a program gets its signal at once */
    nsec_t delay_quiet;    /* 0: off */
    nsec_t idle, linger;
    struct listen_filter listen[OPTIONS_LISTEN_MAX];
    unsigned listen_count; /* 0 = auto: what speaks HTTP (core/spoken.h) */
    bool close_notice;
    enum log_level log;
    enum log_format log_format;
    const char *log_file, *report; /* paths, or NULL */
    bool report_connections;
};

struct options_error {
    const char *name; /* variable, as in environ: not NUL-terminated, name_len bytes */
    size_t name_len;
    const char *value; /* NUL-terminated */
    const char *used;  /* instead, for people: "25s", "auto"; "" for an unknown name */
    bool unknown;      /* no such variable */
};

/* Every default in its place. */
void options_default(struct options *o);

/* Is LASTCALL_DISABLE=1 in envp? Looked at before anything else. */
bool options_disabled(const char *const *envp);

/* Read envp (environ; may be NULL). Returns the number of errors, which may be more than max: only
 * max are stored. Every variable in error keeps its default; an empty value counts as unset; of a
 * name that is there twice the first counts. */
unsigned options_read(struct options *o, const char *const *envp, struct options_error *errors, unsigned max);

/* A duration: 250us, 500ms, 25s, 2m, 1h, or bare seconds (1.5 is fine). False: unreadable, *out
 * untouched. Never more than INT64_MAX ns, so that it can be added to any time. */
bool options_duration(const char *text, nsec_t *out);

/* Does the filter let a listener with this address pass? Without a filter all do. family 4, 6 or 1; port in host order;
 * addr network order (v4-mapped IPv6 counts as IPv4); path_len bytes of sun_path. */
bool options_listens(const struct options *o, uint8_t family, uint16_t port, const uint8_t *addr, const char *path,
                     size_t path_len);

/* The table itself, for help texts, the launcher and the tests: name, default, meaning. */
struct option_row {
    const char *name;
    const char *fallback; /* for people; spelled so, it is always readable as a value */
    const char *meaning;
    /* The fields below belong to options.c */
    bool (*read)(struct options *o, size_t field, const char *text);
    size_t field;
};
extern const struct option_row option_rows[];
extern const unsigned option_rows_count;

/* "TERM" for 15; NULL for a number that has no name. */
const char *options_signal_name(int signo);

#endif
