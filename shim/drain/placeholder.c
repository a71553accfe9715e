/* placeholder.c: see placeholder.h. */
#include "drain/placeholder.h"

#include "group/threads.h"
#include "sys/fd.h"
#include "sys/syscall.h"
#include "track/connections.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { F_GETFD_ = 1, FD_CLOEXEC_ = 1, O_CLOEXEC_ = 02000000, F_DUPFD_CLOEXEC_ = 1030 };

/* An accept on the listener may end by its time-out (socket(7), SO_RCVTIMEO): on the placeholder too. */
static void copy_timeout(int to, int from)
{
    struct timeval limit;
    unsigned len = sizeof limit;
    if (sys5(SYS_getsockopt, from, SOL_SOCKET, SO_RCVTIMEO, &limit, &len) == 0)
        sys5(SYS_setsockopt, to, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static void drop_old(int old, enum placeholder_old how, bool blocks)
{
    if (old < 0)
        return;
    if (how == PLACEHOLDER_SHUT)
        sys2(SYS_shutdown, old, SHUT_RDWR);
    else if (how == PLACEHOLDER_INTERRUPT && blocks)
        threads_interrupt();
    sys1(SYS_close, old);
}

static bool replace(struct listener *l, int fd, enum placeholder_old how)
{
    bool blocks = !fd_is_nonblocking(fd);
    int stand_in = sock_placeholder(!blocks);
    if (stand_in < 0)
        return false;
    copy_timeout(stand_in, fd);
    long cloexec = sys2(SYS_fcntl, fd, F_GETFD_);
    bool was_in[LISTENER_EPOLLS] = {false};
    for (unsigned i = 0; i < l->epolls; i++)
        was_in[i] = sys4(SYS_epoll_ctl, l->epoll[i].fd, EPOLL_CTL_DEL, fd, 0) == 0;
    int old = (int)sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC_, fd_high());
    /* Known before it can be felt: a thread that wakes up and calls again finds the placeholder. */
    __atomic_store_n(&l->state, LISTENER_PLACEHOLDER, __ATOMIC_SEQ_CST);
    sys3(SYS_dup3, stand_in, fd, cloexec & FD_CLOEXEC_ ? O_CLOEXEC_ : 0);
    sys1(SYS_close, stand_in);
    drop_old(old, how, blocks);
    for (unsigned i = 0; i < l->epolls; i++) {
        struct epoll_event event = {.events = l->epoll[i].events, .data.u64 = l->epoll[i].data};
        /* Else the program has taken it out by a call that no hook saw, or the number is another set's by now. */
        if (was_in[i])
            sys4(SYS_epoll_ctl, l->epoll[i].fd, EPOLL_CTL_ADD, fd, &event);
    }
    return true;
}

/* Under the lock: a close of the program takes the slot from the number first, and waits for the lock
 * (listeners_await_swap); the number may be another file's after that. */
static bool is_still_there(const struct listener *l)
{
    return l->live && listeners_of(l->fd) == l;
}

bool placeholder_put(struct listener *l, enum placeholder_old old)
{
    /* Several descriptors, or more epoll sets than were noted: leave it, the exit closes it. */
    if (l->aliases != 1 || l->epolls > LISTENER_EPOLLS)
        return false;
    if (!conn_lock(&l->swapping))
        return l->state == LISTENER_PLACEHOLDER;
    bool ok = l->state == LISTENER_PLACEHOLDER || (is_still_there(l) && replace(l, l->fd, old));
    __atomic_store_n(&l->swapping, 0, __ATOMIC_SEQ_CST);
    return ok;
}
