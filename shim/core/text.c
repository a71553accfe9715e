/* text.c: appends to the caller's buffer; what does not fit is truncated, so that the text is always a prefix of
 * what it would be in a larger buffer. */
#include "core/text.h"

static const char hex_digits[] = "0123456789abcdef";

size_t text_length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

void text_init(struct text *t, char *buffer, size_t size)
{
    t->at = buffer;
    t->size = size;
    t->len = 0;
    t->truncated = false;
    t->at[0] = '\0';
}

void text_bytes(struct text *t, const char *s, size_t n)
{
    size_t room = t->size - 1 - t->len;
    if (n > room) {
        n = room;
        t->truncated = true;
    }
    if (n)
        memcpy(t->at + t->len, s, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void text_char(struct text *t, char c)
{
    if (t->len + 1 >= t->size) {
        t->truncated = true;
        return;
    }
    t->at[t->len++] = c;
    t->at[t->len] = '\0';
}

void text_str(struct text *t, const char *s)
{
    text_bytes(t, s, text_length(s));
}

void text_u64(struct text *t, uint64_t value)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text_bytes(t, digits + i, sizeof digits - i);
}

void text_i64(struct text *t, int64_t value)
{
    if (value < 0)
        text_char(t, '-');
    /* Negated as unsigned: -INT64_MIN does not exist. */
    text_u64(t, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_escaped(struct text *t, unsigned char c, bool json)
{
    text_str(t, json ? "\\u00" : "\\x");
    text_char(t, hex_digits[c >> 4]);
    text_char(t, hex_digits[c & 15]);
}

/* Bytes above 0x7e are escaped one by one: they may be no UTF-8 at all, and a terminal may read even
 * well-formed ones as commands (U+009B). */
void text_quoted(struct text *t, const char *s, size_t n, bool json)
{
    text_char(t, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c > 0x7e) {
            put_escaped(t, c, json);
            continue;
        }
        if (c == '"' || c == '\\')
            text_char(t, '\\');
        text_char(t, (char)c);
    }
    text_char(t, '"');
}

static const struct unit {
    nsec_t ns;
    char name[3];
} units[] = {{NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}, {NSEC_PER_USEC, "us"}, {1, "ns"}};

/* Truncated, not rounded, to two or three digits that matter: 999.96ms must not become 1000ms. */
void text_duration(struct text *t, nsec_t ns)
{
    if (!ns) {
        text_str(t, "0s");
        return;
    }
    const struct unit *unit = units;
    while (ns < unit->ns)
        unit++;
    nsec_t whole = ns / unit->ns;
    nsec_t tenth = unit->ns >= 10 ? ns % unit->ns / (unit->ns / 10) : 0;
    text_u64(t, whole);
    if (whole < 100 && tenth) {
        text_char(t, '.');
        text_u64(t, tenth);
    }
    text_str(t, unit->name);
}
