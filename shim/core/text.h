/* text.h: a bounded string builder; truncates instead of overflowing, always NUL-terminates, never allocates. Also
 * the only place where bytes from the network are escaped. Pure. */
#ifndef LASTCALL_TEXT_H
#define LASTCALL_TEXT_H

#include "base.h"

struct text {
    char *at;       /* caller's buffer */
    size_t size;    /* of the buffer, at least 1 */
    size_t len;     /* without the NUL */
    bool truncated; /* something did not fit */
};

/* strlen. */
size_t text_length(const char *s);

void text_init(struct text *t, char *buffer, size_t size);
void text_char(struct text *t, char c);
void text_str(struct text *t, const char *s);
void text_bytes(struct text *t, const char *s, size_t n);
void text_u64(struct text *t, uint64_t value);
void text_i64(struct text *t, int64_t value);
/* Bytes from anywhere, inside double quotes: control, quote, backslash and non-ASCII bytes escaped.
 * json: \u00XX, so that the line stays valid JSON; text (logfmt): \xXX. */
void text_quoted(struct text *t, const char *s, size_t n, bool json);
/* Nanoseconds as people write them: 850us, 12.5ms, 3.2s. */
void text_duration(struct text *t, nsec_t ns);

#endif
