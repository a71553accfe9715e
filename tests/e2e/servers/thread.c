/* thread.c: a blocking accept loop, a thread for each connection, blocking reads and writes. */
#include "http.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

static void *serve(void *arg)
{
    struct http *h = arg;
    while (http_step(h) == HTTP_TIME) {
        uint64_t now = http_now(), left = http_due(h) > now ? http_due(h) - now : 0;
        nanosleep(&(struct timespec){(time_t)(left / 1000), (long)(left % 1000) * 1000000}, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int listener = http_listen(argc, argv, false);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 * 1024);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            pthread_create(&thread, &detached, serve, http_open(fd));
    }
}
