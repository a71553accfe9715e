/* opaque.h: what is known of a connection with messages that are not read (DESIGN sections 9.5 to 9.8): which protocol
 * its first bytes show, which side sent last, and, where records have plaintext heads (TLS, FastCGI, HTTP/2), which of
 * them ask for an answer.
 *
 * Pure. Each direction is followed by one thread at a time, as for http1; `last`, `tickets` and the open streams are
 * words that both directions write. A connection is never called idle because it is quiet: a client that sent last
 * waits for an answer. */
#ifndef LASTCALL_OPAQUE_H
#define LASTCALL_OPAQUE_H

#include "base.h"

enum opaque_protocol {
    OPAQUE_UNDECIDED,   /* too few bytes have come */
    OPAQUE_UNKNOWN,     /* no protocol that is known: who spoke last is all that can be told */
    OPAQUE_TLS,         /* record heads are plaintext (RFC 8446 5.1) */
    OPAQUE_FASTCGI,     /* records with a head of 8 bytes: FCGI_BEGIN_REQUEST to FCGI_END_REQUEST */
    OPAQUE_ONE_REQUEST, /* SCGI, uwsgi: one request a connection, answered until the server closes */
    OPAQUE_HTTP2,       /* prior knowledge (RFC 9113 3.3): frames with a head of 9 bytes */
};

enum opaque_speaker { OPAQUE_NOBODY, OPAQUE_CLIENT, OPAQUE_SERVER };

/* What is outstanding. */
enum opaque_state {
    OPAQUE_ANSWERED, /* nothing: the server spoke last */
    OPAQUE_BUSY, /* the client spoke last, but so little that it may want no answer (an HTTP/2 client's SETTINGS ACK) */
    OPAQUE_IN_FLIGHT, /* the client waits for an answer, or one of them is in the middle of a record */
};

enum { OPAQUE_FIRST = 16, OPAQUE_STREAMS = 32 };

struct opaque_records { /* one direction: where in its records it is */
    uint32_t left;      /* bytes of the record's body still to come */
    uint32_t skip;      /* bytes before the first record (HTTP/2's preface) */
    uint8_t have;       /* bytes of the next record's head so far */
    uint8_t head[9];
};

struct opaque {
    uint8_t protocol;  /* enum opaque_protocol */
    uint8_t last;      /* enum opaque_speaker */
    uint8_t first_len; /* the client's first bytes, while undecided */
    uint8_t first[OPAQUE_FIRST];
    struct opaque_records in, out;

    /* TLS */
    bool client_ciphered; /* the client has sent an encrypted record */
    bool server_ciphered; /* the server sent one before the client did: TLS 1.3 */
    bool finished;        /* the client's first encrypted record, its Finished, has come */
    bool may_be_h2;       /* its ClientHello offers h2 first */
    bool small;           /* the client's last record was too small for a request */
    uint8_t tickets;      /* records of the server since then that were taken for session tickets */
    uint16_t ticket_len;  /* and their length */
    uint32_t flight[2];   /* the lengths of the last encrypted records before the client's first, the last one first */
    uint64_t hello;       /* the last 8 bytes of the ClientHello so far */

    /* FastCGI, HTTP/2 */
    uint32_t open;                   /* requests begun and not ended */
    uint32_t newest;                 /* HTTP/2: the client's highest stream */
    uint32_t stream[OPAQUE_STREAMS]; /* HTTP/2: those that are open; 0 = free */
    bool crowded;                    /* more streams than fit: in flight until the connection closes */
};

/* Which protocol do the client's first n bytes show? OPAQUE_UNDECIDED: more bytes are needed. */
enum opaque_protocol opaque_match(const uint8_t *first, size_t n);

/* n bytes came from the client, or went to it, as the program's calls saw them; data NULL: unseen. In stream
 * sequence, from the connection's first byte on (else opaque_begin_unknown). */
void opaque_received(struct opaque *o, const void *data, size_t n);
void opaque_sent(struct opaque *o, const void *data, size_t n);

/* The connection's records cannot be followed, or no longer: only which side sends last. last: the side that did.
 * Any thread: two words are stored. */
void opaque_begin_unknown(struct opaque *o, enum opaque_speaker last);

enum opaque_state opaque_state(const struct opaque *o);

#endif
