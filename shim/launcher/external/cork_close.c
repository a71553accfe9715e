/* cork_close.c: see cork_close.h. Source: tcp(7), tcp_push and __tcp_push_pending_frames in the kernel. */
#include "launcher/external/cork_close.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A response may be written in pieces: the close waits this long for the next piece. The delay happens once a
 * connection. */
#define SETTLED (5 * NSEC_PER_MSEC)

/* The kernel holds a corked response back for 200 ms (tcp_probe0_base), and the program has to close within that
 * time. A response of which a part may have been held back for longer than this, because no look came in between,
 * leaves without the FIN; the next response is used instead. */
#define STALE (100 * NSEC_PER_MSEC)

static void cork(int fd, int on)
{
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* "HTTP/1.1 100 Continue" and an empty line are 25 bytes, a TLS record adds 29 at most. A client that has received
 * an interim response is about to send a body, so the program must not read end of file then. */
enum { INTERIM = 25 + 29 };

/* The bytes that the cork holds back: less than a segment. More is a long response that waits for the peer's window.
 * *left: segments with data sent so far. */
static uint32_t held_back(int fd, uint32_t *left)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
        return 0;
    *left = info.tcpi_data_segs_out;
    return info.tcpi_notsent_bytes < info.tcpi_snd_mss ? info.tcpi_notsent_bytes : 0;
}

void cork_close_begin(struct cork_close *c, int fd, nsec_t now)
{
    cork(fd, 1);
    *c = (struct cork_close){.fd = fd, .since = now, .before = now, .looked = now};
    c->held_bytes = held_back(fd, &c->segments_sent);
}

/* If segments have left since the last look, a response of the same length is a new one. */
static void look(struct cork_close *c, nsec_t now)
{
    uint32_t left = c->segments_sent, lies = held_back(c->fd, &left);
    if (c->held_bytes == 0 || left != c->segments_sent)
        c->before = c->looked;
    if (lies != c->held_bytes || left != c->segments_sent)
        c->since = now;
    c->held_bytes = lies;
    c->segments_sent = left;
    c->looked = now;
}

bool cork_close_step(struct cork_close *c, nsec_t now)
{
    look(c, now);
    if (c->held_bytes <= INTERIM || now < c->since + SETTLED || now > c->before + STALE ||
        shutdown(c->fd, SHUT_RD) != 0)
        return false;
    close(c->fd); /* still corked: the cork waits for the FIN */
    c->fd = -1;
    return true;
}

void cork_close_cancel(struct cork_close *c)
{
    if (c->fd < 0)
        return;
    cork(c->fd, 0);
    close(c->fd);
    c->fd = -1;
}
