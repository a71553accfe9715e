/* load.h: a strict HTTP/1 load client. The client never retries, and every request ends as exactly one class, so
 * that a lost request cannot hide. One thread, one epoll; runs until every client is done. */
#ifndef LASTCALL_LAUNCHER_LOAD_LOAD_H
#define LASTCALL_LAUNCHER_LOAD_LOAD_H

#include "launcher/load/response.h"

enum load_class {
    LOAD_OK,
    LOAD_REFUSED,        /* ECONNREFUSED: no listener, and the client knows at once; no loss */
    LOAD_RESET,          /* closed, by FIN or RST, before the first byte of a response */
    LOAD_TRUNCATED,      /* closed inside a response */
    LOAD_BAD,            /* malformed, wrong body, wrong status, status >= 500, bytes that answer nothing */
    LOAD_KEEPALIVE_RACE, /* as RESET, while the server was closing an idle connection (outcome.c: is_keepalive_race) */
    LOAD_TIMEOUT,        /* no byte, or no connection, for config.timeout */
    LOAD_CLASSES,
};

struct load_request {
    const char *method, *path;
    const char *headers; /* more header lines, each ended by CRLF; or NULL */
    uint64_t upload;     /* bytes of body to send, of the pattern */
    int status;          /* the only good status; 0 = any below 500 */
    struct load_body body;
};

struct load_config {
    const char *address;                 /* address.h */
    const char *host;                    /* what the Host field says; NULL = "lastcall" */
    const struct load_request *requests; /* each client walks through them, again and again */
    unsigned request_count, clients;
    unsigned limit;              /* requests per client; 0 = until duration, stop_fd or a refusal */
    unsigned pipeline;           /* requests in one write; 0 and 1 = none */
    bool http10;                 /* speak HTTP/1.0, asking for keep-alive unless fresh */
    bool fresh;                  /* a new connection for each request, saying Connection: close */
    bool hold;                   /* after limit requests stay connected until the server closes */
    bool wait_fin;               /* after a response that says close, wait for the server's FIN */
    bool until_refused;          /* a client that is refused is done */
    uint64_t rate;               /* read at most so many bytes a second per client; 0 = all */
    uint64_t split;              /* pause after so many bytes of an upload ... */
    nsec_t split_pause;          /* ... for this long */
    nsec_t think_min, think_max; /* pause between a response and the next request */
    nsec_t timeout;              /* 0 = 30 s */
    nsec_t duration;             /* no new request after this; 0 = no end */
    bool resume; /* with hold: on stop_fd each client that holds a connection sends `limit` requests more, once */
    int stop_fd; /* no new request once it is readable; -1 = none */
    uint64_t ready_sent, ready_started, ready_ok; /* once so many requests were sent, responses begun, */
    void (*ready)(void *arg);                     /* and ended well: call this, once (may be NULL) */
    void *arg;
};

struct load_loss {
    enum load_class class;
    unsigned client, request; /* numbers, from 0 */
    unsigned reused;          /* responses had on this connection before */
    uint16_t port;            /* the client's port; 0 = none (AF_UNIX, never bound) */
    uint64_t bytes;           /* of the response received */
    nsec_t after;             /* since the request was sent */
    char why[96];
};

enum { LOAD_LOSSES_MAX = 64 };

struct load_result {
    uint64_t count[LOAD_CLASSES]; /* another thread may read these, atomically, during the run */
    uint64_t connections;
    uint64_t idle_closed; /* FIN while no request was outstanding: no loss */
    uint64_t idle_reset;  /* RST then: no request lost, but not clean */
    uint64_t unclosed;    /* wait_fin: no FIN came */
    uint64_t close_sent;  /* responses with a close option that the request did not ask for */
    nsec_t started;
    nsec_t first_response, last_response; /* last byte of a good response */
    nsec_t last_fin;
    unsigned losses; /* stored in loss */
    struct load_loss loss[LOAD_LOSSES_MAX];
};

/* Run until every client is done. 0, or -errno if the load could not begin (-EINVAL: unreadable address or config). */
int load_run(const struct load_config *config, struct load_result *result);

/* Requests that a user would have seen fail: everything but ok and refused. */
uint64_t load_lost(const struct load_result *result);
const char *load_class_name(enum load_class class);

#endif
