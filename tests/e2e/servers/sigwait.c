/* sigwait.c: worker threads accept and serve; the main thread is in sigwait and exits at once, with status
 * 41, when TERM comes. */
#include "http.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { WORKERS = 96 }; /* a worker keeps its connection to the end: more than the clients of any scenario */

static void serve(struct http *h)
{
    while (http_step(h) == HTTP_TIME) {
        uint64_t now = http_now(), left = http_due(h) > now ? http_due(h) - now : 0;
        nanosleep(&(struct timespec){(time_t)(left / 1000), (long)(left % 1000) * 1000000}, NULL);
    }
}

static void *work(void *arg)
{
    for (;;) {
        int fd = accept(*(int *)arg, NULL, NULL);
        if (fd >= 0)
            serve(http_open(fd));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static int listener;
    sigset_t term;
    int got;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    listener = http_listen(argc, argv, false);
    for (int i = 0; i < WORKERS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, &listener);
    }
    while (sigwait(&term, &got) || got != SIGTERM)
        ;
    exit(41);
}
