/* log.c: see log.h. */
#include "launcher/host/log.h"

#include "core/report.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct options *options;
static int fd = STDERR_FILENO;

void runlog_open(const struct options *o)
{
    options = o;
    if (!o->log_file || o->log == LOG_OFF)
        return;
    int file = open(o->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (file >= 0)
        fd = file;
    else
        runlog(LOG_WARN, "the log file cannot be opened", "path", o->log_file, "instead", "standard error", NULL);
}

/* Only if it is taken now: the pipe may be full, or nobody may read it any more, and signals wait to be forwarded. */
static void put(const char *at, size_t n)
{
    struct pollfd ready = {fd, POLLOUT, 0};
    if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT && write(fd, at, n) < 0)
        return;
}

void runlog(enum log_level level, const char *message, ...)
{
    struct text line;
    char buf[2048];
    struct timespec wall;
    va_list pairs;
    const char *key;
    if (!options || options->log < level)
        return;
    clock_gettime(CLOCK_REALTIME, &wall);
    text_init(&line, buf, sizeof buf);
    log_line_begin(&line, options->log_format, (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000, level,
                   (int)getpid(), message);
    va_start(pairs, message);
    while ((key = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        log_line_str(&line, options->log_format, key, value, strlen(value));
    }
    va_end(pairs);
    log_line_end(&line, options->log_format);
    put(line.at, line.len);
}

void runlog_line(const char *at, size_t n)
{
    if (options && options->log >= LOG_INFO)
        put(at, n);
}
