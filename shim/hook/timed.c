/* timed.c: sockets with a time-out of their own (SO_RCVTIMEO, SO_SNDTIMEO), connections of ours or not: what moves
 * bytes there does not restart after a handler (signal(7)). An upstream, a database: a request in flight waits in such
 * a call. The descriptor gets a slot when the time-out is set, so that all others cost what they did. */
#include "hook/waiting.h"

#include "sys/fd.h"
#include "sys/net.h"
#include "track/internal.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

/* The numbers of the kernel; libc's are these, or their successors. */
enum { RCVTIMEO_OLD = 20, SNDTIMEO_OLD = 21, RCVTIMEO_NEW = 66, SNDTIMEO_NEW = 67 };

/* A connection of ours that no hook has seen (its port tells) is for the sweep to find, a listener for its first
 * accept. */
static bool is_served(int fd)
{
    struct sock_address local;
    bool unix_, listening;
    if (!sock_is_stream(fd, &unix_, &listening))
        return false;
    return listening || (!unix_ && sock_local(fd, &local) && local.port != 0 && listeners_have_port(local.port));
}

static bool is_time_out(int name)
{
    return name == RCVTIMEO_OLD || name == SNDTIMEO_OLD || name == RCVTIMEO_NEW || name == SNDTIMEO_NEW;
}

static NOINLINE int set_time_outs(int fd, int name, const void *value, unsigned len)
{
    int ret = real.setsockopt(fd, SOL_SOCKET, name, value, len);
    if (ret == 0 && slot_of(fd) == 0 && !self_off() && (!self_armed() || self_is_our_process()) && !is_served(fd))
        slots_mark(fd, SPECIAL_TIMED);
    return ret;
}

/* Servers set options of TCP with every response: no frame for these. */
int hook_setsockopt(int fd, int level, int name, const void *value, unsigned len)
{
    if (LIKELY(level != SOL_SOCKET || !is_time_out(name)))
        return real.setsockopt(fd, level, name, value, len);
    return set_time_outs(fd, name, value, len);
}

static nsec_t time_out(int fd, int option)
{
    struct timeval limit = {0, 0};
    unsigned len = sizeof limit;
    sys5(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &len);
    return (nsec_t)limit.tv_sec * NSEC_PER_SEC + (nsec_t)limit.tv_usec * NSEC_PER_USEC;
}

/* What is left of it for poll; -1: it is endless. */
static int left_ms(const struct waiting *w, nsec_t limit)
{
    nsec_t ms = (waiting_left(w, limit) + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    if (limit == 0)
        return -1;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* The call would wait for the whole time-out anew, so what is left of it is waited for here. */
bool hook_timed_again(struct waiting *w, int fd, bool out)
{
    while (hook_again(&w->runs)) {
        struct pollfd wait = {fd, out ? POLLOUT : POLLIN, 0};
        int ready = real.poll(&wait, 1, left_ms(w, time_out(fd, out ? SNDTIMEO_OLD : RCVTIMEO_OLD)));
        if (ready > 0)
            return true;
        if (ready == 0) {
            *libc_errno() = EAGAIN;
            return false;
        }
    }
    return false;
}

/* A datagram may well be short, and bytes that were only looked at come again. */
static bool wants_all(int fd, int flags)
{
    bool unix_, listening;
    if ((flags & (MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC)) != 0 || fd_is_nonblocking(fd))
        return false;
    return (flags & MSG_WAITALL) == 0 || sock_is_stream(fd, &unix_, &listening);
}

bool hook_cut_short(unsigned runs, int fd, ssize_t done, size_t n, int flags)
{
    return done > 0 && (size_t)done < n && eintr_has_met(runs) && wants_all(fd, flags);
}

/* No call but connect(2) has any use for the time-out of a socket that is not connected. */
static void set_time_out(int fd, nsec_t limit)
{
    nsec_t usec = (limit + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
    struct timeval set = {(time_t)(usec / 1000000), (suseconds_t)(usec % 1000000)};
    sys5(SYS_setsockopt, fd, SOL_SOCKET, SNDTIMEO_OLD, &set, sizeof set);
}

/* To a TCP socket that connects already, connect(2) is a wait for that. */
static NOINLINE int connect_on(struct waiting *w, int fd, const void *addr, unsigned len)
{
    nsec_t limit = time_out(fd, SNDTIMEO_OLD);
    int ret;
    do {
        if (limit != 0)
            set_time_out(fd, waiting_left(w, limit) + 1); /* 0 would be no time-out */
        ret = real.connect(fd, addr, len);
    } while (ret < 0 && hook_again(&w->runs));
    if (limit != 0)
        set_time_out(fd, limit);
    if (ret < 0 && limit != 0 && *libc_errno() == EALREADY) /* so the second connect says that the time is over */
        *libc_errno() = EINPROGRESS;
    return ret;
}

int hook_connect(int fd, const void *addr, unsigned len)
{
    struct waiting w = {arch_ticks(), hook_runs()};
    uint32_t begun = self_off() ? 0 : internal_connecting();
    int ret = real.connect(fd, addr, len);
    if (UNLIKELY(waiting_again(&w, ret)))
        ret = connect_on(&w, fd, addr, len);
    if (begun != 0)
        internal_connected(begun, fd, ret == 0 || *libc_errno() == EINPROGRESS ? addr : NULL, len, ret == 0);
    return ret;
}
