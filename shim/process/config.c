/* config.c: see config.h. */
#include "process/config.h"

#include "core/known_program.h"
#include "sys/proc.h"
#include "sys/syscall.h"

#include <fcntl.h>

HIDDEN struct options config;

static char strings[2][OPTIONS_PATH_MAX]; /* log_file, report: copies */
static char errors[2048];

/* A name is the environment's, too. */
static void add_name(struct text *t, const struct options_error *e)
{
    for (size_t i = 0; i < e->name_len; i++)
        if (e->name[i] <= ' ' || e->name[i] > '~') {
            text_quoted(t, e->name, e->name_len, false);
            return;
        }
    text_bytes(t, e->name, e->name_len);
}

static void add_error(struct text *t, const struct options_error *e)
{
    text_str(t, "lastcall: ");
    add_name(t, e);
    if (e->unknown) {
        text_str(t, " is not a variable of lastcall; it is not used\n");
        return;
    }
    size_t n = 0;
    while (e->value[n])
        n++;
    text_char(t, '=');
    text_quoted(t, e->value, n, false);
    text_str(t, " cannot be read; ");
    text_str(t, e->used);
    text_str(t, " is used\n");
}

/* Puts the present directory before a relative path: the program may go elsewhere (daemons go to /) before the file is
 * opened. Returns its length, with the slash; 0: there is none to be had, and the path stays as it is. */
static size_t put_directory(char *copy, const char *path)
{
    if (path[0] == '/')
        return 0;
    long n = sys2(SYS_getcwd, copy, OPTIONS_PATH_MAX - 1); /* with its NUL; "(unreachable)..." is no path */
    if (n <= 1 || copy[0] != '/')
        return 0;
    if (n > 2) /* not the root itself */
        copy[n++ - 1] = '/';
    return (size_t)n - 1;
}

static const char *keep(const char *value, char *copy, struct text *t)
{
    if (!value)
        return NULL;
    size_t at = put_directory(copy, value), n = 0;
    while (at + n < OPTIONS_PATH_MAX - 1 && value[n])
        n++;
    if (value[n]) {
        text_str(t, "lastcall: a path is longer than 1023 bytes; it is not used\n");
        return NULL;
    }
    memcpy(copy + at, value, n + 1);
    return copy;
}

void config_read(const char *const *environment)
{
    struct options_error found[OPTIONS_ERRORS_MAX];
    struct text t;
    unsigned n = options_read(&config, environment, found, OPTIONS_ERRORS_MAX);
    text_init(&t, errors, sizeof errors);
    for (unsigned i = 0; i < n && i < OPTIONS_ERRORS_MAX; i++)
        add_error(&t, &found[i]);
    /* The program may overwrite its environment (setproctitle does): keep what is needed later. */
    config.log_file = keep(config.log_file, strings[0], &t);
    config.report = keep(config.report, strings[1], &t);
    if (config.report_connections && !config.report)
        text_str(
            &t,
            "lastcall: LASTCALL_REPORT_CONNECTIONS=1 adds to the report, but LASTCALL_REPORT names no file for it\n");
}

static size_t read_file(const char *path, char *buf, size_t size)
{
    long fd = sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    long n = sys3(SYS_read, fd, buf, size);
    sys1(SYS_close, fd);
    return n > 0 ? (size_t)n : 0;
}

/* Without /proc: TERM alone. */
void config_settle(void)
{
    char exe[OPTIONS_PATH_MAX], args[1024];
    long n = sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe, sizeof exe);
    size_t args_len = read_file("/proc/self/cmdline", args, sizeof args);
    int graceful = n > 0 ? known_program_signal(exe, (size_t)n, args, args_len) : 0;
    if (n > 0 && known_program_waits(exe, (size_t)n, graceful))
        config.shutdown_signal = graceful;
    if (config.signals_auto)
        config.signals = known_program_signals(graceful, proc_has_terminal((int)sys0(SYS_getpid)));
}

const char *config_errors(void)
{
    return errors;
}

void config_errors_begin(struct text *more)
{
    size_t n = text_length(errors);
    text_init(more, errors + n, sizeof errors - n);
}
