/* close_conns.c: see close_conns.h. */
#include "launcher/external/close_conns.h"

#include "sys/net.h"
#include "launcher/host/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CORKS_AT_ONCE = 128 };

/* If bytes came or went since the scan, the connection is not idle. After the read shutdown the program still reads
 * the bytes that arrive before its next read; later bytes meet a connection that is being closed. */
static bool still_quiet(int fd, const struct activity *a)
{
    struct sock_counts counts;
    return sock_counts(fd, &counts) == 0 && counts.received == a->now.received && sock_unread(fd) == 0;
}

static int descriptor_of(struct observer *o, uint64_t inode)
{
    const struct process_socket *s = process_sockets_find(&o->sockets, inode);
    int fd = s ? process_sockets_take(s) : -ESRCH;
    if (fd != -ESRCH || !observe_sockets(o)) /* the holder may have ended, or have passed the connection on */
        return fd;
    s = process_sockets_find(&o->sockets, inode);
    return s ? process_sockets_take(s) : o->sockets.hidden ? -EPERM : -ESRCH;
}

void close_conns_cannot_take(struct observer *o, int error)
{
    o->cannot_take = error;
    char why[128];
    snprintf(why, sizeof why, "%s (seccomp, yama, or a program of other privileges)", strerrordesc_np(error));
    host_log(LOG_WARN,
             "sockets cannot be taken over from the program: listeners stay open, idle connections are not closed, and "
             "the signal "
             "is held only until nothing is in flight",
             "because", why, NULL);
}

/* A descriptor of the connection, or -1. */
static int take(struct observer *o, const struct activity *a)
{
    if (o->cannot_take)
        return -1;
    int fd = descriptor_of(o, a->now.inode);
    if (fd < 0 && fd != -ESRCH)
        close_conns_cannot_take(o, -fd);
    return fd < 0 ? -1 : fd;
}

void close_conns_shut_idle(struct observer *o, struct observed_conn *conn, nsec_t now)
{
    observe_drop_cork(o, conn);
    int fd = take(o, &conn->activity);
    if (fd < 0)
        return;
    if (still_quiet(fd, &conn->activity) && shutdown(fd, SHUT_RD) == 0)
        activity_read_shut(&conn->activity, now);
    close(fd);
}

void close_conns_begin_cork(struct observer *o, struct observed_conn *conn, nsec_t now)
{
    int fd = o->corks < CORKS_AT_ONCE ? take(o, &conn->activity) : -1;
    if (fd < 0)
        return;
    cork_close_begin(&conn->cork, fd, now);
    o->corks++;
}

void close_conns_step_corks(struct observer *o, nsec_t now)
{
    for (unsigned i = 0; i < o->here.count && o->corks > 0; i++) {
        struct observed_conn *conn = &o->here.at[i];
        if (conn->cork.fd < 0 || !cork_close_step(&conn->cork, now))
            continue;
        o->corks--;
        conn->corked = true;
        activity_read_shut(&conn->activity, now);
        o->counts.close_sent++;
    }
}

bool close_conns_has_no_other_holder(const struct observer *o, const struct observed_conn *conn)
{
    return conn->activity.now.state != DIAG_ESTABLISHED || !process_sockets_find(&o->sockets, conn->activity.now.inode);
}

void close_conns_uncork(struct observer *o, struct observed_conn *conn, nsec_t now)
{
    const nsec_t patience = 100 * NSEC_PER_MSEC;
    if (!conn->corked || !conn->activity.now.inode || now < conn->activity.read_shut_at + patience)
        return;
    struct cork_close f = {.fd = take(o, &conn->activity)};
    cork_close_cancel(&f);
    conn->corked = false;
}
