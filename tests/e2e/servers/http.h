/* http.h: what the small servers have in common: reading requests and answering the endpoints that every
 * server of this suite has (README of them: ../servers.py). How a server *waits* is its own file, and the
 * reason that it exists. None of them shuts down gracefully. */
#ifndef E2E_HTTP_H
#define E2E_HTTP_H

#include <stdbool.h>
#include <stdint.h>

struct http;

enum http_wait { /* what the connection waits for */
                 HTTP_INPUT,
                 HTTP_OUTPUT,
                 HTTP_TIME,   /* http_due() */
                 HTTP_CLOSED, /* nothing: it was closed and freed */
};

/* argv[1]: the port, on 127.0.0.1 or the address argv[2]; or "unix:PATH". With LISTEN_FDS instead what was passed on,
 * with REUSEPORT in the environment SO_REUSEPORT is set. Exits on failure. */
int http_listen(int argc, char **argv, bool nonblocking);

/* A connection, and what it waits for first. On a blocking descriptor http_step blocks as it should. */
struct http *http_open(int fd);

/* Do what can be done now, until it would block. */
enum http_wait http_step(struct http *h);

/* What http_step last returned; when HTTP_TIME is due (CLOCK_MONOTONIC, ms); its descriptor. */
enum http_wait http_waits(const struct http *h);
uint64_t http_due(const struct http *h);
int http_fd(const struct http *h);

uint64_t http_now(void);

/* For event loops: every open connection in a list. Milliseconds until the first is due (-1: none), and
 * step those that are; `after` is called with each that was stepped and lives (may be NULL). */
int http_wait_ms(void);
void http_step_due(void (*after)(struct http *h));
struct http *http_first(void);
struct http *http_next(const struct http *h);

#endif
