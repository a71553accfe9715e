/* log.c: see log.h. */
#include "process/log.h"

#include "core/report_format.h"
#include "process/clock.h"
#include "process/config.h"
#include "process/outfile.h"
#include "process/self.h"
#include "sys/logfile.h"
#include "sys/syscall.h"

static struct outfile log_file = {.fd = -1};
static struct logfile_id stderr_id; /* the standard error seen at start */

static void to_stderr(const char *lines, size_t n)
{
    logfile_to_stderr(stderr_id, lines, n);
}

void log_start(void)
{
    stderr_id = logfile_identify(2);
}

void log_put(const struct text *lines)
{
    int fd = outfile_fd(&log_file);
    if (fd >= 0)
        logfile_write(fd, lines->at, lines->len);
    else
        to_stderr(lines->at, lines->len);
}

bool log_wants(enum log_level level)
{
    return config.log >= level;
}

void log_begin(struct text *line, char *buf, size_t size, enum log_level level, const char *message)
{
    text_init(line, buf, size);
    log_line_begin(line, config.log_format, clock_wall_ms(), level, self_pid(), message);
}

void log_end(struct text *line)
{
    log_line_end(line, config.log_format);
    log_put(line);
}

void log_number(enum log_level level, const char *message, const char *key, uint64_t value)
{
    struct text line;
    char buf[512];
    if (!log_wants(level))
        return;
    log_begin(&line, buf, sizeof buf, level, message);
    log_line_u64(&line, config.log_format, key, value);
    log_end(&line);
}

void log_path_failed(const char *what, const char *path, int err, const char *instead)
{
    struct text line;
    char buf[OPTIONS_PATH_MAX + 256];
    if (!log_wants(LOG_WARN))
        return;
    log_begin(&line, buf, sizeof buf, LOG_WARN, what);
    log_line_str(&line, config.log_format, "path", path, text_length(path));
    log_line_u64(&line, config.log_format, "errno", (uint64_t)-err);
    log_line_str(&line, config.log_format, "instead", instead, text_length(instead));
    log_end(&line);
}

static bool is_to_file(void)
{
    return config.log_file && config.log != LOG_OFF;
}

void log_open_file(void)
{
    int err = is_to_file() ? outfile_open(&log_file, config.log_file) : 0;
    if (err < 0)
        log_path_failed("the log file cannot be opened", config.log_file, err, "standard error");
}

int log_hold_file(void)
{
    return is_to_file() ? outfile_hold(&log_file, config.log_file) : -1;
}

bool log_holds(int fd)
{
    return log_file.held && log_file.fd == fd;
}

void log_replaced(int fd)
{
    outfile_replaced(&log_file, fd);
}

void log_warning(const char *what)
{
    struct text line;
    char buf[512];
    if (!log_wants(LOG_WARN))
        return;
    log_begin(&line, buf, sizeof buf, LOG_WARN, what);
    log_line_end(&line, config.log_format);
    to_stderr(line.at, line.len);
}

void log_cannot_watch(const char *what, uint8_t *said)
{
    if (__atomic_exchange_n(said, 1, __ATOMIC_RELAXED))
        return;
    if (!self_armed()) {
        self_note_pid();
        log_start();
    }
    log_warning(what);
}

/* Lines of text; where lines are to be JSON, each becomes the value of one. */
void log_config_errors(void)
{
    enum { AFTER_NAME = sizeof "lastcall: " - 1 };
    if (!log_wants(LOG_WARN))
        return;
    if (config.log_format == LOG_TEXT) {
        to_stderr(config_errors(), text_length(config_errors()));
        return;
    }
    for (const char *at = config_errors(); text_length(at) > AFTER_NAME;) {
        struct text line;
        char buf[1024];
        size_t n = 0;
        while (at[n] && at[n] != '\n')
            n++;
        log_begin(&line, buf, sizeof buf, LOG_WARN, "configuration error");
        log_line_str(&line, LOG_JSON, "what", at + AFTER_NAME, n - AFTER_NAME);
        log_line_end(&line, LOG_JSON);
        to_stderr(line.at, line.len);
        at += n + (at[n] == '\n');
    }
}

void log_after_fork(void)
{
    outfile_forget_unheld(&log_file);
}
