/* options.c: the table of the LASTCALL_ variables, and the readers of their values.
 *
 * Readers are strict: a value is understood whole or refused whole. A half-understood drain is found
 * out in production, at the worst moment; an error is found at start. */
#include "core/options.h"

#define PREFIX "LASTCALL_"

/* No deadline may overflow when a time of CLOCK_MONOTONIC is added to it: 292 years. */
#define DURATION_MAX ((nsec_t)INT64_MAX)

struct slice {
    const char *at;
    size_t len;
};

/* ---- slices --------------------------------------------------------------------------------------- */

static struct slice slice_of(const char *s)
{
    struct slice all = {s, 0};
    while (s[all.len])
        all.len++;
    return all;
}

static struct slice slice_from(struct slice s, size_t skip)
{
    return (struct slice){s.at + skip, s.len - skip};
}

static bool slice_begins(struct slice s, const char *prefix)
{
    struct slice p = slice_of(prefix);
    return s.len >= p.len && memcmp(s.at, p.at, p.len) == 0;
}

static bool slice_same(struct slice a, struct slice b)
{
    return a.len == b.len && (!a.len || memcmp(a.at, b.at, a.len) == 0);
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* As people write words: TERM and term, info and INFO. */
static bool slice_is_word(struct slice s, const char *word)
{
    struct slice w = slice_of(word);
    if (s.len != w.len)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (upper(s.at[i]) != upper(w.at[i]))
            return false;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The index of the first c in s, or s.len. */
static size_t slice_find(struct slice s, char c)
{
    size_t i = 0;
    while (i < s.len && s.at[i] != c)
        i++;
    return i;
}

/* Takes the element up to the next comma off *rest. False when there is none left. An empty element
 * (",,", a comma at the end) is an element: its reader refuses it. */
static bool next_element(struct slice *rest, struct slice *element)
{
    if (!rest->at)
        return false;
    size_t end = slice_find(*rest, ',');
    *element = (struct slice){rest->at, end};
    *rest = end < rest->len ? slice_from(*rest, end + 1) : (struct slice){NULL, 0};
    return true;
}

/* Decimal digits and nothing else, at most `max`. */
static bool read_number(struct slice s, unsigned max, unsigned *out)
{
    unsigned value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.at[i]))
            return false;
        value = value * 10 + (unsigned)(s.at[i] - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return s.len > 0;
}

/* ---- durations ------------------------------------------------------------------------------------ */

static const struct unit {
    const char *name;
    nsec_t ns;
} units[] = {
    {"", NSEC_PER_SEC},  {"us", NSEC_PER_USEC},    {"ms", NSEC_PER_MSEC},
    {"s", NSEC_PER_SEC}, {"m", 60 * NSEC_PER_SEC}, {"h", 3600 * NSEC_PER_SEC},
};

static nsec_t unit_of(struct slice name)
{
    for (unsigned i = 0; i < COUNT(units); i++)
        if (slice_same(name, slice_of(units[i].name)))
            return units[i].ns;
    return 0;
}

static size_t digits_at(struct slice s)
{
    size_t n = 0;
    while (n < s.len && is_digit(s.at[n]))
        n++;
    return n;
}

/* False: more than DURATION_MAX. */
static bool read_whole(struct slice digits, nsec_t unit, nsec_t *total)
{
    nsec_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        value = value * 10 + (nsec_t)(digits.at[i] - '0');
        if (value > DURATION_MAX / unit)
            return false;
    }
    *total = value * unit;
    return true;
}

/* The digits behind the point. Those beyond the nanosecond are worth nothing. */
static nsec_t fraction_of(struct slice digits, nsec_t unit)
{
    nsec_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unit /= 10;
        value += (nsec_t)(digits.at[i] - '0') * unit;
    }
    return value;
}

bool options_duration(const char *text, nsec_t *out)
{
    struct slice rest = slice_of(text);
    struct slice whole = {rest.at, digits_at(rest)}, fraction = {NULL, 0};
    rest = slice_from(rest, whole.len);
    if (rest.len && rest.at[0] == '.') {
        rest = slice_from(rest, 1);
        fraction = (struct slice){rest.at, digits_at(rest)};
        rest = slice_from(rest, fraction.len);
        if (!fraction.len)
            return false;
    }
    nsec_t unit = unit_of(rest), total = 0;
    if (!whole.len || !unit || !read_whole(whole, unit, &total))
        return false;
    total += fraction_of(fraction, unit);
    if (total > DURATION_MAX)
        return false;
    *out = total;
    return true;
}

/* ---- signals -------------------------------------------------------------------------------------- */

/* Linux's numbers on x86, arm and riscv (signal(7)); "!" marks those that cannot begin a drain: KILL
 * and STOP cannot be held, and returning from the others repeats the fault. */
static const char signal_names[][8] = {
    "",      "HUP",  "INT",  "QUIT", "!ILL",   "!TRAP",  "!ABRT", "!BUS", "!FPE",  "!KILL", "USR1",
    "!SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "!STOP", "TSTP",  "TTIN",
    "TTOU",  "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",   "!SYS",
};

const char *options_signal_name(int signo)
{
    if (signo < 1 || signo >= (int)COUNT(signal_names))
        return NULL;
    const char *name = signal_names[signo];
    return *name == '!' ? name + 1 : name;
}

/* TERM, SIGTERM or 15; 0 if unreadable or no signal to begin a drain with. */
static int signal_of(struct slice s)
{
    unsigned signo = 0;
    if (!read_number(s, COUNT(signal_names) - 1, &signo)) {
        if (s.len > 3 && slice_is_word((struct slice){s.at, 3}, "SIG"))
            s = slice_from(s, 3);
        for (signo = COUNT(signal_names) - 1; signo > 0; signo--)
            if (slice_is_word(s, signal_names[signo]))
                break;
    }
    return signal_names[signo][0] == '!' ? 0 : (int)signo;
}

static bool read_list(uint64_t *signals, struct slice rest)
{
    struct slice element;
    *signals = 0;
    for (unsigned count = 0; next_element(&rest, &element); count++) {
        int signo = signal_of(element);
        if (!signo || count == OPTIONS_SIGNALS_MAX)
            return false;
        *signals |= UINT64_C(1) << signo;
    }
    return true;
}

static bool read_signals(struct options *o, size_t field UNUSED, const char *text)
{
    o->signals_auto = slice_is_word(slice_of(text), "auto");
    return read_list(&o->signals, slice_of(o->signals_auto ? "TERM" : text));
}

static bool read_forward(struct options *o, size_t field UNUSED, const char *text)
{
    o->forward = signal_of(slice_of(text));
    return o->forward;
}

/* ---- listeners ------------------------------------------------------------------------------------ */

static bool read_ipv4(struct slice s, uint8_t addr[4])
{
    for (unsigned i = 0; i < 4; i++) {
        size_t end = i < 3 ? slice_find(s, '.') : s.len;
        unsigned octet;
        /* 010 is 8 to inet_aton and 10 to a reader: refused. */
        if (end > 3 || (end > 1 && s.at[0] == '0') || !read_number((struct slice){s.at, end}, 255, &octet))
            return false;
        addr[i] = (uint8_t)octet;
        if (i < 3 && end == s.len)
            return false;
        s = slice_from(s, i < 3 ? end + 1 : end);
    }
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = upper(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One group of up to four hex digits. */
static bool read_group(struct slice s, uint8_t out[2])
{
    unsigned value = 0;
    if (s.len < 1 || s.len > 4)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int digit = hex_value(s.at[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return true;
}

/* Groups between single colons, the last of which may be a dotted IPv4 address. Returns their bytes, or
 * -1. No groups at all are fine: one side of "::". */
static int read_groups(struct slice s, uint8_t out[16])
{
    int n = 0;
    while (s.len) {
        size_t end = slice_find(s, ':');
        if (end == s.len && slice_find(s, '.') < s.len)
            return n <= 12 && read_ipv4(s, out + n) ? n + 4 : -1;
        if (n > 14 || !read_group((struct slice){s.at, end}, out + n))
            return -1;
        n += 2;
        if (end + 1 == s.len) /* a colon with nothing behind it */
            return -1;
        s = slice_from(s, end < s.len ? end + 1 : end);
    }
    return n;
}

static size_t find_gap(struct slice s)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.at[i] == ':' && s.at[i + 1] == ':')
            return i;
    return s.len;
}

/* RFC 4291 2.2, without zones. */
static bool read_ipv6(struct slice s, uint8_t addr[16])
{
    uint8_t tail[16];
    memset(addr, 0, 16);
    size_t gap = find_gap(s);
    int head_len = read_groups((struct slice){s.at, gap}, addr);
    if (gap == s.len)
        return head_len == 16;
    int tail_len = read_groups(slice_from(s, gap + 2), tail);
    /* An IPv4 form ends the address, so it cannot stand before the gap. */
    if (head_len < 0 || tail_len < 0 || head_len + tail_len > 14 || slice_find((struct slice){s.at, gap}, '.') < gap)
        return false;
    memcpy(addr + 16 - tail_len, tail, (size_t)tail_len);
    return true;
}

/* ::ffff:1.2.3.4 is the same listener as 1.2.3.4. */
static bool is_mapped(const uint8_t addr[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(addr, prefix, sizeof prefix) == 0;
}

static bool read_unix(struct slice path, struct listen_filter *f)
{
    /* One byte less than sun_path, for the NUL; "@" alone would be autobind's nameless name. */
    if (path.len < 1 || path.len >= sizeof f->path || (path.len == 1 && path.at[0] == '@'))
        return false;
    f->family = 1;
    memcpy(f->path, path.at, path.len);
    return true;
}

static bool read_bracketed(struct slice s, struct listen_filter *f)
{
    f->family = 6;
    if (!read_ipv6(s, f->addr))
        return false;
    if (is_mapped(f->addr)) {
        f->family = 4;
        memmove(f->addr, f->addr + 12, 4);
        memset(f->addr + 4, 0, 12);
    }
    return true;
}

static bool read_host(struct slice host, struct listen_filter *f)
{
    if (!host.len || slice_is_word(host, "*"))
        return true;
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return read_bracketed((struct slice){host.at + 1, host.len - 2}, f);
    f->family = 4;
    return read_ipv4(host, f->addr);
}

static bool read_listener(struct slice s, struct listen_filter *f)
{
    memset(f, 0, sizeof *f);
    if (slice_begins(s, "unix:"))
        return read_unix(slice_from(s, 5), f);
    size_t colon = s.len;
    while (colon > 0 && s.at[colon - 1] != ':')
        colon--;
    struct slice host = {s.at, colon ? colon - 1 : 0};
    unsigned port;
    if (!read_number(slice_from(s, colon), UINT16_MAX, &port) || !port)
        return false;
    f->port = (uint16_t)port;
    return read_host(host, f);
}

static bool read_listen(struct options *o, size_t field UNUSED, const char *text)
{
    struct slice rest = slice_of(text), element;
    o->listen_count = 0;
    if (slice_is_word(rest, "auto"))
        return true;
    while (next_element(&rest, &element)) {
        if (o->listen_count == OPTIONS_LISTEN_MAX || !read_listener(element, &o->listen[o->listen_count]))
            return false;
        o->listen_count++;
    }
    return true;
}

static bool unix_matches(const struct listen_filter *f, const char *path, size_t path_len)
{
    struct slice want = slice_of(f->path), have = {path, path_len};
    if (!path_len)
        return false;
    if (!path[0]) /* abstract: every byte counts, NULs too (unix(7)) */
        return want.at[0] == '@' && slice_same(slice_from(want, 1), slice_from(have, 1));
    have.len = slice_find(have, '\0');
    return want.at[0] != '@' && slice_same(want, have);
}

static bool tcp_matches(const struct listen_filter *f, uint8_t family, uint16_t port, const uint8_t *addr)
{
    if (f->port != port)
        return false;
    return !f->family || (f->family == family && memcmp(f->addr, addr, family == 4 ? 4 : 16) == 0);
}

bool options_listens(const struct options *o, uint8_t family, uint16_t port, const uint8_t *addr, const char *path,
                     size_t path_len)
{
    if (!o->listen_count)
        return true;
    if (family == 6 && is_mapped(addr)) {
        family = 4;
        addr += 12;
    }
    for (unsigned i = 0; i < o->listen_count; i++) {
        const struct listen_filter *f = &o->listen[i];
        if ((f->family == 1) != (family == 1))
            continue;
        if (family == 1 ? unix_matches(f, path, path_len) : tcp_matches(f, family, port, addr))
            return true;
    }
    return false;
}

/* ---- plain values --------------------------------------------------------------------------------- */

static void *field_at(struct options *o, size_t field)
{
    return (char *)o + field;
}

static bool read_switch(struct options *o, size_t field, const char *text)
{
    bool on = text[0] == '1';
    if ((text[0] != '0' && !on) || text[1])
        return false;
    *(bool *)field_at(o, field) = on;
    return true;
}

static bool read_duration(struct options *o, size_t field, const char *text)
{
    return options_duration(text, field_at(o, field));
}

/* The index of the word that text is, or -1. */
static int pick(const char *text, const char *const *words, int count)
{
    while (--count >= 0 && !slice_is_word(slice_of(text), words[count]))
        continue;
    return count;
}

static bool read_log(struct options *o, size_t field UNUSED, const char *text)
{
    static const char *const words[] = {
        [LOG_OFF] = "off",   [LOG_ERROR] = "error", [LOG_WARN] = "warn",
        [LOG_INFO] = "info", [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
    };
    int word = pick(text, words, COUNT(words));
    o->log = word < 0 ? LOG_INFO : (enum log_level)word;
    return word >= 0;
}

static bool read_log_format(struct options *o, size_t field UNUSED, const char *text)
{
    static const char *const words[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json"};
    int word = pick(text, words, COUNT(words));
    o->log_format = word < 0 ? LOG_TEXT : (enum log_format)word;
    return word >= 0;
}

static bool read_deliver(struct options *o, size_t field UNUSED, const char *text)
{
    static const char *const words[] = {"last", "first"};
    int word = pick(text, words, COUNT(words));
    o->deliver_first = word > 0;
    return word >= 0;
}

/* ---- the shutdown time, whose default follows from the deadline ---- */

#define SHUTDOWN_TIME_AUTO UINT64_MAX

static bool read_shutdown_time(struct options *o, size_t field UNUSED, const char *text)
{
    o->shutdown_time = SHUTDOWN_TIME_AUTO;
    return slice_is_word(slice_of(text), "auto") || options_duration(text, &o->shutdown_time);
}

/* False: the program would get its signal before the drain begins. */
static bool settle_shutdown_time(struct options *o)
{
    bool fits = o->shutdown_time == SHUTDOWN_TIME_AUTO || o->timeout == 0 || o->shutdown_time <= o->timeout;
    if (o->shutdown_time == SHUTDOWN_TIME_AUTO || !fits)
        o->shutdown_time = o->timeout / 5 < 5 * NSEC_PER_SEC ? o->timeout / 5 : 5 * NSEC_PER_SEC;
    return fits;
}

/* ---- paths ---- */

static bool read_path(struct options *o, size_t field, const char *text)
{
    *(const char **)field_at(o, field) = text;
    return slice_of(text).len < OPTIONS_PATH_MAX;
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define FIELD(name) offsetof(struct options, name)

// clang-format off
const struct option_row option_rows[] = {
    {"LASTCALL_DISABLE", "0", "1: pass everything through",
     read_switch, FIELD(disable)},
    {"LASTCALL_SIGNALS", "auto", "comma list of signals that begin a drain; auto: TERM, and what the program is known to stop by",
     read_signals, 0},
    {"LASTCALL_FORWARD", "same", "signal delivered instead, e.g. QUIT",
     read_forward, 0},
    {"LASTCALL_TIMEOUT", "25s", "deadline, from the signal; 0 = none",
     read_duration, FIELD(timeout)},
    {"LASTCALL_SHUTDOWN_TIME", "auto",
     "how long before the deadline a program with a handler of its own gets its signal; auto: a fifth of it, at most 5s",
     read_shutdown_time, 0},
    {"LASTCALL_DELIVER", "last", "first: such a program gets its signal at once, and lastcall only guards its shutdown",
     read_deliver, 0},
    {"LASTCALL_DELAY", "0", "longest lame-duck time: still accepting, already sending close notices",
     read_duration, FIELD(delay)},
    {"LASTCALL_DELAY_QUIET", "off", "end the lame duck early after this long without a new connection",
     read_duration, FIELD(delay_quiet)},
    {"LASTCALL_IDLE", "1s", "how long an idle connection may speak, and an opaque one must be quiet",
     read_duration, FIELD(idle)},
    {"LASTCALL_LINGER", "2s", "longest lingering close, from output acknowledged",
     read_duration, FIELD(linger)},
    {"LASTCALL_LISTEN", "auto", "only these listeners: 8080,127.0.0.1:9000,unix:/run/app.sock; auto: all that speak HTTP",
     read_listen, 0},
    {"LASTCALL_CLOSE_NOTICE", "1", "send close notices (Connection: close); 0: never change a byte",
     read_switch, FIELD(close_notice)},
    {"LASTCALL_LOG", "info", "off error warn info debug trace",
     read_log, 0},
    {"LASTCALL_LOG_FORMAT", "text", "text (logfmt) or json",
     read_log_format, 0},
    {"LASTCALL_LOG_FILE", "stderr", "path of the log",
     read_path, FIELD(log_file)},
    {"LASTCALL_REPORT", "off", "append the report to this file, as JSON lines: at the signal, and at the end",
     read_path, FIELD(report)},
    {"LASTCALL_REPORT_CONNECTIONS", "0", "1: the report also tells of each connection (lastcall timeline)",
     read_switch, FIELD(report_connections)},
};
// clang-format on
const unsigned option_rows_count = COUNT(option_rows);

/* ---- the whole environment ------------------------------------------------------------------------ */

/* Fallbacks that are words for "nothing" and no value; struct options holds 0 for each of them. */
static bool means_nothing(const char *fallback)
{
    static const char *const words[] = {"off", "same", "stderr"};
    return pick(fallback, words, COUNT(words)) >= 0;
}

void options_default(struct options *o)
{
    memset(o, 0, sizeof *o);
    for (unsigned i = 0; i < option_rows_count; i++)
        if (!means_nothing(option_rows[i].fallback))
            (void)option_rows[i].read(o, option_rows[i].field, option_rows[i].fallback);
    settle_shutdown_time(o);
}

/* The row of this name, or option_rows_count. */
static unsigned find_row(struct slice name)
{
    unsigned i = 0;
    while (i < option_rows_count && !slice_same(name, slice_of(option_rows[i].name)))
        i++;
    return i;
}

bool options_disabled(const char *const *envp)
{
    static const char name[] = PREFIX "DISABLE=";
    for (; envp && *envp; envp++)
        if (slice_begins(slice_of(*envp), name))
            return slice_same(slice_of(*envp + sizeof name - 1), slice_of("1"));
    return false;
}

/* All or nothing: a reader that refuses may have written half of its value. */
static bool read_row(struct options *o, const struct option_row *row, const char *value)
{
    if (slice_same(slice_of(value), slice_of(row->fallback)))
        return true;
    struct options trial = *o;
    if (!row->read(&trial, row->field, value))
        return false;
    *o = trial;
    return true;
}

static void add_error(struct options_error *errors, unsigned max, unsigned *count, const struct options_error *error)
{
    if (*count < max)
        errors[*count] = *error;
    ++*count;
}

unsigned options_read(struct options *o, const char *const *envp, struct options_error *errors, unsigned max)
{
    struct options_error shutdown_time = {.used = "auto"};
    unsigned count = 0;
    uint64_t seen = 0;
    options_default(o);
    o->shutdown_time = SHUTDOWN_TIME_AUTO;
    for (; envp && *envp; envp++) {
        struct slice entry = slice_of(*envp), name = {*envp, slice_find(entry, '=')};
        const char *value = *envp + name.len + 1;
        if (!slice_begins(name, PREFIX) || name.len == entry.len || !*value)
            continue;
        unsigned row = find_row(name);
        bool unknown = row == option_rows_count;
        /* Of a name that is there twice the first counts, as in getenv. */
        if (!unknown && (seen & UINT64_C(1) << row))
            continue;
        seen |= UINT64_C(1) << row;
        if (!unknown && read_row(o, &option_rows[row], value)) {
            if (option_rows[row].read == read_shutdown_time)
                shutdown_time = (struct options_error){name.at, name.len, value, "auto", false};
            continue;
        }
        const char *used = unknown ? "" : option_rows[row].fallback;
        add_error(errors, max, &count, &(struct options_error){name.at, name.len, value, used, unknown});
    }
    if (!settle_shutdown_time(o)) /* longer than the deadline */
        add_error(errors, max, &count, &shutdown_time);
    return count;
}
