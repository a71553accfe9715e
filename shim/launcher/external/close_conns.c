/* close_conns.c: see close_conns.h. */
#include "launcher/external/close_conns.h"

#include "sys/net.h"
#include "launcher/host/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAREWELLS_AT_ONCE = 128 };

/* Between our look and now it may have spoken: then it is not idle. What comes after this is still read by the program if
 * it comes before the program has seen the end of file; what comes later meets a connection that is being closed. */
static bool still_quiet(int fd, const struct guest *g)
{
    struct sock_counts counts;
    return sock_counts(fd, &counts) == 0 && counts.received == g->now.received && sock_unread(fd) == 0;
}

static int descriptor_of(struct watch *w, uint64_t inode)
{
    const struct process_socket *s = process_sockets_find(&w->family, inode);
    int fd = s ? process_sockets_take(s) : -ESRCH;
    if (fd != -ESRCH || !watch_family(w)) /* a process may have ended that had it, or have handed it on */
        return fd;
    s = process_sockets_find(&w->family, inode);
    return s ? process_sockets_take(s) : w->family.hidden ? -EPERM : -ESRCH;
}

void part_cannot_take(struct watch *w, int error)
{
    w->cannot_take = error;
    char why[128];
    snprintf(why, sizeof why, "%s (seccomp, yama, or a program of other privileges)", strerrordesc_np(error));
    host_log(LOG_WARN,
             "sockets cannot be taken over from the program: listeners stay open, idle connections are not let go, and "
             "the signal "
             "is held only until nothing is in flight",
             "because", why, NULL);
}

/* A descriptor of the connection, or -1. */
static int take(struct watch *w, const struct guest *g)
{
    if (w->cannot_take)
        return -1;
    int fd = descriptor_of(w, g->now.inode);
    if (fd < 0 && fd != -ESRCH)
        part_cannot_take(w, -fd);
    return fd < 0 ? -1 : fd;
}

void part_let_go(struct watch *w, struct visitor *v, nsec_t now)
{
    observe_drop_cork(w, v);
    int fd = take(w, &v->guest);
    if (fd < 0)
        return;
    if (still_quiet(fd, &v->guest) && shutdown(fd, SHUT_RD) == 0)
        guest_let_go(&v->guest, now);
    close(fd);
}

void part_begin_farewell(struct watch *w, struct visitor *v, nsec_t now)
{
    int fd = w->farewells < FAREWELLS_AT_ONCE ? take(w, &v->guest) : -1;
    if (fd < 0)
        return;
    farewell_begin(&v->farewell, fd, now);
    w->farewells++;
}

void part_say_farewells(struct watch *w, nsec_t now)
{
    for (unsigned i = 0; i < w->here.count && w->farewells > 0; i++) {
        struct visitor *v = &w->here.at[i];
        if (v->farewell.fd < 0 || !farewell_step(&v->farewell, now))
            continue;
        w->farewells--;
        v->corked = true;
        guest_let_go(&v->guest, now);
        w->counts.farewells++;
    }
}

bool part_is_left_to_us(const struct watch *w, const struct visitor *v)
{
    return v->guest.now.state != DIAG_ESTABLISHED || !process_sockets_find(&w->family, v->guest.now.inode);
}

void part_uncork(struct watch *w, struct visitor *v, nsec_t now)
{
    const nsec_t patience = 100 * NSEC_PER_MSEC;
    if (!v->corked || !v->guest.now.inode || now < v->guest.let_go_at + patience)
        return;
    struct farewell f = {.fd = take(w, &v->guest)};
    farewell_drop(&f);
    v->corked = false;
}
