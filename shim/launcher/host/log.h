/* log.h: the launcher's log while its command runs: lines like those of the library, to the same file. */
#ifndef LASTCALL_LAUNCHER_HOST_LOG_H
#define LASTCALL_LAUNCHER_HOST_LOG_H

#include "core/options.h"

/* From here on the log follows LASTCALL_LOG, LASTCALL_LOG_FORMAT and LASTCALL_LOG_FILE. */
void host_log_open(const struct options *options);

/* One line: the message, then pairs of strings, key and value, ended by NULL. */
void host_log(enum log_level level, const char *message, ...) __attribute__((sentinel));

/* A complete line, of a report. */
void host_log_line(const char *at, size_t n);

#endif
