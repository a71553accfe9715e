/* select.c: one thread, select, nonblocking. */
#include "http.h"

#include <stddef.h>
#include <sys/select.h>
#include <sys/socket.h>

static int watch(int listener, fd_set *in, fd_set *out)
{
    int highest = listener;
    FD_ZERO(in);
    FD_ZERO(out);
    FD_SET(listener, in);
    for (struct http *h = http_first(); h; h = http_next(h)) {
        if (http_waits(h) != HTTP_TIME)
            FD_SET(http_fd(h), http_waits(h) == HTTP_INPUT ? in : out);
        if (http_fd(h) > highest)
            highest = http_fd(h);
    }
    return highest + 1;
}

int main(int argc, char **argv)
{
    int fd, listener = http_listen(argc, argv, true);
    for (;;) {
        fd_set in, out;
        int count = watch(listener, &in, &out), ms = http_wait_ms();
        struct timeval wait = {ms / 1000, ms % 1000 * 1000};
        if (select(count, &in, &out, NULL, ms < 0 ? NULL : &wait) < 0)
            return 1;
        for (struct http *h = http_first(), *next; h; h = next) {
            next = http_next(h);
            if (http_waits(h) != HTTP_TIME && (FD_ISSET(http_fd(h), &in) || FD_ISSET(http_fd(h), &out)))
                http_step(h);
        }
        http_step_due(NULL);
        if (FD_ISSET(listener, &in))
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                http_step(http_open(fd));
    }
}
