/* known_program.c: see known_program.h. */
#include "core/known_program.h"

enum { SIG_INT = 2, SIG_QUIT = 3, SIG_USR1 = 10, SIG_TERM = 15, SIG_WINCH = 28 };

/* Sources: the STOPSIGNAL of the official images (nginx, httpd, php, haproxy), and of Debian 12's packages the units
 * (nginx.service: ExecStop= sends QUIT) and manuals: nginx(8), php-fpm(8), apache2ctl(8) "graceful-stop", haproxy's
 * management.txt 4 ("soft stop"), unicorn_rails(1) SIGNALS, lighttpd(8) ("SIGINT shuts down gracefully"), uwsgi's
 * signals: its TERM may mean reload, what stops it is QUIT or INT. To all but haproxy (whose TERM aborts too) the
 * signal means the same in the workers as in the master. */
static const struct {
    const char *name;        /* of the executable; a version may follow: php-fpm8.2 */
    const char *interpreter; /* NULL: it is an executable of its own */
    int graceful;
} known[] = {
    {"nginx", NULL, SIG_QUIT},           {"angie", NULL, SIG_QUIT},    {"php-fpm", NULL, SIG_QUIT},
    {"uwsgi", NULL, SIG_QUIT},           {"apache2", NULL, SIG_WINCH}, {"httpd", NULL, SIG_WINCH},
    {"haproxy", NULL, SIG_USR1},         {"lighttpd", NULL, SIG_INT},  {"unicorn", "ruby", SIG_QUIT},
    {"unicorn_rails", "ruby", SIG_QUIT},
};

/* Of an interpreter's arguments the first few are its own options, or those of what loads the program (bundle exec). */
enum { ARGUMENTS_MAX = 8 };

struct name {
    const char *at;
    size_t n;
};

static struct name base_name(const char *path, size_t n)
{
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    return (struct name){path + from, n - from};
}

static struct name without_deleted(struct name name)
{
    static const char deleted[] = " (deleted)";
    const size_t n = sizeof deleted - 1;
    if (name.n > n && memcmp(name.at + name.n - n, deleted, n) == 0)
        name.n -= n;
    return name;
}

/* Is this `want`, or `want` and a version? */
static bool is_called(struct name name, const char *want)
{
    size_t n = 0;
    while (want[n] && n < name.n && want[n] == name.at[n])
        n++;
    if (want[n])
        return false;
    while (n < name.n && ((name.at[n] >= '0' && name.at[n] <= '9') || name.at[n] == '.'))
        n++;
    return n == name.n;
}

static bool is_among(const char *args, size_t len, const char *want)
{
    size_t at = 0;
    for (unsigned i = 0; i < ARGUMENTS_MAX && at < len; i++) {
        size_t n = 0;
        while (at + n < len && args[at + n])
            n++;
        if (is_called(base_name(args + at, n), want))
            return true;
        at += n + 1;
    }
    return false;
}

int known_program_signal(const char *exe, size_t n, const char *args, size_t args_len)
{
    struct name name = without_deleted(base_name(exe, n));
    for (unsigned i = 0; i < COUNT(known); i++)
        if (known[i].interpreter ? is_called(name, known[i].interpreter) && is_among(args, args_len, known[i].name)
                                 : is_called(name, known[i].name))
            return known[i].graceful;
    return 0;
}

bool known_program_waits(const char *exe, size_t n, int graceful)
{
    return graceful != 0 && !is_called(without_deleted(base_name(exe, n)), "uwsgi"); /* "brutally", says its manual */
}

uint64_t known_program_signals(int graceful, bool has_terminal)
{
    uint64_t signals = UINT64_C(1) << SIG_TERM;
    if (graceful != 0)
        signals |= UINT64_C(1) << graceful;
    /* With a terminal INT is the ^C of somebody who does not want to wait; without one it comes from a supervisor
     * (Nomad, Fly). */
    if (!has_terminal)
        signals |= UINT64_C(1) << SIG_INT;
    return signals;
}
