/* http1.h: follows the framing of one direction of an HTTP/1.x connection (RFC 9112).
 *
 * Pure: caller's memory, no I/O, no allocation, resumable at any byte. It never guesses: whatever two
 * servers could read differently is HTTP1_BAD, and stays so; the caller then treats the connection as
 * opaque. Any thread may call; one struct is used by one thread at a time. */
#ifndef LASTCALL_HTTP1_H
#define LASTCALL_HTTP1_H

#include "base.h"

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_event {
    HTTP1_MORE,    /* every byte given was taken; the message, if one has begun, goes on */
    HTTP1_HEAD,    /* a head has ended: its facts are valid. Call again, even with n = 0 */
    HTTP1_INTERIM, /* response only: a 1xx head (not 101) has ended; the final response follows */
    HTTP1_DONE,    /* the message has ended; the next byte begins another */
    HTTP1_TUNNEL,  /* response only: 101, or 2xx to CONNECT: no more HTTP in either direction */
    HTTP1_BAD,     /* not HTTP/1.x that all parsers read alike; sticky */
};

enum { HTTP1_METHOD_MAX = 15 };

/* Facts of the head, valid from HTTP1_HEAD (INTERIM, TUNNEL) until the next message begins. */
struct http1_facts {
    uint64_t content_length;               /* bytes; meaningful if has_length */
    uint16_t status;                       /* response: 100..999 */
    uint8_t minor;                         /* HTTP/1.<minor>, 0 or 1 */
    uint8_t method_len;                    /* request */
    char method[HTTP1_METHOD_MAX + 1];     /* request: token, truncated at HTTP1_METHOD_MAX, NUL-terminated */
    bool has_length, chunked, until_close; /* framing of the body */
    bool close, keep_alive, upgrade;       /* Connection tokens close, keep-alive, upgrade */
    bool expect_continue;                  /* request: Expect: 100-continue */
    bool is_head, is_connect;              /* request: method is HEAD, CONNECT */
};

struct http1 {
    struct http1_facts facts;
    uint64_t left;     /* bytes of body or chunk still to come */
    uint64_t head_len; /* bytes of the head so far */
    /* The fields below belong to http1.c */
    uint32_t extra; /* bytes of the chunk-size line or of the trailers so far */
    uint8_t kind, state, field, part;
    uint8_t word_len, count;
    bool trailers, answers_head, answers_connect;
    uint8_t word[32]; /* a name or a word of a value that may continue in the next buffer */
};

/* A parser at the start of the first message. */
void http1_init(struct http1 *p, enum http1_kind kind);

/* Response only, between messages: what the request to be answered next was (HEAD and CONNECT change
 * the framing). Without a call: neither. */
static inline void http1_expect(struct http1 *p, bool head_request, bool connect_request)
{
    p->answers_head = head_request;
    p->answers_connect = connect_request;
}

/* Take up to n bytes; stop after the byte that makes an event. Returns the number of bytes taken. */
size_t http1_feed(struct http1 *p, const void *data, size_t n, enum http1_event *event);

/* Three of the states in http1.c, for what is inline here. */
enum { HTTP1_START = 0, HTTP1_LAST_BETWEEN = 1, HTTP1_COUNTED = 17, HTTP1_DONE_DUE = 26 };

/* The message is over. For http1.c and the next two. */
static inline void http1_end_message(struct http1 *p)
{
    p->answers_head = p->answers_connect = false;
    p->count = 0;
    p->state = HTTP1_START;
}

/* After HTTP1_HEAD: is the message over, for want of a body? This is then what HTTP1_DONE of the next call would be. */
static inline bool http1_ends_here(struct http1 *p)
{
    if (p->state != HTTP1_DONE_DUE)
        return false;
    http1_end_message(p);
    return true;
}

/* http1_skip of n bytes that are all the rest of a counted body: the message is over. False: they are not. */
static inline bool http1_skip_rest(struct http1 *p, uint64_t n)
{
    if (p->state != HTTP1_COUNTED || p->left != n)
        return false;
    p->left = 0;
    http1_end_message(p);
    return true;
}

/* n bytes passed unseen (sendfile, splice). True if all of them were plain body bytes (counted or
 * until close); the event as for http1_feed. False, and the parser is bad, in any other place. */
bool http1_skip(struct http1 *p, uint64_t n, enum http1_event *event);

/* Is no message begun? (Empty lines before a request line do not begin one: RFC 9112 2.2.) */
static inline bool http1_between(const struct http1 *p)
{
    return p->state <= HTTP1_LAST_BETWEEN;
}

/* Are we inside a head (at least one byte of it has come, its end has not)? */
bool http1_in_head(const struct http1 *p);

bool http1_is_bad(const struct http1 *p);

/* Is c a tchar, a byte that names and methods are made of (RFC 9110 5.6.2)? */
bool http1_is_tchar(uint8_t c);

/* Is c HTAB, SP, VCHAR or obs-text: what field values and reason phrases may hold (RFC 9110 5.5)? */
bool http1_is_text(uint8_t c);

#endif
