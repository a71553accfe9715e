/* log.h: the lines that we write: to LASTCALL_LOG_FILE, or to the standard error. The drain's thread writes; from
 * elsewhere only log_warning and log_cannot_watch may be called. */
#ifndef LASTCALL_PROCESS_LOG_H
#define LASTCALL_PROCESS_LOG_H

#include "core/options.h"
#include "core/text.h"

/* Note which file the standard error is, when the process begins to serve. */
void log_start(void);

/* Open the log file, when a drain begins. */
void log_open_file(void);
/* Open it now, and hold it: see outfile_hold. < 0: no descriptor. */
int log_hold_file(void);
bool log_holds(int fd);
/* The program has put another file under this number of ours. */
void log_replaced(int fd);
/* A file of the configuration cannot be opened: -err. */
void log_path_failed(const char *what, const char *path, int err, const char *instead);

bool log_wants(enum log_level level);

/* A line: begin, core/report_format.h's log_line_*, end. */
void log_begin(struct text *line, char *buf, size_t size, enum log_level level, const char *message);
void log_end(struct text *line);
/* A whole one, with one number. */
void log_number(enum log_level level, const char *message, const char *key, uint64_t value);
/* Lines that are ready. */
void log_put(const struct text *lines);

/* To the standard error. Any thread, any signal handler. */
void log_warning(const char *what);
/* A system call that lastcall needs is refused (a sandbox), or memory or entries are short: logged once. */
void log_cannot_watch(const char *what, uint8_t *said);
/* What is wrong with the configuration. */
void log_config_errors(void);

/* The log file was the parent's, if it is not held. */
void log_after_fork(void);

#endif
