/* client.h: one client of the load: a small state machine that sends requests and reads the responses. */
#ifndef LASTCALL_LAUNCHER_LOAD_CLIENT_H
#define LASTCALL_LAUNCHER_LOAD_CLIENT_H

#include "launcher/load/load.h"
#include "launcher/load/address.h"

enum { BATCH_MAX = 32, HEAD_MAX = 2048, READ_SIZE = 65536 };

/* Named by the event that the client waits for. */
enum client_state {
    CLIENT_PAUSED, /* the time `wake`, then the next request; with fd >= 0 the connection is idle */
    CLIENT_CONNECTING,
    CLIENT_TALKING, /* sending a batch, or its responses */
    CLIENT_HOLDING, /* no more requests: waits for the server's FIN */
    CLIENT_CLOSING, /* wait_fin: the FIN after a response that said close */
    CLIENT_DONE,
};

struct client {
    enum client_state state;
    int fd;
    uint32_t watched;       /* epoll events asked for */
    unsigned number, asked; /* requests begun */
    unsigned reused;        /* responses had on this connection */
    uint16_t port;
    nsec_t wake;                            /* PAUSED: next request; else the timeout; 0 = never */
    nsec_t sent_at, read_after, send_after; /* throttled reading, split upload */
    const struct load_request *batch[BATCH_MAX];
    unsigned batch_len, answered;
    char *out;
    size_t out_len, out_sent;
    uint64_t body_sent;
    bool counted_sent, counted_started, send_failed;
    struct response response;
};

struct load {
    const struct load_config *config;
    struct load_result *result;
    struct client *clients;
    struct load_address address;
    int epoll;
    unsigned living;
    bool stopping, resumed, ready_called;
    nsec_t now, end;
    uint64_t random, sent, started, ok;
    char buffer[READ_SIZE];
};

/* An event (epoll) on the client's connection; the time `wake` has come. */
void client_on_event(struct load *l, struct client *c, uint32_t events);
void client_on_time(struct load *l, struct client *c);

/* Send as many bytes as the socket takes. An error does not end the client: a response may have arrived before the
 * close. */
void client_send_some(struct load *l, struct client *c);

/* Ask epoll for the events that the client waits for now. */
void client_watch(struct load *l, struct client *c);

/* Call config.ready once, when enough was sent and answered. */
void load_check_ready(struct load *l);

#endif
