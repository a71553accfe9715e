/* proxy_protocol.h: the line or block that a load balancer sends ahead of the client's bytes (the PROXY protocol,
 * versions 1 and 2, haproxy's doc/proxy-protocol.txt): recognized where http1 has stopped in it, and skipped, since
 * HTTP follows it.
 *
 * Pure, resumable at any byte. */
#ifndef LASTCALL_PROXY_PROTOCOL_H
#define LASTCALL_PROXY_PROTOCOL_H

#include "base.h"

enum proxy_protocol_result {
    PROXY_PROTOCOL_MORE, /* every byte given belongs to it, and it goes on */
    PROXY_PROTOCOL_DONE, /* it has ended; what is left belongs to the client */
    PROXY_PROTOCOL_BAD,  /* it is none after all */
};

struct proxy_protocol { /* all zero: none */
    uint8_t version;
    uint32_t at;   /* bytes of it so far */
    uint32_t size; /* version 2: how long it is, once that is known */
};

/* http1 has found byte `bad` at `offset` of the connection to be no HTTP; method: of the message it is in, "" if none.
 * True: a header of the PROXY protocol may have begun; the bytes behind `bad` go to proxy_protocol_feed. */
bool proxy_protocol_begin(struct proxy_protocol *p, uint64_t offset, uint8_t bad, const char *method);

/* Take up to n bytes of it. Returns the number taken. */
size_t proxy_protocol_feed(struct proxy_protocol *p, const uint8_t *data, size_t n, enum proxy_protocol_result *result);

#endif
