/* signalfd.c: TERM is blocked and read from a signalfd in the (level-triggered) epoll loop; it exits at
 * once when it reads it, with status 40. */
#include "http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int epoll;

static void watch(struct http *h)
{
    static const uint32_t events[] = {[HTTP_INPUT] = EPOLLIN, [HTTP_OUTPUT] = EPOLLOUT, [HTTP_TIME] = 0};
    struct epoll_event e = {.events = events[http_waits(h)], .data.ptr = h};
    epoll_ctl(epoll, EPOLL_CTL_MOD, http_fd(h), &e);
}

static void take(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = http_open(fd)};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void told(int signals)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGTERM)
        exit(40);
}

int main(int argc, char **argv)
{
    static int listener, signals; /* their addresses mark them in epoll */
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    signals = signalfd(-1, &term, SFD_NONBLOCK | SFD_CLOEXEC);
    listener = http_listen(argc, argv, true);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &signals});
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &listener});
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, http_wait_ms());
        if (n < 0 && errno == EINTR)
            continue; /* stopped and continued: signal(7). TERM is blocked, it interrupts nothing */
        if (n < 0)
            return 1;
        for (int i = 0; i < n; i++) {
            struct http *h = events[i].data.ptr;
            if (events[i].data.ptr == &signals)
                told(signals);
            else if (events[i].data.ptr == &listener)
                take(listener);
            else if (http_step(h) != HTTP_CLOSED)
                watch(h);
        }
        http_step_due(watch);
    }
}
