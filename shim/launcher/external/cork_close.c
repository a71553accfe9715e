/* cork_close.c: see cork_close.h. Source: tcp(7), tcp_push and __tcp_push_pending_frames in the kernel. */
#include "launcher/external/cork_close.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An answer may be written in pieces. It is late by this much, once. */
#define SETTLED (5 * NSEC_PER_MSEC)

/* The kernel holds an answer back for 200 ms (tcp_probe0_base), and within these the program has to close. One of which a
 * part may have lain for so long already, since we were not there to look, leaves without its end: the next one will do. */
#define STALE (100 * NSEC_PER_MSEC)

static void cork(int fd, int on)
{
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* "HTTP/1.1 100 Continue" and an empty line are 25 bytes, a record of TLS adds 29 at most. Whoever was told that is about to
 * send a body, and must not meet an end. */
enum { INTERIM = 25 + 29 };

/* What the cork holds back is less than a segment. More is a long response, for which the way is not free. *left: how many
 * segments with data have left so far. */
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

void farewell_begin(struct farewell *f, int fd, nsec_t now)
{
    cork(fd, 1);
    *f = (struct farewell){.fd = fd, .since = now, .before = now, .looked = now};
    f->lies = held_back(fd, &f->left);
}

/* An answer as long as the last one is another one: that has left meanwhile. */
static void look(struct farewell *f, nsec_t now)
{
    uint32_t left = f->left, lies = held_back(f->fd, &left);
    if (f->lies == 0 || left != f->left)
        f->before = f->looked;
    if (lies != f->lies || left != f->left)
        f->since = now;
    f->lies = lies;
    f->left = left;
    f->looked = now;
}

bool farewell_step(struct farewell *f, nsec_t now)
{
    look(f, now);
    if (f->lies <= INTERIM || now < f->since + SETTLED || now > f->before + STALE || shutdown(f->fd, SHUT_RD) != 0)
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
