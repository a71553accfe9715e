/* log.c: see log.h. The file is opened and written to as the library does it (sys/logfile.h). */
#include "launcher/host/log.h"

#include "core/report_format.h"
#include "launcher/host/clock.h"
#include "sys/logfile.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const struct options *options;
static int file = -1; /* or standard error */
static struct logfile_id stderr_id;

void host_log_open(const struct options *o)
{
    options = o;
    stderr_id = logfile_identify(2);
    if (!o->log_file || o->log == LOG_OFF)
        return;
    file = logfile_open(o->log_file);
    if (file < 0)
        host_log(LOG_WARN, "the log file cannot be opened", "path", o->log_file, "instead", "standard error", NULL);
}

/* The line is written only if the write does not block: the pipe may be full, or have lost its reader, and signals
 * wait to be forwarded. */
static void put(const char *at, size_t n)
{
    if (file >= 0)
        logfile_write(file, at, n);
    else
        logfile_to_stderr(stderr_id, at, n);
}

void host_log(enum log_level level, const char *message, ...)
{
    struct text line;
    char buf[2048];
    va_list pairs;
    const char *key;
    if (!options || options->log < level)
        return;
    text_init(&line, buf, sizeof buf);
    log_line_begin(&line, options->log_format, clock_wall_ms(), level, (int)getpid(), message);
    va_start(pairs, message);
    while ((key = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        log_line_str(&line, options->log_format, key, value, strlen(value));
    }
    va_end(pairs);
    log_line_end(&line, options->log_format);
    put(line.at, line.len);
}

void host_log_line(const char *at, size_t n)
{
    if (options && options->log >= LOG_INFO)
        put(at, n);
}
