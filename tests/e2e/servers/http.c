/* http.c: see http.h. A response is a row of pieces, each a delay and some bytes. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { INPUT = 16384, HEAD = 1024, SMALL = 64, BIG = 8 << 20, FILE_SIZE = 1 << 20, CHUNKS = 10, CHUNK = 160 };

enum state { READ_HEAD, READ_BODY, REPLY, TUNNEL };

struct http {
    struct http *next, **link;
    int fd;
    enum http_wait waits;
    uint64_t due;
    enum state state;
    char input[INPUT];
    size_t input_len;
    char method[16], path[256];
    bool http10, keep, expect;
    uint64_t body, body_got;
    bool body_wrong;
    /* the reply */
    const char *kind;
    unsigned piece, ms;
    bool last;
    char head[HEAD];
    struct iovec out[2];
    int out_count;
    off_t file_at;
    size_t file_left;
};

static char pattern[BIG];
static int pattern_file = -1;
static struct http *all;

uint64_t http_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void make_pattern(void)
{
    char text[] = "000000000000000\n";
    for (char *line = pattern; line < pattern + BIG; line += 16) {
        char *digit = text + 14;
        memcpy(line, text, 16);
        while (*digit == 'f')
            *digit-- = '0';
        *digit = *digit == '9' ? 'a' : *digit + 1;
    }
    pattern_file = memfd_create("pattern", MFD_CLOEXEC);
    if (pattern_file < 0 || write(pattern_file, pattern, FILE_SIZE) != FILE_SIZE)
        abort();
}

/* ---- listening ---------------------------------------------------------------------------------------- */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static socklen_t parse_address(struct sockaddr_storage *a, const char *port, const char *host)
{
    struct sockaddr_in *in = (void *)a;
    struct sockaddr_in6 *in6 = (void *)a;
    struct sockaddr_un *un = (void *)a;
    if (!strncmp(port, "unix:", 5)) {
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof un->sun_path, "%s", port + 5);
        return sizeof *un;
    }
    if (strchr(host, ':')) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)atoi(port));
        inet_pton(AF_INET6, host, &in6->sin6_addr);
        return sizeof *in6;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, host, &in->sin_addr);
    return sizeof *in;
}

/* The listener that whoever started us passed on (sd_listen_fds(3)), or -1. */
static int passed_listener(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    return pid && count && atoi(pid) == getpid() && atoi(count) == 1 ? 3 : -1;
}

static int bound_listener(const char *port, const char *host)
{
    struct sockaddr_storage address = {0};
    socklen_t n = parse_address(&address, port, host);
    int one = 1, fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (getenv("REUSEPORT"))
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, n))
        fail("bind");
    if (listen(fd, 4096))
        fail("listen");
    return fd;
}

int http_listen(int argc, char **argv, bool nonblocking)
{
    if (argc < 2)
        exit(2);
    int fd = passed_listener();
    if (fd < 0)
        fd = bound_listener(argv[1], argc > 2 ? argv[2] : "127.0.0.1");
    make_pattern();
    signal(SIGPIPE, SIG_IGN);
    if (nonblocking)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/* ---- the replies -------------------------------------------------------------------------------------- */

static size_t format_head(struct http *h, int status, const char *reason, const char *length, const char *more)
{
    const char *connection = !h->keep ? "Connection: close\r\n" : h->http10 ? "Connection: keep-alive\r\n" : "";
    return (size_t)snprintf(h->head, sizeof h->head, "HTTP/1.1 %d %s\r\nServer: e2e\r\n%s%s%s\r\n", status, reason,
                            length, more, strstr(more, "Connection:") && h->keep ? "" : connection);
}

static void queue(struct http *h, void *data, size_t n)
{
    if (n)
        h->out[h->out_count++] = (struct iovec){data, n};
}

/* A whole response in one piece. */
static void answer(struct http *h, int status, const char *reason, const char *more, void *body, size_t n)
{
    char length[64];
    bool bodiless = status == 204 || status == 304;
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", n);
    queue(h, h->head, format_head(h, status, reason, bodiless ? "" : length, more));
    if (strcmp(h->method, "HEAD") != 0)
        queue(h, body, n);
    h->last = true;
}

static void answer_upload(struct http *h)
{
    static const char wrong[] = "wrong\n";
    char *text = h->input + INPUT - 32; /* free: no request is read while one is answered */
    if (h->body_wrong)
        return answer(h, 500, "Wrong Bytes", "", (void *)(uintptr_t)wrong, sizeof wrong - 1);
    int n = snprintf(text, 32, "%llu\n", (unsigned long long)h->body_got);
    answer(h, 200, "OK", "", text, (size_t)n);
}

/* HTTP/1.0 has no chunks: there the end is the close. */
static void stream_piece(struct http *h)
{
    static const char line_end[] = "\r\n", last[] = "0\r\n\r\n";
    char *at = h->head;
    if (h->piece == 0) {
        h->keep = h->keep && !h->http10;
        queue(h, at, format_head(h, 200, "OK", h->http10 ? "" : "Transfer-Encoding: chunked\r\n", ""));
    } else if (h->piece <= CHUNKS) {
        char *body = pattern + (h->piece - 1) * CHUNK;
        int n = h->http10 ? 0 : snprintf(at, HEAD, "%x\r\n", CHUNK);
        memcpy(at + n, body, CHUNK);
        if (n)
            memcpy(at + n + CHUNK, line_end, sizeof line_end - 1);
        queue(h, at, (size_t)n + CHUNK + (n ? 2 : 0));
        h->due = http_now() + h->ms / CHUNKS;
    } else {
        if (!h->http10)
            queue(h, memcpy(at, last, sizeof last - 1), sizeof last - 1);
        h->last = true;
    }
}

/* The head in four writes: cut inside the status line, inside a name, and before the last line end. */
static void pieces_piece(struct http *h)
{
    static const size_t cut[] = {0, 5, 22, 60};
    if (h->piece == 0)
        h->file_left = format_head(h, 200, "OK", "Content-Length: 64\r\n", "X-Pieces: four\r\n");
    size_t n = h->file_left, from = cut[h->piece % 4], to = h->piece == 3 ? n : cut[h->piece + 1];
    queue(h, h->head + from, to - from);
    if (h->piece == 3) {
        h->file_left = 0;
        queue(h, pattern, SMALL);
        h->last = true;
    }
    if (h->piece)
        h->due = http_now() + 30;
}

static void sendfile_reply(struct http *h)
{
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %d\r\n", FILE_SIZE);
    size_t n = format_head(h, 200, "OK", length, "");
    queue(h, h->head, 17); /* the status line, then the rest: one writev */
    queue(h, h->head + 17, n - 17);
    h->file_at = 0;
    h->file_left = strcmp(h->method, "HEAD") ? FILE_SIZE : 0;
    h->last = true;
}

/* After this every byte comes back as it is. */
static void upgrade_reply(struct http *h)
{
    static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    queue(h, memcpy(h->head, switching, sizeof switching - 1), sizeof switching - 1);
    h->last = h->keep = true;
}

/* Make the next piece of the reply; h->due says when it may go. */
static void next_piece(struct http *h)
{
    const char *k = h->kind;
    h->due = 0;
    h->out_count = 0;
    if (!strcmp(k, "/"))
        answer(h, 200, "OK", "", pattern, SMALL);
    else if (!strcmp(k, "/sleep")) {
        answer(h, 200, "OK", "", pattern, SMALL);
        h->due = http_now() + h->ms;
    } else if (!strcmp(k, "/stream"))
        stream_piece(h);
    else if (!strcmp(k, "/big"))
        answer(h, 200, "OK", "", pattern, BIG);
    else if (!strcmp(k, "/upload"))
        answer_upload(h);
    else if (!strcmp(k, "/head-pieces"))
        pieces_piece(h);
    else if (!strcmp(k, "/early"))
        answer(h, 413, "Too Large", "", pattern, SMALL);
    else if (!strcmp(k, "/status/204"))
        answer(h, 204, "No Content", "", NULL, 0);
    else if (!strcmp(k, "/status/304"))
        answer(h, 304, "Not Modified", "ETag: \"e2e\"\r\n", NULL, 0);
    else if (!strcmp(k, "/sendfile"))
        sendfile_reply(h);
    else if (!strcmp(k, "/upgrade"))
        upgrade_reply(h);
    else if (!strcmp(k, "/close-tokens"))
        answer(h, 200, "OK", "Connection: keep-alive, foo\r\n", pattern, SMALL);
    else
        answer(h, 404, "Not Found", "", pattern, SMALL);
    h->piece++;
}

static void begin_reply(struct http *h)
{
    h->state = REPLY;
    h->piece = 0;
    h->last = false;
    next_piece(h);
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static const char *header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " ");
    return "";
}

/* A whole head is in the buffer, NUL-terminated. False: not one. */
static bool parse_head(struct http *h)
{
    int minor;
    if (sscanf(h->input, "%15s %255s HTTP/1.%d", h->method, h->path, &minor) != 3)
        return false;
    const char *connection = header(h->input, "Connection");
    h->http10 = minor == 0;
    h->keep = h->http10 ? !strncasecmp(connection, "keep-alive", 10) : strncasecmp(connection, "close", 5) != 0;
    h->body = strtoull(header(h->input, "Content-Length"), NULL, 10);
    h->expect = !strncasecmp(header(h->input, "Expect"), "100-continue", 12);
    h->body_got = 0;
    h->body_wrong = false;
    char *query = strchr(h->path, '?');
    h->ms = query && !strncmp(query, "?ms=", 4) ? (unsigned)atoi(query + 4) : 0;
    if (query)
        *query = 0;
    h->kind = h->path;
    return true;
}

static void drop_input(struct http *h, size_t n)
{
    memmove(h->input, h->input + n, h->input_len - n);
    h->input_len -= n;
}

static void take_body(struct http *h)
{
    uint64_t left = h->body - h->body_got;
    size_t n = h->input_len < left ? h->input_len : (size_t)left;
    for (size_t i = 0; i < n; i++)
        h->body_wrong |= h->input[i] != pattern[(h->body_got + i) % BIG];
    h->body_got += n;
    drop_input(h, n);
    if (h->body_got == h->body)
        begin_reply(h);
}

/* Go as far as the input allows. False: not HTTP. */
static bool take_input(struct http *h)
{
    if (h->state == READ_HEAD) {
        h->input[h->input_len] = 0;
        char *end = strstr(h->input, "\r\n\r\n");
        if (!end)
            return h->input_len < INPUT - 64;
        end[2] = 0;
        if (!parse_head(h))
            return false;
        drop_input(h, (size_t)(end + 4 - h->input));
        if (!strcmp(h->path, "/early") && h->body) { /* answers, and closes with the body unread */
            h->keep = false;
            begin_reply(h);
            return true;
        }
        h->state = READ_BODY;
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (h->expect && send(h->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) < 0)
            return false;
    }
    if (h->state == READ_BODY)
        take_body(h);
    else if (h->state == TUNNEL) { /* small messages only: they fit the socket's buffer */
        ssize_t n = write(h->fd, h->input, h->input_len);
        h->input_len = 0;
        return n > 0;
    }
    return true;
}

/* ---- stepping ----------------------------------------------------------------------------------------- */

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

struct http *http_open(int fd)
{
    struct http *h = calloc(1, sizeof *h);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    h->fd = fd;
    pthread_mutex_lock(&list_lock);
    h->next = all;
    h->link = &all;
    if (all)
        all->link = &h->next;
    all = h;
    pthread_mutex_unlock(&list_lock);
    return h;
}

static enum http_wait shut(struct http *h)
{
    pthread_mutex_lock(&list_lock);
    *h->link = h->next;
    if (h->next)
        h->next->link = h->link;
    pthread_mutex_unlock(&list_lock);
    close(h->fd);
    free(h);
    return HTTP_CLOSED;
}

/* 1: all of the piece is out; 0: would block; -1: the peer is gone. */
static int put(struct http *h)
{
    while (h->out_count) {
        ssize_t n = h->out_count == 1 ? write(h->fd, h->out[0].iov_base, h->out[0].iov_len)
                                      : writev(h->fd, h->out, h->out_count);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        while (h->out_count && (size_t)n >= h->out[0].iov_len) {
            n -= (ssize_t)h->out[0].iov_len;
            h->out[0] = h->out[1];
            h->out_count--;
        }
        if (h->out_count) {
            h->out[0].iov_base = (char *)h->out[0].iov_base + n;
            h->out[0].iov_len -= (size_t)n;
        }
    }
    while (h->last && h->file_left) {
        ssize_t n = sendfile(h->fd, pattern_file, &h->file_at, h->file_left);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -1;
        h->file_left -= (size_t)n;
    }
    return 1;
}

static enum http_wait wait_for(struct http *h, enum http_wait what)
{
    return h->waits = what;
}

enum http_wait http_step(struct http *h)
{
    for (;;) {
        if (h->state == REPLY) {
            if (h->due > http_now())
                return wait_for(h, HTTP_TIME);
            int put_all = put(h);
            if (put_all < 0 || (put_all && h->last && !h->keep))
                return shut(h);
            if (!put_all)
                return wait_for(h, HTTP_OUTPUT);
            if (!h->last)
                next_piece(h);
            else
                h->state = strcmp(h->kind, "/upgrade") ? READ_HEAD : TUNNEL;
            if (h->state == REPLY || !h->input_len)
                continue;
        } else {
            ssize_t n = read(h->fd, h->input + h->input_len, INPUT - 64 - h->input_len);
            if (n < 0 && errno == EAGAIN)
                return wait_for(h, HTTP_INPUT);
            if (n <= 0)
                return shut(h);
            h->input_len += (size_t)n;
        }
        if (!take_input(h))
            return shut(h);
    }
}

enum http_wait http_waits(const struct http *h)
{
    return h->waits;
}

uint64_t http_due(const struct http *h)
{
    return h->due;
}

int http_fd(const struct http *h)
{
    return h->fd;
}

struct http *http_first(void)
{
    return all;
}

struct http *http_next(const struct http *h)
{
    return h->next;
}

int http_wait_ms(void)
{
    uint64_t now = http_now(), first = UINT64_MAX;
    for (struct http *h = all; h; h = h->next)
        if (h->waits == HTTP_TIME && h->due < first)
            first = h->due;
    return first == UINT64_MAX ? -1 : first <= now ? 0 : (int)(first - now);
}

void http_step_due(void (*after)(struct http *h))
{
    uint64_t now = http_now();
    for (struct http *h = all, *next; h; h = next) {
        next = h->next;
        if (h->waits == HTTP_TIME && h->due <= now && http_step(h) != HTTP_CLOSED && after)
            after(h);
    }
}
