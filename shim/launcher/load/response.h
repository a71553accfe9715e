/* response.h: reading one HTTP/1 response strictly, and the body pattern that shows corruption.
 * Pure: no I/O, no allocation. */
#ifndef LASTCALL_LAUNCHER_LOAD_RESPONSE_H
#define LASTCALL_LAUNCHER_LOAD_RESPONSE_H

#include "base.h"

enum load_body_kind {
    LOAD_BODY_ANY,
    LOAD_BODY_PATTERN, /* exactly length bytes of the pattern (length 0: as many as come) */
    LOAD_BODY_TEXT,    /* exactly text, length bytes */
    LOAD_BODY_KEEP,    /* any, of whatever status; its first length bytes are stored at keep */
};

struct load_body {
    enum load_body_kind kind;
    uint64_t length;
    const char *text;
    char *keep;
};

/* Named by what is expected next. */
enum response_state {
    RESPONSE_STATUS_LINE,
    RESPONSE_HEADER,
    RESPONSE_BODY,     /* `left` bytes */
    RESPONSE_BODY_EOF, /* until the server closes */
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END, /* the line end after a chunk's data */
    RESPONSE_TRAILER,
    RESPONSE_DONE,
    RESPONSE_BAD, /* `why` says what is wrong */
};

struct response {
    enum response_state state;
    bool head; /* answers a HEAD request: no body */
    struct load_body expect;
    int status, minor; /* of the final response; minor: HTTP/1.x */
    bool close, keep_alive, chunked, has_length;
    uint64_t left;        /* of the body or chunk */
    uint64_t bytes, body; /* received: of everything, of the body */
    const char *why;
    size_t line_len;
    char line[8192];
};

/* Begin to read the response to a request; head: its method is HEAD. */
void response_begin(struct response *r, bool head, const struct load_body *expect);

/* Take up to n bytes; returns how many were of this response (all, unless DONE or BAD is reached). */
size_t response_feed(struct response *r, const char *data, size_t n);

/* The server closed. True: that ended this response as it should (state is DONE or BAD). */
bool response_eof(struct response *r);

/* May the connection be used again (after DONE)? */
bool response_reusable(const struct response *r);

/* The pattern: line k, of 16 bytes, is k in 15 hexadecimal digits and '\n', so that a byte lost, doubled
 * or moved anywhere shows. */
void load_pattern(char *buf, uint64_t offset, size_t n);

#endif
