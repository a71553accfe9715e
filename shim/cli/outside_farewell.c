/* outside_farewell.c: see outside_farewell.h. Source: tcp(7), tcp_push and __tcp_push_pending_frames in the kernel. */
#include "outside_farewell.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An answer may be written in pieces. It is late by this much, once. */
#define SETTLED (5 * NSEC_PER_MSEC)

static void cork(int fd, int on)
{
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void farewell_begin(struct farewell *f, int fd, nsec_t now)
{
    cork(fd, 1);
    *f = (struct farewell){.fd = fd, .since = now};
}

/* "HTTP/1.1 100 Continue" and an empty line are 25 bytes, a record of TLS adds 29 at most. Whoever was told that is about to
 * send a body, and must not meet an end. */
enum { INTERIM = 25 + 29 };

/* What the cork holds back is less than a segment. More is a long response, for which the way is not free. */
static uint32_t held_back(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
        return 0;
    return info.tcpi_notsent_bytes < info.tcpi_snd_mss ? info.tcpi_notsent_bytes : 0;
}

bool farewell_step(struct farewell *f, nsec_t now)
{
    uint32_t lies = held_back(f->fd);
    if (lies != f->lies) {
        f->lies = lies;
        f->since = now;
    }
    if (lies <= INTERIM || now < f->since + SETTLED || shutdown(f->fd, SHUT_RD) != 0)
        return false;
    close(f->fd); /* corked as it is: the FIN is what it waits for */
    f->fd = -1;
    return true;
}

void farewell_drop(struct farewell *f)
{
    if (f->fd < 0)
        return;
    cork(f->fd, 0);
    close(f->fd);
    f->fd = -1;
}
