/* epoll.c: one thread, epoll edge-triggered: registered once for everything, then read and written until
 * EAGAIN. An event that is lost or made up shows here. */
#include "http.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    int fd, listener = http_listen(argc, argv, true), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64], e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(epoll, events, 64, http_wait_ms());
        if (n < 0)
            return 1;
        bool knocked = false;
        for (int i = 0; i < n; i++) {
            struct http *h = events[i].data.ptr;
            if (!h)
                knocked = true;
            else
                http_step(h);
        }
        http_step_due(NULL);
        while (knocked && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            e = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = http_open(fd)};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
            http_step(e.data.ptr);
        }
    }
}
