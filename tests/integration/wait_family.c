/* wait_family.c: calls that no SA_RESTART restarts (signal(7)). A drain that begins while the program waits in one is
 * not noticed: no EINTR, and the time is what was asked for; a signal of the program's own still interrupts. */
#include "check.h"

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static int lfd, ep, pair[2], last_error;

/* How long the wait is asked to be. */
static int span_ms;
static struct timespec span;

static struct timespec *at_end_of(clockid_t clock)
{
    static struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += span.tv_sec + (t.tv_nsec + span.tv_nsec) / 1000000000L;
    t.tv_nsec += span.tv_nsec;
    t.tv_nsec %= 1000000000L;
    return &t;
}

static struct timespec *at_end(void)
{
    return at_end_of(CLOCK_MONOTONIC);
}

static struct timespec copy;
static struct timespec *fresh(void)
{
    copy = span;
    return &copy;
}

static struct timeval *fresh_tv(void)
{
    static struct timeval t;
    t.tv_sec = span.tv_sec;
    t.tv_usec = span.tv_nsec / 1000;
    return &t;
}

static char byte;
static struct epoll_event event;
static struct pollfd one_fd;
static struct pollfd *unready(void)
{
    one_fd = (struct pollfd){pair[0], POLLIN, 0};
    return &one_fd;
}

static fd_set *unready_set(void)
{
    static fd_set set;
    FD_ZERO(&set);
    FD_SET(pair[0], &set);
    return &set;
}

/* The error itself, as clock_nanosleep returns it. */
static int by_error(int err)
{
    errno = err;
    return err ? -1 : 0;
}

/* ---- what a request waits for: an upstream, a lock ---- */

/* A socket of the program's own, with a time-out in both directions, from which nothing comes and which takes nothing
 * more. */
static int upstream(void)
{
    static const char much[4096];
    int own[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, own) == 0);
    setsockopt(own[0], SOL_SOCKET, SO_RCVTIMEO, fresh_tv(), sizeof(struct timeval));
    setsockopt(own[0], SOL_SOCKET, SO_SNDTIMEO, fresh_tv(), sizeof(struct timeval));
    while (send(own[0], much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    return own[0];
}

static struct iovec one_byte = {&byte, 1};
static struct msghdr one_message = {.msg_iov = &one_byte, .msg_iovlen = 1};
static struct mmsghdr one_of_many;
static struct mmsghdr *many(void)
{
    one_of_many.msg_hdr = one_message;
    return &one_of_many;
}

/* A socket with a time-out that connects to a listener whose queue is full. None of these outlives the call: whose
 * queue is full is waited for in a drain. */
static int connect_to_full(struct sockaddr *a, socklen_t n)
{
    enum { ENOUGH = 4 };
    int others[ENOUGH], l = socket(a->sa_family, SOCK_STREAM, 0), s = socket(a->sa_family, SOCK_STREAM, 0);
    CHECK(bind(l, a, n) == 0 && listen(l, 0) == 0);
    getsockname(l, a, &n);
    for (int i = 0; i < ENOUGH; i++) {
        others[i] = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(others[i], a, n);
    }
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, fresh_tv(), sizeof(struct timeval));
    int ret = connect(s, a, n), err = errno;
    close(l);
    close(s);
    for (int i = 0; i < ENOUGH; i++)
        close(others[i]);
    errno = err;
    return ret;
}

static int connect_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect_to_full((struct sockaddr *)&a, sizeof a);
}

static int connect_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "wait-family-%d", (int)getpid());
    return connect_to_full((struct sockaddr *)&a, sizeof a);
}

static int sem_id, msg_id;

static void remove_ipc(void)
{
    semctl(sem_id, 0, IPC_RMID);
    msgctl(msg_id, IPC_RMID, NULL);
}

static struct message {
    long type;
    char text[1024];
} message = {1, ""};

static void make_ipc(void)
{
    sem_id = semget(IPC_PRIVATE, 1, 0600);
    msg_id = msgget(IPC_PRIVATE, 0600);
    atexit(remove_ipc);
    CHECK(sem_id >= 0 && msg_id >= 0);
    while (msgsnd(msg_id, &message, sizeof message.text, IPC_NOWAIT) == 0)
        ;
}

static struct sembuf *down(void)
{
    static struct sembuf op = {0, -1, 0};
    return &op;
}

static sem_t *closed_sem(void)
{
    static sem_t sem;
    sem_init(&sem, 0, 0);
    return &sem;
}

static int splice_to_pipe(int from)
{
    int out[2];
    CHECK(pipe(out) == 0);
    return (int)splice(from, NULL, out[1], NULL, 1, 0);
}

static int sendfile_to(int to)
{
    int in = open("/proc/self/exe", O_RDONLY);
    return (int)sendfile(to, in, NULL, 1);
}

static int aio_suspend_for_pipe(void)
{
    static struct aiocb cb;
    static const struct aiocb *const list[] = {&cb};
    int in[2];
    CHECK(pipe(in) == 0);
    cb.aio_fildes = in[0];
    cb.aio_buf = &byte;
    cb.aio_nbytes = 1;
    CHECK(aio_read(&cb) == 0);
    return aio_suspend(list, 1, &span);
}

static int getevents(void)
{
    aio_context_t io = 0;
    struct io_event got;
    CHECK(syscall(SYS_io_setup, 1, &io) == 0);
    return (int)syscall(SYS_io_getevents, io, 1, 1, &got, &span);
}

static int word;

#ifdef __GLIBC__
/* The forms of _FORTIFY_SOURCE. */
extern int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
extern int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size);
extern ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
extern ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
extern ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, void *addr, socklen_t *len);
#endif

#define CALL(name, call)         \
    static int call_##name(void) \
    {                            \
        return (int)(call);      \
    }
CALL(epoll_wait, epoll_wait(ep, &event, 1, span_ms))
CALL(epoll_wait_forever, epoll_wait(ep, &event, 1, -1))
CALL(epoll_pwait, epoll_pwait(ep, &event, 1, span_ms, NULL))
CALL(poll, poll(unready(), 1, span_ms))
CALL(poll_forever, poll(unready(), 1, -1))
CALL(ppoll, ppoll(unready(), 1, &span, NULL))
CALL(select, select(pair[0] + 1, unready_set(), NULL, NULL, fresh_tv()))
CALL(select_forever, select(pair[0] + 1, unready_set(), NULL, NULL, NULL))
CALL(pselect, pselect(pair[0] + 1, unready_set(), NULL, NULL, &span, NULL))
CALL(nanosleep, nanosleep(&span, NULL))
CALL(nanosleep_rest, nanosleep(&span, fresh()))
CALL(nanosleep_same, nanosleep(fresh(), &copy))
CALL(clock_relative, by_error(clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL)))
CALL(clock_relative_rest, by_error(clock_nanosleep(CLOCK_MONOTONIC, 0, fresh(), &copy)))
CALL(clock_absolute, by_error(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at_end(), NULL)))
CALL(usleep, usleep((useconds_t)span_ms * 1000))
CALL(pause, pause())
CALL(recv, recv(pair[0], &byte, 1, 0))
CALL(read, read(pair[0], &byte, 1))
CALL(accept, accept(lfd, NULL, NULL))
CALL(accept4, accept4(lfd, NULL, NULL, 0))
#ifdef SYS_poll /* the newer architectures have only the calls that can say more */
CALL(raw_epoll_wait, syscall(SYS_epoll_wait, ep, &event, 1, span_ms))
CALL(raw_poll, syscall(SYS_poll, unready(), 1, span_ms))
CALL(raw_select, syscall(SYS_select, pair[0] + 1, unready_set(), NULL, NULL, fresh_tv()))
CALL(raw_pause, syscall(SYS_pause))
#endif
CALL(raw_epoll_pwait, syscall(SYS_epoll_pwait, ep, &event, 1, span_ms, NULL, 8))
CALL(raw_ppoll, syscall(SYS_ppoll, unready(), 1, fresh(), NULL, 8))
CALL(raw_pselect6, syscall(SYS_pselect6, pair[0] + 1, unready_set(), NULL, NULL, fresh(), NULL))
CALL(raw_nanosleep, syscall(SYS_nanosleep, &span, NULL))
CALL(raw_clock_nanosleep, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, fresh(), &copy))
CALL(raw_clock_nanosleep_null, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, NULL))
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 35)
CALL(epoll_pwait2, epoll_pwait2(ep, &event, 1, &span, NULL))
#define HAVE_PWAIT2
#endif
#ifdef SYS_epoll_pwait2
CALL(raw_epoll_pwait2, syscall(SYS_epoll_pwait2, ep, &event, 1, &span, NULL, 8))
#endif
CALL(poll_chk, __poll_chk(unready(), 1, span_ms, sizeof(struct pollfd)))
CALL(ppoll_chk, __ppoll_chk(unready(), 1, &span, NULL, sizeof(struct pollfd)))
CALL(read_chk, __read_chk(pair[0], &byte, 1, 1))
CALL(recv_chk, __recv_chk(pair[0], &byte, 1, 1, 0))
CALL(recvfrom_chk, __recvfrom_chk(pair[0], &byte, 1, 1, 0, NULL, NULL))
#endif

CALL(upstream_recv, recv(upstream(), &byte, 1, 0))
CALL(upstream_read, read(upstream(), &byte, 1))
CALL(upstream_readv, readv(upstream(), &one_byte, 1))
CALL(upstream_recvfrom, recvfrom(upstream(), &byte, 1, 0, NULL, NULL))
CALL(upstream_recvmsg, recvmsg(upstream(), &one_message, 0))
CALL(upstream_recvmmsg, recvmmsg(upstream(), many(), 1, 0, NULL))
CALL(upstream_send, send(upstream(), &byte, 1, 0))
CALL(upstream_write, write(upstream(), &byte, 1))
CALL(upstream_writev, writev(upstream(), &one_byte, 1))
CALL(upstream_sendto, sendto(upstream(), &byte, 1, 0, NULL, 0))
CALL(upstream_sendmsg, sendmsg(upstream(), &one_message, 0))
CALL(upstream_sendmmsg, sendmmsg(upstream(), many(), 1, 0))
CALL(upstream_sendfile, sendfile_to(upstream()))
CALL(upstream_splice, splice_to_pipe(upstream()))
CALL(upstream_raw_recvfrom, syscall(SYS_recvfrom, upstream(), &byte, 1, 0, NULL, NULL))
CALL(upstream_dup, recv(dup(upstream()), &byte, 1, 0))
CALL(connect_tcp, connect_tcp())
CALL(connect_unix, connect_unix())
CALL(semop, semop(sem_id, down(), 1))
CALL(semtimedop, semtimedop(sem_id, down(), 1, &span))
CALL(raw_semtimedop, syscall(SYS_semtimedop, sem_id, down(), 1, &span))
CALL(msgrcv, msgrcv(msg_id, &message, sizeof message.text, 2, 0))
CALL(msgsnd, msgsnd(msg_id, &message, sizeof message.text, 0))
CALL(sem_timedwait, sem_timedwait(closed_sem(), at_end_of(CLOCK_REALTIME)))
CALL(thrd_sleep, thrd_sleep(&span, NULL) == -1 ? by_error(EINTR) : 0)
CALL(thrd_sleep_same, thrd_sleep(fresh(), &copy) == -1 ? by_error(EINTR) : 0)
CALL(aio_suspend, aio_suspend_for_pipe())
CALL(raw_futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &span, NULL, 0))
CALL(raw_futex_bitset, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, at_end(), NULL, -1))
CALL(raw_io_getevents, getevents())

static const struct kind {
    const char *name;
    int (*call)(void);
    bool forever;
    bool times_out; /* by EAGAIN, not by 0; the time may begin anew */
    int error;      /* the error at the end of the time; 0: none */
} kinds[] = {
    {"epoll_wait", call_epoll_wait, false, false, 0},
    {"epoll_wait-forever", call_epoll_wait_forever, true, false, 0},
    {"epoll_pwait", call_epoll_pwait, false, false, 0},
#ifdef HAVE_PWAIT2
    {"epoll_pwait2", call_epoll_pwait2, false, false, 0},
#endif
    {"poll", call_poll, false, false, 0},
    {"poll-forever", call_poll_forever, true, false, 0},
    {"ppoll", call_ppoll, false, false, 0},
    {"select", call_select, false, false, 0},
    {"select-forever", call_select_forever, true, false, 0},
    {"pselect", call_pselect, false, false, 0},
    {"nanosleep", call_nanosleep, false, false, 0},
    {"nanosleep-rest", call_nanosleep_rest, false, false, 0},
    {"nanosleep-same", call_nanosleep_same, false, false, 0},
    {"clock_nanosleep", call_clock_relative, false, false, 0},
    {"clock_nanosleep-rest", call_clock_relative_rest, false, false, 0},
    {"clock_nanosleep-absolute", call_clock_absolute, false, false, 0},
    {"usleep", call_usleep, false, false, 0},
    {"pause", call_pause, true, false, 0},
    {"recv-SO_RCVTIMEO", call_recv, false, true, 0},
    {"read-SO_RCVTIMEO", call_read, false, true, 0},
    {"accept-SO_RCVTIMEO", call_accept, false, true, 0},
    {"accept4-SO_RCVTIMEO", call_accept4, false, true, 0},
#ifdef __GLIBC__
    {"__poll_chk", call_poll_chk, false, false, 0},
    {"__ppoll_chk", call_ppoll_chk, false, false, 0},
    {"__read_chk-SO_RCVTIMEO", call_read_chk, false, true, 0},
    {"__recv_chk-SO_RCVTIMEO", call_recv_chk, false, true, 0},
    {"__recvfrom_chk-SO_RCVTIMEO", call_recvfrom_chk, false, true, 0},
#endif
#ifdef SYS_poll
    {"raw-epoll_wait", call_raw_epoll_wait, false, false, 0},
    {"raw-poll", call_raw_poll, false, false, 0},
    {"raw-select", call_raw_select, false, false, 0},
    {"raw-pause", call_raw_pause, true, false, 0},
#endif
    {"raw-epoll_pwait", call_raw_epoll_pwait, false, false, 0},
#ifdef SYS_epoll_pwait2
#ifdef __GLIBC__
    {"raw-epoll_pwait2", call_raw_epoll_pwait2, false, false, 0},
#endif
#endif
    {"raw-ppoll", call_raw_ppoll, false, false, 0},
    {"raw-pselect6", call_raw_pselect6, false, false, 0},
    {"raw-nanosleep", call_raw_nanosleep, false, false, 0},
    {"raw-clock_nanosleep", call_raw_clock_nanosleep, false, false, 0},
    {"raw-clock_nanosleep-null", call_raw_clock_nanosleep_null, false, false, 0},
    {"upstream-recv", call_upstream_recv, false, false, EAGAIN},
    {"upstream-read", call_upstream_read, false, false, EAGAIN},
    {"upstream-readv", call_upstream_readv, false, false, EAGAIN},
    {"upstream-recvfrom", call_upstream_recvfrom, false, false, EAGAIN},
    {"upstream-recvmsg", call_upstream_recvmsg, false, false, EAGAIN},
    {"upstream-recvmmsg", call_upstream_recvmmsg, false, false, EAGAIN},
    {"upstream-send", call_upstream_send, false, false, EAGAIN},
    {"upstream-write", call_upstream_write, false, false, EAGAIN},
    {"upstream-writev", call_upstream_writev, false, false, EAGAIN},
    {"upstream-sendto", call_upstream_sendto, false, false, EAGAIN},
    {"upstream-sendmsg", call_upstream_sendmsg, false, false, EAGAIN},
    {"upstream-sendmmsg", call_upstream_sendmmsg, false, false, EAGAIN},
    {"upstream-sendfile", call_upstream_sendfile, false, false, EAGAIN},
    {"upstream-splice", call_upstream_splice, false, false, EAGAIN},
    {"upstream-raw_recvfrom", call_upstream_raw_recvfrom, false, false, EAGAIN},
    {"upstream-dup", call_upstream_dup, false, false, EAGAIN},
    {"connect-tcp", call_connect_tcp, false, false, EINPROGRESS},
    {"connect-unix", call_connect_unix, false, false, EAGAIN},
    {"semop", call_semop, true, false, 0},
    {"semtimedop", call_semtimedop, false, false, EAGAIN},
    {"raw-semtimedop", call_raw_semtimedop, false, false, EAGAIN},
    {"msgrcv", call_msgrcv, true, false, 0},
    {"msgsnd", call_msgsnd, true, false, 0},
    {"sem_timedwait", call_sem_timedwait, false, false, ETIMEDOUT},
    {"thrd_sleep", call_thrd_sleep, false, false, 0},
    {"thrd_sleep-same", call_thrd_sleep_same, false, false, 0},
    {"aio_suspend", call_aio_suspend, false, false, EAGAIN},
    {"raw-futex", call_raw_futex, false, false, ETIMEDOUT},
    {"raw-futex-bitset", call_raw_futex_bitset, false, false, ETIMEDOUT},
    {"raw-io_getevents", call_raw_io_getevents, false, false, 0},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static volatile sig_atomic_t handled;

static void handle(int sig)
{
    handled = sig;
}

/* wait KIND MS: a connection is accepted; then the call, once, on the same listener and connection; the request is
 * answered when a line comes on standard input. */
static int waits(char **args)
{
    const struct kind *k = kinds;
    char head[512];
    struct sigaction act = {.sa_handler = handle};
    while (strcmp(k->name, args[0]) != 0)
        k++;
    span_ms = atoi(args[1]);
    span = (struct timespec){span_ms / 1000, span_ms % 1000 * 1000000L};
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGWINCH, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    lfd = role_listen();
    pair[0] = accept(lfd, NULL, NULL);
    if (read(pair[0], head, sizeof head) <= 0)
        return 1;
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, fresh_tv(), sizeof(struct timeval));
    setsockopt(lfd, SOL_SOCKET, SO_RCVTIMEO, fresh_tv(), sizeof(struct timeval));
    make_ipc();
    ep = epoll_create1(0);
    struct epoll_event want = {EPOLLIN, {0}};
    epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &want);
    say("waits %s", k->name);
    double at = now_s();
    int ret = k->call();
    last_error = errno;
    say("waited %d %d %.6f %.6f %d", ret, ret < 0 ? last_error : 0, at, now_s(), (int)handled);
    hear(head, sizeof head);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    if (write(pair[0], answer, sizeof answer - 1) < 0)
        return 2;
    for (;;)
        if (handled == SIGTERM)
            return 9;
        else
            usleep(1000);
}

struct result {
    int ret, err, handled;
    double began, ended; /* by the clock of now_s() */
};

/* Start it and let it wait. Returns the client's connection. */
static int begin(struct child *c, const struct kind *k, const char *ms)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    child_start(c, &s, "wait", k->name, ms, NULL);
    int fd = client_connect(child_says_number(c, "port"));
    client_get(fd, "/");
    child_says(c, "waits");
    CHECK(await(sleeps, &c->pid));
    return fd;
}

static struct result end(struct child *c, int fd)
{
    struct result r;
    CHECK(sscanf(child_says(c, "waited"), "%d %d %lf %lf %d", &r.ret, &r.err, &r.began, &r.ended, &r.handled) == 5);
    child_drains(c);
    child_tell(c, "answer");
    client_expect(fd, "done", true);
    child_exits(c, 9);
    close(fd);
    CHECK(report_says(c, "end", "drained"));
    return r;
}

/* ---- a drain that begins in the middle of a wait ------------------------------------------------------------ */

/* Several at once: most of the time is theirs. A wait of SHORT_MS is tried first; where nothing is shown, one twice as
 * long, and so on. */
enum { AT_ONCE = 8, SHORT_MS = 600, LONG_MS = SHORT_MS << 5 };

static struct in_the_middle {
    const struct kind *kind;
    struct child c;
    int fd, ms;
    double signalled;
    bool shown;
} middle[KINDS];

/* A wait that began anew at the signal would end its whole time after that, or later. One that ends before has gone on.
 * On a busy machine the one that goes on may end as late as the other: then nothing is shown, and it is tried again. */
static bool is_shown(const struct in_the_middle *m, const struct result *r)
{
    const struct kind *k = m->kind;
    if (k->forever) {
        CHECK(r->ret == -1 && r->err == EINTR && r->handled == SIGUSR1, "%s: %d, errno %d", k->name, r->ret, r->err);
        return true;
    }
    int error = k->times_out ? EAGAIN : k->error;
    if (error)
        CHECK(r->ret == -1 && r->err == error && r->handled == 0, "%s: %d, errno %d", k->name, r->ret, r->err);
    else
        CHECK(r->ret == 0 && r->handled == 0, "%s: %d, errno %d, handled %d", k->name, r->ret, r->err, r->handled);
    double waited = r->ended - r->began;
    CHECK(waited >= (m->ms - 1) / 1000.0, "%s: it has waited for %.3f s only", k->name, waited);
    if (m->signalled >= r->began + m->ms * 0.75 / 1000)
        return false;
    /* A receive time-out begins anew: to know what is left of it, every read would have to look at the clock. */
    return k->times_out || r->ended < m->signalled + m->ms / 1000.0;
}

static void drain_in_the_middle(struct in_the_middle *const *some, int count)
{
    char ms[16];
    snprintf(ms, sizeof ms, "%d", some[0]->ms);
    for (int i = 0; i < count; i++)
        some[i]->fd = begin(&some[i]->c, some[i]->kind, ms);
    /* Some of the time must be over, or a wait that begins anew is as long as one that does not. */
    poll(NULL, 0, some[0]->ms / 3);
    for (int i = 0; i < count; i++) {
        some[i]->signalled = now_s();
        child_signal(&some[i]->c, SIGTERM);
    }
    for (int i = 0; i < count; i++)
        if (some[i]->kind->forever) {
            child_drains(&some[i]->c);
            CHECK(await(sleeps, &some[i]->c.pid) && !child_said(&some[i]->c, "waited"), "%s", some[i]->kind->name);
            child_signal(&some[i]->c, SIGUSR1);
        }
    for (int i = 0; i < count; i++) {
        struct result r = end(&some[i]->c, some[i]->fd);
        some[i]->shown = is_shown(some[i], &r);
        some[i]->ms *= 2;
        close(some[i]->c.in);
        close(some[i]->c.out);
    }
}

static void not_noticed(void)
{
    struct in_the_middle *some[AT_ONCE];
    for (int i = 0; i < KINDS; i++)
        middle[i] = (struct in_the_middle){.kind = &kinds[i], .ms = SHORT_MS};
    for (int ms = SHORT_MS; ms <= LONG_MS; ms *= 2)
        for (int from = 0; from < KINDS;) {
            int count = 0;
            for (; from < KINDS && count < AT_ONCE; from++)
                if (!middle[from].shown)
                    some[count++] = &middle[from];
            if (count > 0)
                drain_in_the_middle(some, count);
        }
    for (int i = 0; i < KINDS; i++)
        CHECK(middle[i].shown, "%s begins anew: even a wait of %d ms was not over in that time after the signal",
              kinds[i].name, LONG_MS);
}

/* ---- a signal of the program's own --------------------------------------------------------------------------- */

static void send_during_the_drain(struct child *c, int own)
{
    child_signal(c, SIGTERM);
    child_drains(c);
    CHECK(await(sleeps, &c->pid));
    child_signal(c, own);
}

/* Both are pending when the wait is interrupted; the lower number is delivered first. One that comes only as our
 * handler returns would be too late for any handler with SA_RESTART: the kernel has decided by then to make the call
 * again. */
static void send_together(struct child *c, int own)
{
    child_signal(c, SIGSTOP);
    CHECK(await(is_stopped, &c->pid));
    child_signal(c, SIGTERM);
    child_signal(c, own);
    child_signal(c, SIGCONT);
}

/* The program's signal interrupts as ever; the wait alone would last longer than any test may. */
static void own_signal_interrupts(void (*send)(struct child *c, int own), int own)
{
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        struct child c;
        int fd = begin(&c, k, "100000");
        send(&c, own);
        struct result r = end(&c, fd);
        CHECK(r.ret == -1 && r.err == EINTR && r.handled == own, "%s: %d, errno %d, handled %d", k->name, r.ret, r.err,
              r.handled);
    }
}

static void during_the_drain(void)
{
    own_signal_interrupts(send_during_the_drain, SIGUSR1);
}

static void just_before_ours(void)
{
    own_signal_interrupts(send_together, SIGUSR1);
}

static void just_after_ours(void)
{
    own_signal_interrupts(send_together, SIGWINCH);
}

/* ---- transfers that a signal cuts short ------------------------------------------------------------------------- */

/* More than the buffers of both sockets hold. */
enum { MUCH = 24 << 20, PIECES = 16 };
static char much[MUCH];

static ssize_t in_pieces(int fd, bool as_message)
{
    struct iovec v[PIECES];
    struct msghdr m = {.msg_iov = v, .msg_iovlen = PIECES};
    for (int i = 0; i < PIECES; i++)
        v[i] = (struct iovec){much + i * (MUCH / PIECES), MUCH / PIECES};
    return as_message ? sendmsg(fd, &m, 0) : writev(fd, v, PIECES);
}

static ssize_t from_file(int fd)
{
    FILE *file = tmpfile();
    off_t at = 0;
    CHECK(file && fwrite(much, 1, MUCH, file) == MUCH && fflush(file) == 0);
    return sendfile(fd, fileno(file), &at, MUCH);
}

static ssize_t transfer_by(const char *how, int fd)
{
    if (strcmp(how, "write") == 0)
        return write(fd, much, MUCH);
    if (strcmp(how, "send") == 0)
        return send(fd, much, MUCH, 0);
    if (strcmp(how, "sendfile") == 0)
        return from_file(fd);
    if (strcmp(how, "recv-waitall") == 0)
        return recv(fd, much, MUCH, MSG_WAITALL);
    return in_pieces(fd, strcmp(how, "sendmsg") == 0);
}

/* transfer HOW: a request whose response, or whose body, is moved by one call. */
static int transfers(char **args)
{
    char head[512];
    bool in = strcmp(args[0], "recv-waitall") == 0;
    int l = role_listen(), fd = accept(l, NULL, NULL);
    for (int i = 0; i < MUCH; i++)
        much[i] = (char)('a' + i % 23);
    ssize_t n = 0;
    do
        n += read(fd, head + n, 1); /* no more than the head */
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0);
    n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", in ? 0 : MUCH);
    if (!in)
        CHECK(write(fd, head, (size_t)n) == n);
    say("transfers");
    long moved = (long)transfer_by(args[0], fd);
    if (in)
        CHECK(write(fd, head, (size_t)n) == n);
    say("moved %ld", moved);
    role_pause();
}

static void push(int fd, int n)
{
    for (int done = 0; done < n;) {
        ssize_t sent = send(fd, much, (size_t)(n - done < MUCH ? n - done : MUCH), MSG_NOSIGNAL);
        CHECK(sent > 0);
        done += (int)sent;
    }
}

static void pull(int fd)
{
    const struct timeval bound = {HANG_S, 0};
    long done = 0;
    ssize_t got;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    while ((got = recv(fd, much, sizeof much, 0)) > 0)
        done += got;
    CHECK(got == 0 && done >= MUCH, "%ld bytes, then %s", done, got < 0 ? strerror(errno) : "the end");
}

static void transfer_is_whole(const char *how)
{
    struct child c;
    bool in = strcmp(how, "recv-waitall") == 0;
    child_start(&c, NULL, "transfer", how, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    char head[128];
    snprintf(head, sizeof head, "%s / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", in ? "POST" : "GET",
             in ? MUCH : 0);
    client_send(fd, head);
    child_says(&c, "transfers");
    if (in)
        push(fd, MUCH / 2);
    CHECK(await(sleeps, &c.pid));
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(sleeps, &c.pid));
    if (in)
        push(fd, MUCH - MUCH / 2);
    else
        pull(fd);
    CHECK(child_says_number(&c, "moved") == MUCH, "%s: %s", how, child_output(&c));
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "aborted") == 0);
}

static void transfers_are_whole(void)
{
    static const char *const ways[] = {"write", "writev", "send", "sendmsg", "sendfile", "recv-waitall"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        transfer_is_whole(ways[i]);
}

/* ---- sleep(3) counts whole seconds ------------------------------------------------------------------------ */

/* sleep SECONDS */
static int sleeper(char **args)
{
    role_serve_threads(role_listen());
    say("sleeps");
    double at = now_s();
    unsigned rest = sleep((unsigned)atoi(args[0]));
    say("slept %u %.6f %.6f", rest, at, now_s());
    role_pause();
}

static void sleep_is_as_long(void)
{
    struct child c;
    unsigned rest;
    char seconds[16];
    int asked = 1 + check_try();
    double began, ended;
    snprintf(seconds, sizeof seconds, "%d", asked);
    child_start(&c, NULL, "sleep", seconds, NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    child_says(&c, "sleeps");
    client_get(fd, "/hold");
    child_says(&c, "held");
    poll(NULL, 0, 500);
    double signalled = now_s();
    child_signal(&c, SIGTERM);
    CHECK(sscanf(child_says(&c, "slept"), "%u %lf %lf", &rest, &began, &ended) == 3);
    CHECK(rest == 0 && ended - began >= asked - 0.001, "rest %u, after %.3f s", rest, ended - began);
    if (signalled >= began + asked * 0.75)
        check_again("the signal came %.3f s after the sleep began", signalled - began);
    if (ended >= signalled + asked)
        check_again("it ended %.3f s after the signal: as if it began anew", ended - signalled);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_dies(&c, SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"wait-family/a-drain-is-not-noticed", not_noticed},
        {"wait-family/own-signal-during-the-drain", during_the_drain},
        {"wait-family/own-signal-just-before-ours", just_before_ours},
        {"wait-family/own-signal-just-after-ours", just_after_ours},
        {"wait-family/transfers", transfers_are_whole},
        {"wait-family/sleep", sleep_is_as_long},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"wait", waits}, {"transfer", transfers}, {"sleep", sleeper}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
