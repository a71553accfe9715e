/* races.c: the shim and its hooks under ThreadSanitizer: 64 threads read, write, copy and close one connection at once,
 * while the drain thread looks at it; in service, and in a drain. What TSan reports is a failure.
 *
 * The hooks are linked in under other names, and their real calls are the raw ones of before the constructor: TSan sees
 * neither these nor any order that they make, so nothing is hidden by it.
 *
 * races [ROUNDS]: connections in each part. */
#include "hook/hook.h"
#include "drain/scan.h"
#include "track/conn_log.h"
#include "shim.h"

#include "group/group.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { THREADS = 64, TURNS = 20 };

static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#define CHECK(cond)                                                                                  \
    do {                                                                                             \
        if (!(cond)) {                                                                               \
            printf("FAIL tsan/races: %s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, strerror(errno)); \
            _exit(1);                                                                                \
        }                                                                                            \
    } while (0)

/* ---- a listener, and connections of it ---- */

static int listener;
static struct sockaddr_in address;

static void serve(void)
{
    socklen_t n = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(hook_bind(listener, &address, sizeof address) == 0);
    CHECK(hook_listen(listener, 64) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &n) == 0);
    CHECK(self_armed());
}

/* The program's end of it; *client the other. */
static int connection(int *client)
{
    int fd;
    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(*client, (struct sockaddr *)&address, sizeof address) == 0);
    fcntl(*client, F_SETFL, O_NONBLOCK);
    do
        fd = hook_accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EAGAIN);
    CHECK(fd >= 0);
    return fd;
}

/* ---- what the threads do with it ---- */

static int fd, client;
static pthread_barrier_t begin, end;
static bool over;

static void use(unsigned who, unsigned turn)
{
    char buf[256];
    struct iovec pieces[2] = {{(void *)response, 20}, {(void *)(response + 20), sizeof response - 21}};
    switch ((who + turn * 5) % 8) {
    case 0:
    case 1: hook_read(fd, buf, sizeof buf); break;
    case 2: hook_recv(fd, buf, 7, MSG_DONTWAIT); break;
    case 3:
    case 4: hook_write(fd, response, sizeof response - 1); break;
    case 5: hook_writev(fd, pieces, 2); break;
    case 6: sys6(SYS_sendto, client, request, sizeof request - 1, MSG_NOSIGNAL, 0, 0); break;
    default: sys6(SYS_recvfrom, client, buf, sizeof buf, MSG_DONTWAIT, 0, 0);
    }
}

/* Each with connections of its own: the entries of the table go round. */
static void use_own(void)
{
    char buf[256];
    for (unsigned turn = 0; turn < TURNS / 4; turn++) {
        int its_client, its = connection(&its_client);
        sys6(SYS_sendto, its_client, request, sizeof request - 1, MSG_NOSIGNAL, 0, 0);
        hook_read(its, buf, sizeof buf);
        hook_write(its, response, sizeof response - 1);
        if (turn % 2)
            hook_close(its);
        else
            hook_dup2(listener, its); /* ends it too, and is one more of the listener's */
        if (turn % 2 == 0)
            hook_close(its);
        close(its_client);
    }
}

static void *thread(void *arg)
{
    unsigned who = (unsigned)(uintptr_t)arg;
    for (;;) {
        pthread_barrier_wait(&begin);
        if (over)
            return NULL;
        if (fd < 0)
            use_own();
        for (unsigned turn = 0; fd >= 0 && turn < TURNS; turn++)
            use(who, turn);
        if (who == 3 && fd >= 0)
            hook_shutdown(fd, SHUT_WR);
        if ((who == 5 || who == 6) && fd >= 0)
            hook_close(hook_dup(fd));
        pthread_barrier_wait(&end);
    }
}

/* ---- our signal handler, in all threads at once: each thread knows its own runs, and no other's ---- */

enum { RUNS = 4000 };

static void *runs(void *unused)
{
    int tid = (int)syscall(SYS_gettid);
    (void)unused;
    pthread_barrier_wait(&begin);
    for (unsigned i = 0; i < RUNS; i++) {
        unsigned before = eintr_runs();
        CHECK(!eintr_is_ours(before));
        eintr_note_run(tid);
        CHECK(eintr_is_ours(before));
        CHECK(!eintr_is_ours(eintr_runs()));
        eintr_note_run(-tid);
        CHECK(!eintr_is_ours(before));
    }
    return NULL;
}

static void runs_are_exact(void)
{
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&begin, NULL, THREADS) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, runs, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- who looks on ---- */

static bool looking_ends;

static void *look(void *unused)
{
    struct census census;
    (void)unused;
    for (bool first = true; !__atomic_load_n(&looking_ends, __ATOMIC_ACQUIRE); first = false) {
        memset(&census, 0, sizeof census);
        scan_connections(&census, clock_now(), first);
        sys0(SYS_sched_yield);
    }
    return NULL;
}

/* ---- the parts ---- */

static void rounds(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fd = connection(&client);
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
        hook_close(fd);
        close(client);
    }
    fd = -1;
    for (unsigned i = 0; i < count / 8 + 1; i++) {
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
    }
}

static void drain_begins(void)
{
    deferred.first_signal = SIGTERM;
    deferred.signal_at = clock_now();
    deferred.begun = 1;
    wake_open();
    conn_log_open(NULL, UINT32_MAX, NULL, NULL);
    __atomic_store_n(&deferred.phase, DRAIN_LAME_DUCK, __ATOMIC_SEQ_CST);
}

int main(int argc, char **argv)
{
    static const char *const env[] = {"LASTCALL_IDLE=5ms", "LASTCALL_LINGER=5ms", "LASTCALL_REPORT=/dev/null",
                                      "LASTCALL_REPORT_CONNECTIONS=1", NULL};
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    struct options_error complaints[4];
    pthread_t threads[THREADS], looker;
    signal(SIGPIPE, SIG_IGN);
    CHECK(options_read(&config, env, complaints, 4) == 0);
    self_switch_on();
    serve();
    runs_are_exact();
    pthread_barrier_init(&begin, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
    rounds(count);
    drain_begins();
    CHECK(pthread_create(&looker, NULL, look, NULL) == 0);
    rounds(count);
    __atomic_store_n(&looking_ends, true, __ATOMIC_RELEASE);
    pthread_join(looker, NULL);
    over = true;
    pthread_barrier_wait(&begin);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("ok tsan/races: %u connections, each used by %d threads\n", 2 * count, THREADS);
    fflush(stdout);
    _exit(0);
}
