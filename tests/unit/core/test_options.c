/* test_options.c: each variable, each default, each way to be unreadable; and garbage. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "core/options.h"
#include "repeats.h"

static struct options o;
static struct options_error errors[OPTIONS_ERRORS_MAX];

/* Reads an environment of one string. */
static unsigned read_one(const char *entry)
{
    const char *envp[] = {"PATH=/bin", entry, NULL};
    return options_read(&o, envp, errors, OPTIONS_ERRORS_MAX);
}

static bool is_default(void)
{
    struct options fresh;
    options_default(&fresh);
    return memcmp(&fresh, &o, sizeof o) == 0; /* NOLINT: options_default clears the padding too */
}

static void defaults(void **state UNUSED)
{
    options_default(&o);
    assert_false(o.disable);
    assert_true(o.signals_auto && o.signals == UINT64_C(1) << SIGTERM);
    assert_int_equal(o.forward, 0);
    assert_true(o.timeout == 25 * NSEC_PER_SEC);
    assert_true(o.delay == 0 && o.delay_quiet == 0);
    assert_true(o.shutdown_time == 5 * NSEC_PER_SEC && !o.deliver_first);
    assert_true(o.idle == NSEC_PER_SEC);
    assert_true(o.linger == 2 * NSEC_PER_SEC);
    assert_int_equal(o.listen_count, 0);
    assert_true(o.close_notice);
    assert_int_equal(o.log, LOG_INFO);
    assert_int_equal(o.log_format, LOG_TEXT);
    assert_null(o.log_file);
    assert_null(o.report);
}

/* What help texts show as the default can be written down as a value. */
static void fallbacks_are_readable(void **state UNUSED)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        char entry[128];
        snprintf(entry, sizeof entry, "%s=%s", option_rows[i].name, option_rows[i].fallback);
        assert_int_equal(read_one(entry), 0);
        assert_true(is_default());
    }
}

static void empty_is_unset(void **state UNUSED)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        char entry[128];
        snprintf(entry, sizeof entry, "%s=", option_rows[i].name);
        assert_int_equal(read_one(entry), 0);
        assert_true(is_default());
    }
    assert_int_equal(options_read(&o, NULL, errors, OPTIONS_ERRORS_MAX), 0);
    assert_true(is_default());
}

static const struct {
    const char *text;
    bool fine;
    nsec_t ns;
} durations[] = {
    {"0", true, 0},
    {"0s", true, 0},
    {"25", true, 25 * NSEC_PER_SEC},
    {"25s", true, 25 * NSEC_PER_SEC},
    {"1.5", true, 1500 * NSEC_PER_MSEC},
    {"500ms", true, 500 * NSEC_PER_MSEC},
    {"250us", true, 250 * NSEC_PER_USEC},
    {"1.5us", true, 1500},
    {"2m", true, 120 * NSEC_PER_SEC},
    {"1h", true, 3600 * NSEC_PER_SEC},
    {"0.5h", true, 1800 * NSEC_PER_SEC},
    {"0.0000000019", true, 1},
    {"0.1234567890123456789012345678901234567890s", true, 123456789},
    {"007", true, 7 * NSEC_PER_SEC},
    {"9223372036", true, 9223372036 * NSEC_PER_SEC},
    {"9223372037", false, 0},
    {"9223372036.9", false, 0},
    {"2562047h", true, NSEC_PER_SEC * 3600 * 2562047},
    {"2562048h", false, 0},
    {"18446744073709551616us", false, 0},
    {"99999999999999999999999999999999999999999", false, 0},
    {"", false, 0},
    {"s", false, 0},
    {".5", false, 0},
    {"5.", false, 0},
    {"5.s", false, 0},
    {"1.2.3", false, 0},
    {"-1", false, 0},
    {"+1", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"1 s", false, 0},
    {"1S", false, 0},
    {"1d", false, 0},
    {"1sec", false, 0},
    {"1m30s", false, 0},
    {"0x10", false, 0},
    {"1e3", false, 0},
    {"inf", false, 0},
    {"25s\n", false, 0},
};

static void reads_durations(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(durations); i++) {
        nsec_t ns = 4711;
        assert_int_equal(options_duration(durations[i].text, &ns), durations[i].fine);
        assert_true(ns == (durations[i].fine ? durations[i].ns : 4711));
    }
}

#define BIT(signo) (UINT64_C(1) << (signo))

static const struct {
    const char *text;
    uint64_t set; /* 0 = unreadable */
} signal_lists[] = {
    {"TERM", BIT(SIGTERM)},
    {"SIGTERM", BIT(SIGTERM)},
    {"term", BIT(SIGTERM)},
    {"15", BIT(SIGTERM)},
    {"TERM,INT,SIGQUIT,1", BIT(SIGTERM) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGHUP)},
    {"TERM,TERM", BIT(SIGTERM)},
    {"auto", BIT(SIGTERM)},
    {"AUTO", BIT(SIGTERM)},
    {"auto,INT", 0},
    {"TERM,auto", 0},
    {"HUP,INT,QUIT,USR1,USR2,TERM,WINCH,PWR", BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGUSR1) | BIT(SIGUSR2) |
                                                  BIT(SIGTERM) | BIT(SIGWINCH) | BIT(SIGPWR)},
    {"HUP,INT,QUIT,USR1,USR2,TERM,WINCH,PWR,IO", 0}, /* one more than OPTIONS_SIGNALS_MAX */
    {"KILL", 0},
    {"9", 0},
    {"STOP", 0},
    {"SEGV", 0},
    {"SIGSEGV", 0},
    {"11", 0},
    {"!SEGV", 0},
    {"ILL", 0},
    {"TRAP", 0},
    {"ABRT", 0},
    {"BUS", 0},
    {"FPE", 0},
    {"SYS", 0},
    {"31", 0},
    {"0", 0},
    {"32", 0},
    {"-15", 0},
    {"4294967311", 0}, /* 2^32 + 15 */
    {"SIG", 0},
    {"SIG15", 0},
    {"SIGSIGTERM", 0},
    {"TERMINATE", 0},
    {"TER", 0},
    {"TERM,", 0},
    {",TERM", 0},
    {"TERM,,INT", 0},
    {"TERM INT", 0},
    {"TERM, INT", 0},
    {",", 0},
};

static void reads_signals(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(signal_lists); i++) {
        char entry[128];
        snprintf(entry, sizeof entry, "LASTCALL_SIGNALS=%s", signal_lists[i].text);
        bool fine = signal_lists[i].set != 0;
        assert_int_equal(read_one(entry), fine ? 0 : 1);
        assert_true(o.signals == (fine ? signal_lists[i].set : BIT(SIGTERM)));
        assert_int_equal(o.signals_auto, !fine || strcasecmp(signal_lists[i].text, "auto") == 0);
    }
}

/* The table of names against this system's own. */
static void names_signals(void **state UNUSED)
{
    for (int signo = 1; signo < 32; signo++) {
        const char *want = sigabbrev_np(signo);
        assert_string_equal(options_signal_name(signo), strcmp(want, "POLL") == 0 ? "IO" : want);
    }
    assert_null(options_signal_name(0));
    assert_null(options_signal_name(-1));
    assert_null(options_signal_name(32));
    assert_null(options_signal_name(64));
}

static void reads_forward(void **state UNUSED)
{
    assert_int_equal(read_one("LASTCALL_FORWARD=QUIT"), 0);
    assert_int_equal(o.forward, SIGQUIT);
    assert_int_equal(read_one("LASTCALL_FORWARD=2"), 0);
    assert_int_equal(o.forward, SIGINT);
    assert_int_equal(read_one("LASTCALL_FORWARD=QUIT,INT"), 1);
    assert_int_equal(read_one("LASTCALL_FORWARD=KILL"), 1);
    assert_true(is_default());
}

#define PATH_107                                                   \
    "/123456789b123456789c123456789d123456789e123456789f123456789" \
    "g123456789h123456789i123456789j123456789k123456"

static const struct {
    const char *text;
    struct listen_filter want; /* port filled in below */
    uint16_t port;             /* 0 with no path: unreadable */
} listeners[] = {
    {"8080", {.family = 0}, 8080},
    {":8080", {.family = 0}, 8080},
    {"*:80", {.family = 0}, 80},
    {"65535", {.family = 0}, 65535},
    {"127.0.0.1:9000", {.family = 4, .addr = {127, 0, 0, 1}}, 9000},
    {"0.0.0.0:80", {.family = 4}, 80},
    {"255.255.255.255:1", {.family = 4, .addr = {255, 255, 255, 255}}, 1},
    {"[::1]:9000", {.family = 6, .addr = {[15] = 1}}, 9000},
    {"[::]:80", {.family = 6}, 80},
    {"[fe80::1:2]:80", {.family = 6, .addr = {0xfe, 0x80, [13] = 1, [15] = 2}}, 80},
    {"[1:2:3:4:5:6:7:8]:80", {.family = 6, .addr = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}}, 80},
    {"[1:2:3:4:5:6:7::]:80", {.family = 6, .addr = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7}}, 80},
    {"[::2:3:4:5:6:7:8]:80", {.family = 6, .addr = {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}}, 80},
    {"[ABcd::]:80", {.family = 6, .addr = {0xab, 0xcd}}, 80},
    {"[::ffff:1.2.3.4]:80", {.family = 4, .addr = {1, 2, 3, 4}}, 80},
    {"[::FFFF:0102:0304]:80", {.family = 4, .addr = {1, 2, 3, 4}}, 80},
    {"[1:2:3:4:5:6:1.2.3.4]:80", {.family = 6, .addr = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4}}, 80},
    {"unix:/run/app.sock", {.family = 1, .path = "/run/app.sock"}, 0},
    {"unix:@abstract", {.family = 1, .path = "@abstract"}, 0},
    {"unix:rel:ative", {.family = 1, .path = "rel:ative"}, 0},
    {"unix:" PATH_107, {.family = 1, .path = PATH_107}, 0},
    {"unix:" PATH_107 "x", {.family = 1}, 0},
    {"unix:", {.family = 1}, 0},
    {"unix:@", {.family = 1}, 0},
    {"unix", {0}, 0},
    {"0", {0}, 0},
    {":0", {0}, 0},
    {"65536", {0}, 0},
    {"99999999999999999999", {0}, 0},
    {":", {0}, 0},
    {"*", {0}, 0},
    {"-1", {0}, 0},
    {"80 ", {0}, 0},
    {"http", {0}, 0},
    {"localhost:80", {0}, 0},
    {"127.0.0.1", {0}, 0},
    {"127.0.0.1:", {0}, 0},
    {"127.0.1:80", {0}, 0},
    {"127.0.0.1.1:80", {0}, 0},
    {"127.0.0.256:80", {0}, 0},
    {"127.0.0.010:80", {0}, 0},
    {"127..0.1:80", {0}, 0},
    {"1.2.3.4:5:6", {0}, 0},
    {"[]:80", {0}, 0},
    {"[:]:80", {0}, 0},
    {"[:::]:80", {0}, 0},
    {"[1]:80", {0}, 0},
    {"[1::2::3]:80", {0}, 0},
    {"[12345::]:80", {0}, 0},
    {"[g::]:80", {0}, 0},
    {"[:1::]:80", {0}, 0},
    {"[::1:]:80", {0}, 0},
    {"[1:2:3:4:5:6:7]:80", {0}, 0},
    {"[1:2:3:4:5:6:7:8:9]:80", {0}, 0},
    {"[1:2:3:4:5:6:7:8::]:80", {0}, 0},
    {"[1:2:3:4::5:6:7:8]:80", {0}, 0},
    {"[1:2:3:4:5:6:7:1.2.3.4]:80", {0}, 0},
    {"[1.2.3.4::]:80", {0}, 0},
    {"[::1.2.3.4:5]:80", {0}, 0},
    {"[fe80::1%eth0]:80", {0}, 0},
    {"[::1]", {0}, 0},
    {"::1:80", {0}, 0},
    {"[::1:80", {0}, 0},
};

static void reads_listeners(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(listeners); i++) {
        char entry[256];
        snprintf(entry, sizeof entry, "LASTCALL_LISTEN=%s", listeners[i].text);
        bool fine = listeners[i].port || listeners[i].want.path[0];
        assert_int_equal(read_one(entry), fine ? 0 : 1);
        assert_int_equal(o.listen_count, fine);
        struct listen_filter want = listeners[i].want;
        want.port = listeners[i].port;
        if (fine)
            assert_memory_equal(&o.listen[0], &want, sizeof want);
    }
}

static void reads_many_listeners(void **state UNUSED)
{
    char entry[256] = "LASTCALL_LISTEN=1";
    for (int i = 2; i <= OPTIONS_LISTEN_MAX; i++)
        snprintf(entry + strlen(entry), 16, ",%d", i);
    assert_int_equal(read_one(entry), 0);
    assert_int_equal(o.listen_count, OPTIONS_LISTEN_MAX);
    for (unsigned i = 0; i < OPTIONS_LISTEN_MAX; i++)
        assert_int_equal(o.listen[i].port, i + 1);
    snprintf(entry + strlen(entry), 16, ",99");
    assert_int_equal(read_one(entry), 1);
    assert_true(is_default());
    assert_int_equal(read_one("LASTCALL_LISTEN=80,"), 1);
    assert_int_equal(read_one("LASTCALL_LISTEN=80,bad"), 1);
    assert_true(is_default());
}

static const uint8_t v4_local[4] = {127, 0, 0, 1}, v4_other[4] = {10, 0, 0, 1};
static const uint8_t v6_local[16] = {[15] = 1};
static const uint8_t v6_mapped[16] = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1};

static const struct {
    const char *filter;
    uint8_t family;
    uint16_t port;
    const uint8_t *addr;
    const char *path;
    size_t path_len;
    bool passes;
} filters[] = {
    {"", 4, 1, v4_other, NULL, 0, true},
    {"", 6, 1, v6_local, NULL, 0, true},
    {"", 1, 0, NULL, "/x", 3, true},
    {"", 1, 0, NULL, NULL, 0, true},
    {"auto", 4, 1, v4_other, NULL, 0, true},
    {"auto", 1, 0, NULL, "/x", 3, true},
    {"80", 4, 80, v4_other, NULL, 0, true},
    {"80", 6, 80, v6_local, NULL, 0, true},
    {"80", 6, 80, v6_mapped, NULL, 0, true},
    {"80", 4, 81, v4_other, NULL, 0, false},
    {"80", 1, 80, NULL, "/x", 3, false},
    {"127.0.0.1:80", 4, 80, v4_local, NULL, 0, true},
    {"127.0.0.1:80", 4, 80, v4_other, NULL, 0, false},
    {"127.0.0.1:80", 6, 80, v6_mapped, NULL, 0, true},
    {"127.0.0.1:80", 6, 80, v6_local, NULL, 0, false},
    {"[::1]:80", 6, 80, v6_local, NULL, 0, true},
    {"[::1]:80", 4, 80, v4_local, NULL, 0, false},
    {"[::1]:80", 6, 80, v6_mapped, NULL, 0, false},
    {"81,[::1]:82,80", 4, 80, v4_local, NULL, 0, true},
    {"unix:/x", 1, 0, NULL, "/x", 2, true},
    {"unix:/x", 1, 0, NULL, "/x", 3, true},       /* getsockname counts the NUL */
    {"unix:/x", 1, 0, NULL, "/x\0junk", 7, true}, /* a name ends at its NUL */
    {"unix:/x", 1, 0, NULL, "/xy", 3, false},
    {"unix:/xy", 1, 0, NULL, "/x", 2, false},
    {"unix:/x", 1, 0, NULL, NULL, 0, false},
    {"unix:/x", 1, 0, NULL, "\0/x", 3, false},
    {"unix:@x", 1, 0, NULL, "\0x", 2, true},
    {"unix:@x", 1, 0, NULL, "\0x\0", 3, false}, /* an abstract name does not */
    {"unix:@x", 1, 0, NULL, "@x", 2, false},
    {"unix:/x", 4, 80, v4_local, NULL, 0, false},
};

static void filters_listeners(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(filters); i++) {
        char entry[128];
        snprintf(entry, sizeof entry, "LASTCALL_LISTEN=%s", filters[i].filter);
        assert_int_equal(read_one(entry), 0);
        assert_int_equal(options_listens(&o, filters[i].family, filters[i].port, filters[i].addr, filters[i].path,
                                         filters[i].path_len),
                         filters[i].passes);
    }
}

static const char *const unreadable[] = {
    "LASTCALL_DISABLE=yes",        "LASTCALL_DISABLE=2",         "LASTCALL_DISABLE=11",     "LASTCALL_DISABLE=true",
    "LASTCALL_CLOSE_NOTICE=off",   "LASTCALL_CLOSE_NOTICE=00",   "LASTCALL_TIMEOUT=soon",   "LASTCALL_TIMEOUT=-1",
    "LASTCALL_DELAY=1x",           "LASTCALL_DELAY_QUIET=no",    "LASTCALL_IDLE=1,5",       "LASTCALL_LINGER=2 s",
    "LASTCALL_LOG=verbose",        "LASTCALL_LOG=infos",         "LASTCALL_LOG=3",          "LASTCALL_LOG_FORMAT=xml",
    "LASTCALL_FORWARD=TERM,",      "LASTCALL_LISTEN=all",        "LASTCALL_LISTEN=auto,80", "LASTCALL_DELIVER=1",
    "LASTCALL_SHUTDOWN_TIME=long", "LASTCALL_SHUTDOWN_TIME=26s",
};

static void reports_unreadable_values(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT(unreadable); i++) {
        assert_int_equal(read_one(unreadable[i]), 1);
        const struct options_error *e = &errors[0];
        size_t name_len = strcspn(unreadable[i], "=");
        assert_false(e->unknown);
        assert_ptr_equal(e->name, unreadable[i]);
        assert_int_equal(e->name_len, name_len);
        assert_string_equal(e->value, unreadable[i] + name_len + 1);
        assert_true(e->used[0]);
        assert_true(is_default());
    }
    assert_int_equal(read_one("LASTCALL_TIMEOUT=soon"), 1);
    assert_string_equal(errors[0].used, "25s");
}

/* A fifth of the deadline, at most 5 s; whichever of the two variables comes first. */
static void shutdown_time_follows_the_deadline(void **state UNUSED)
{
    static const struct {
        const char *one, *two;
        nsec_t ms;
        unsigned errors;
    } rows[] = {
        {"LASTCALL_TIMEOUT=10s", "X=1", 2000, 0},
        {"LASTCALL_TIMEOUT=5m", "X=1", 5000, 0},
        {"LASTCALL_TIMEOUT=0", "X=1", 0, 0},
        {"LASTCALL_TIMEOUT=10s", "LASTCALL_SHUTDOWN_TIME=auto", 2000, 0},
        {"LASTCALL_SHUTDOWN_TIME=30s", "LASTCALL_TIMEOUT=1m", 30000, 0},
        {"LASTCALL_SHUTDOWN_TIME=10s", "LASTCALL_TIMEOUT=10s", 10000, 0},
        {"LASTCALL_SHUTDOWN_TIME=10s", "LASTCALL_TIMEOUT=0", 10000, 0},
        {"LASTCALL_SHUTDOWN_TIME=0", "LASTCALL_TIMEOUT=8s", 0, 0},
        {"LASTCALL_SHUTDOWN_TIME=9s", "LASTCALL_TIMEOUT=8s", 1600, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *envp[] = {rows[i].one, rows[i].two, NULL};
        assert_int_equal(options_read(&o, envp, errors, OPTIONS_ERRORS_MAX), rows[i].errors);
        assert_true(o.shutdown_time == rows[i].ms * NSEC_PER_MSEC);
    }
    assert_ptr_equal(errors[0].name, rows[COUNT(rows) - 1].one);
    assert_string_equal(errors[0].value, "9s");
}

static void reports_unknown_names(void **state UNUSED)
{
    static const char *const unknown[] = {"LASTCALL_TIMOUT=3s",      "LASTCALL_=x",           "LASTCALL_timeout=3s",
                                          "LASTCALL_LOGS=off",       "LASTCALL_INTERNAL_X=1", "LASTCALL_TUNNEL=wait",
                                          "LASTCALL_HEALTH=/healthz"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_int_equal(read_one(unknown[i]), 1);
        assert_true(errors[0].unknown);
        assert_string_equal(errors[0].used, "");
        assert_true(is_default());
    }
}

static void ignores_what_is_not_ours(void **state UNUSED)
{
    static const char *const foreign[] = {
        "LASTCALL=1", "LASTCALL", "LASTCALL_TIMEOUT", "XLASTCALL_LOG=x", "lastcall_log=x", "=LASTCALL_LOG=x",
        "",           "=",        "LASTCALL_X="};
    for (size_t i = 0; i < COUNT(foreign); i++) {
        assert_int_equal(read_one(foreign[i]), 0);
        assert_true(is_default());
    }
}

static void reads_a_whole_environment(void **state UNUSED)
{
    const char *envp[] = {
        "LASTCALL_DISABLE=1",       "LASTCALL_SIGNALS=TERM,INT",     "LASTCALL_FORWARD=QUIT",
        "LASTCALL_TIMEOUT=0",       "LASTCALL_SHUTDOWN_TIME=7s",     "LASTCALL_DELIVER=First",
        "LASTCALL_DELAY=5s",        "LASTCALL_DELAY_QUIET=500ms",    "LASTCALL_IDLE=3s",
        "LASTCALL_LINGER=1.5",      "LASTCALL_LISTEN=8080,unix:/x",  "LASTCALL_CLOSE_NOTICE=0",
        "LASTCALL_LOG=TRACE",       "LASTCALL_LOG_FORMAT=json",      "LASTCALL_LOG_FILE=/tmp/log",
        "LASTCALL_REPORT=/dev/tty", "LASTCALL_REPORT_CONNECTIONS=1", NULL,
    };
    assert_int_equal(options_read(&o, envp, errors, OPTIONS_ERRORS_MAX), 0);
    assert_true(o.disable && !o.close_notice && o.report_connections);
    assert_true(o.signals == (BIT(SIGTERM) | BIT(SIGINT)));
    assert_int_equal(o.forward, SIGQUIT);
    assert_true(o.timeout == 0 && o.delay == 5 * NSEC_PER_SEC && o.delay_quiet == 500 * NSEC_PER_MSEC);
    assert_true(o.shutdown_time == 7 * NSEC_PER_SEC && o.deliver_first);
    assert_true(o.idle == 3 * NSEC_PER_SEC && o.linger == 1500 * NSEC_PER_MSEC);
    assert_int_equal(o.listen_count, 2);
    assert_int_equal(o.log, LOG_TRACE);
    assert_int_equal(o.log_format, LOG_JSON);
    assert_string_equal(o.log_file, "/tmp/log");
    assert_string_equal(o.report, "/dev/tty");
}

static void bounds_paths(void **state UNUSED)
{
    static char entry[OPTIONS_PATH_MAX + 64] = "LASTCALL_REPORT=/";
    size_t start = strlen(entry);
    memset(entry + start, 'x', OPTIONS_PATH_MAX - 2); /* with the slash: one less than the limit */
    assert_int_equal(read_one(entry), 0);
    entry[start + OPTIONS_PATH_MAX - 2] = 'x';
    assert_int_equal(read_one(entry), 1);
    assert_true(is_default());
}

static void first_of_two_counts(void **state UNUSED)
{
    const char *envp[] = {"LASTCALL_IDLE=3s", "LASTCALL_IDLE=bad", "LASTCALL_IDLE=4s", NULL};
    assert_int_equal(options_read(&o, envp, errors, OPTIONS_ERRORS_MAX), 0);
    assert_true(o.idle == 3 * NSEC_PER_SEC);
    assert_int_equal(options_read(&o, envp + 1, errors, OPTIONS_ERRORS_MAX), 1);
    assert_true(is_default());
}

static void counts_more_errors_than_it_stores(void **state UNUSED)
{
    const char *envp[] = {"LASTCALL_A=1", "LASTCALL_B=1", "LASTCALL_IDLE=x", NULL};
    struct options_error *two = calloc(2, sizeof *two); /* ASan guards the third */
    assert_non_null(two);
    assert_int_equal(options_read(&o, envp, two, 2), 3);
    assert_int_equal(two[1].name_len, strlen("LASTCALL_B"));
    assert_int_equal(options_read(&o, envp, NULL, 0), 3);
    free(two);
}

static void disables(void **state UNUSED)
{
    static const struct {
        const char *entry;
        bool disabled;
    } cases[] = {
        {"LASTCALL_DISABLE=1", true}, {"LASTCALL_DISABLE=0", false},  {"LASTCALL_DISABLE=", false},
        {"LASTCALL_DISABLE", false},  {"LASTCALL_DISABLE=10", false}, {"LASTCALL_DISABLED=1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *envp[] = {"PATH=/bin", cases[i].entry, NULL};
        assert_int_equal(options_disabled(envp), cases[i].disabled);
        options_read(&o, envp, errors, OPTIONS_ERRORS_MAX);
        assert_int_equal(o.disable, cases[i].disabled);
    }
    assert_false(options_disabled(NULL));
}

static void table_is_sound(void **state UNUSED)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        assert_true(strncmp(option_rows[i].name, "LASTCALL_", 9) == 0);
        assert_true(option_rows[i].fallback[0] && option_rows[i].meaning[0]);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(option_rows[i].name, option_rows[j].name);
    }
}

/* ---- garbage -------------------------------------------------------------------------------------- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static unsigned rnd(unsigned below) /* xorshift64: the same garbage every time */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 32) % below;
}

static const char *const seeds[] = {
    "SIGNALS=TERM,INT,15",
    "FORWARD=QUIT",
    "TIMEOUT=9223372036.854775807s",
    "LISTEN=[1:2::ffff:1.2.3.4]:80,127.0.0.1:9000,unix:/run/x,*:80,:1",
    "DELAY_QUIET=0.25h",
    "LISTEN=unix:@abstract",
    "LOG=trace",
    "DISABLE=1",
    "LISTEN=[::ffff:255.255.255.255]:65535",
    "LOG_FORMAT=json",
    "REPORT=/dev/tty",
};

static void mutate(char *s, size_t size)
{
    static const char alphabet[] = ":,.[]@*%0123456789abcdefSIGTERMmsuh=/ \x80\xff\n";
    for (unsigned n = rnd(4); n > 0; n--) {
        size_t len = strlen(s), at = rnd((unsigned)len + 1);
        char c = alphabet[rnd(sizeof alphabet - 1)];
        switch (rnd(3)) {
        case 0: /* replace */
            if (at < len)
                s[at] = c;
            break;
        case 1: /* leave out */
            if (at < len)
                memmove(s + at, s + at + 1, len - at);
            break;
        case 2: /* put in */
            if (len + 2 < size) {
                memmove(s + at + 1, s + at, len - at + 1);
                s[at] = c;
            }
            break;
        }
    }
}

static void sound_after(const char *entry)
{
    char *copy = strdup(entry); /* of exactly its size, so that ASan sees one byte too many */
    assert_non_null(copy);
    unsigned count = read_one(copy);
    assert_true(count <= 1);
    assert_true(count == 0 || is_default());
    assert_true(o.signals && !(o.signals & (BIT(SIGKILL) | BIT(SIGSTOP) | BIT(SIGSEGV) | 1)));
    assert_true(o.listen_count <= OPTIONS_LISTEN_MAX);
    assert_true(o.timeout <= INT64_MAX && o.delay_quiet <= INT64_MAX);
    for (unsigned i = 0; i < o.listen_count; i++)
        assert_non_null(memchr(o.listen[i].path, '\0', sizeof o.listen[i].path));
    options_listens(&o, 4, 80, v4_local, NULL, 0);
    options_listens(&o, 6, 80, v6_mapped, NULL, 0);
    options_listens(&o, 1, 0, NULL, "\0abstract", 9);
    free(copy);
}

static void survives_garbage(void **state UNUSED)
{
    for (unsigned round = 0; round < repeats(200000); round++) {
        char entry[256];
        snprintf(entry, sizeof entry, "LASTCALL_%s", seeds[rnd(COUNT(seeds))]);
        mutate(entry, sizeof entry);
        sound_after(entry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(fallbacks_are_readable),
        cmocka_unit_test(empty_is_unset),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_signals),
        cmocka_unit_test(names_signals),
        cmocka_unit_test(reads_forward),
        cmocka_unit_test(reads_listeners),
        cmocka_unit_test(reads_many_listeners),
        cmocka_unit_test(filters_listeners),
        cmocka_unit_test(reports_unreadable_values),
        cmocka_unit_test(shutdown_time_follows_the_deadline),
        cmocka_unit_test(reports_unknown_names),
        cmocka_unit_test(ignores_what_is_not_ours),
        cmocka_unit_test(reads_a_whole_environment),
        cmocka_unit_test(bounds_paths),
        cmocka_unit_test(first_of_two_counts),
        cmocka_unit_test(counts_more_errors_than_it_stores),
        cmocka_unit_test(disables),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(survives_garbage),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
