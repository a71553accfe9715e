/* poll.c: one thread, poll, nonblocking, one accept a turn. */
#include "http.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

enum { MOST = 4096 };
static struct pollfd polled[MOST];
static struct http *of[MOST];

static nfds_t watch(int listener)
{
    nfds_t n = 1;
    polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (struct http *h = http_first(); h && n < MOST; h = http_next(h), n++) {
        static const short events[] = {[HTTP_INPUT] = POLLIN, [HTTP_OUTPUT] = POLLOUT, [HTTP_TIME] = 0};
        polled[n] = (struct pollfd){.fd = http_fd(h), .events = events[http_waits(h)]};
        of[n] = h;
    }
    return n;
}

int main(int argc, char **argv)
{
    int listener = http_listen(argc, argv, true);
    for (;;) {
        nfds_t n = watch(listener);
        if (poll(polled, n, http_wait_ms()) < 0)
            return 1;
        for (nfds_t i = 1; i < n; i++)
            if (polled[i].events && polled[i].revents)
                http_step(of[i]);
        http_step_due(NULL);
        int fd = polled[0].revents ? accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            http_step(http_open(fd));
    }
}
