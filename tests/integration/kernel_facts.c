/* kernel_facts.c: what the design takes for granted of the kernel (DESIGN section 5), each told by itself, so
 * that a kernel on which it is otherwise says so here and not as a riddle in a drain. Nothing is preloaded. */
#include "sockets.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/wait.h>

enum { CLIENTS = 64 };

static int hide(int fd)
{
    int index = NO_SUCH_DEVICE;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX_, &index, sizeof index);
}

/* ---- listeners ---- */

static void talk(int server, int client)
{
    char byte;
    CHECK(send(client, "q", 1, MSG_NOSIGNAL) == 1 && recv(server, &byte, 1, 0) == 1 && byte == 'q', "%s",
          strerror(errno));
    CHECK(send(server, "a", 1, MSG_NOSIGNAL) == 1 && recv(client, &byte, 1, 0) == 1 && byte == 'a', "%s",
          strerror(errno));
}

static void hide_and_serve(int listener, int family, int other_family)
{
    int client[CLIENTS];
    long port = port_of(listener);
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = try_connect(i % 2 ? family : other_family, port);
        CHECK(client[i] >= 0, "%s", strerror(-client[i]));
    }
    CHECK(tcp_info(listener).tcpi_unacked == CLIENTS, "%u queued", tcp_info(listener).tcpi_unacked);
    CHECK(hide(listener) == 0, "%s", strerror(errno));
    CHECK(try_connect(family, port) == -ECONNREFUSED && try_connect(other_family, port) == -ECONNREFUSED);
    CHECK(tcp_info(listener).tcpi_unacked == CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        int index = -1, fd = accept(listener, NULL, NULL);
        socklen_t len = sizeof index;
        CHECK(fd >= 0);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX_, &index, &len) == 0 && index == 0, "bound to %d", index);
        talk(fd, client[i]);
    }
    CHECK(tcp_info(listener).tcpi_unacked == 0 && !readable(listener, 0));
}

static void hiding_keeps_the_queue(void)
{
    hide_and_serve(listener_at(AF_INET, 0, false, false), AF_INET, AF_INET);
}

static void hiding_needs_no_privilege(void)
{
    CHECK(geteuid() != 0 || (setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0));
    hide_and_serve(listener_at(AF_INET, 0, false, false), AF_INET, AF_INET);
}

static void hiding_dual_stack(void)
{
    hide_and_serve(listener_at(AF_INET6, 0, true, false), AF_INET6, AF_INET);
}

/* The thread that is about to block; 0: there is none yet. */
static volatile pid_t blocking_tid;

static bool is_blocked(void *tid)
{
    return *(volatile pid_t *)tid != 0 && sleeps(tid);
}

static void *accept_one(void *arg)
{
    blocking_tid = gettid();
    return (void *)(intptr_t)accept((int)(intptr_t)arg, NULL, NULL);
}

/* Blocked in accept while the listener is hidden: neither woken nor lost. Only its own late handshake could wake it. */
static void hiding_leaves_a_blocked_accept(void)
{
    pthread_t t;
    void *got;
    int l = listener_at(AF_INET, 0, false, false);
    CHECK(pthread_create(&t, NULL, accept_one, (void *)(intptr_t)l) == 0);
    CHECK(await(is_blocked, (void *)&blocking_tid));
    CHECK(hide(l) == 0);
    CHECK(pthread_tryjoin_np(t, &got) == EBUSY);
    poll(NULL, 0, 20);
    CHECK(is_blocked((void *)&blocking_tid) && pthread_tryjoin_np(t, &got) == EBUSY);
}

static int lost_by(int (*how)(int))
{
    int client[CLIENTS], lost = 0, l = listener_at(AF_INET, 0, false, false);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = try_connect(AF_INET, port_of(l));
    how(l);
    for (int i = 0; i < CLIENTS; i++) {
        char byte;
        lost += recv(client[i], &byte, 1, 0) < 0 && errno == ECONNRESET;
        close(client[i]);
    }
    return lost;
}

static int shut_rd(int fd)
{
    return shutdown(fd, SHUT_RD);
}

static void closing_resets_the_queue(void)
{
    CHECK(lost_by(close) == CLIENTS);
    CHECK(lost_by(shut_rd) == CLIENTS);
}

enum { SYN_SENT = 2, CLOSE_WAIT = 8 }; /* tcp_states.h */

/* Connected, or had to repeat its SYN: nobody has answered. */
static bool is_decided(void *fd)
{
    struct tcp_info info = tcp_info(*(int *)fd);
    return info.tcpi_state != SYN_SENT || info.tcpi_total_retrans > 0;
}

/* What drain/listeners.c avoids: a hidden member of a SO_REUSEPORT group is still picked, and then answers nobody. */
static void hiding_one_of_a_group_is_a_black_hole(void)
{
    enum { TRIES = 40 };
    int one = listener_at(AF_INET, 0, false, true), client[TRIES], waiting = 0;
    union address a;
    socklen_t len = loopback(&a, AF_INET, port_of(one));
    listener_at(AF_INET, port_of(one), false, true);
    CHECK(hide(one) == 0);
    for (int i = 0; i < TRIES; i++) {
        client[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(connect(client[i], &a.any, len) == 0 || errno == EINPROGRESS);
    }
    for (int i = 0; i < TRIES; i++) {
        CHECK(await(is_decided, &client[i]));
        waiting += tcp_info(client[i]).tcpi_state == SYN_SENT;
    }
    CHECK(waiting > 0 && waiting < TRIES, "%d of %d wait", waiting, TRIES);
}

static void hiding_a_deferred_listener(void)
{
    int secs = 5, l = listener_at(AF_INET, 0, false, false);
    CHECK(setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &secs, sizeof secs) == 0);
    int client = try_connect(AF_INET, port_of(l));
    CHECK(client >= 0 && !readable(l, 50));
    CHECK(tcp_info(l).tcpi_unacked == 0, "it is in the queue before it has spoken");
    CHECK(hide(l) == 0);
    CHECK(send(client, "q", 1, 0) == 1);
    CHECK(readable(l, HANG_MS));
    int fd = accept(l, NULL, NULL);
    char byte;
    CHECK(fd >= 0 && recv(fd, &byte, 1, 0) == 1 && send(fd, "a", 1, 0) == 1 && recv(client, &byte, 1, 0) == 1);
}

/* ---- AF_UNIX ---- */

static void unix_shut_keeps_the_queue(void)
{
    char name[64];
    int client[20];
    snprintf(name, sizeof name, "lastcall-fact-%d", (int)getpid());
    int l = unix_listener(name);
    for (int i = 0; i < 20; i++)
        CHECK((client[i] = try_unix(name)) >= 0);
    CHECK(shutdown(l, SHUT_RD) == 0);
    CHECK(try_unix(name) == -ECONNREFUSED);
    for (int i = 0; i < 20; i++) {
        int fd = accept(l, NULL, NULL);
        CHECK(fd >= 0, "%d: %s", i, strerror(errno));
        talk(fd, client[i]);
    }
    CHECK(accept(l, NULL, NULL) < 0 && errno == EINVAL, "%s", strerror(errno));
    nonblock(l);
    CHECK(accept(l, NULL, NULL) < 0 && errno == EAGAIN, "%s", strerror(errno));
    CHECK(readable(l, 0), "it does not poll readable for ever: then no placeholder is needed");
}

static void placeholder_is_never_readable(void)
{
    sa_family_t family = AF_UNIX;
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP, {0}};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    CHECK(bind(fd, (struct sockaddr *)&family, sizeof family) == 0 && listen(fd, 0) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(epoll_wait(ep, &event, 1, 50) == 0, "event %x", event.events);
    CHECK(!readable(fd, 0));
    CHECK(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
}

static void fdinfo_lists_an_epoll_set(void)
{
    char path[64], line[256];
    bool found = false;
    int fd = listener_at(AF_INET, 0, false, false), ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 0x123456789abcdef0}};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", ep);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        int tfd;
        unsigned events;
        unsigned long long data;
        if (sscanf(line, "tfd: %d events: %x data: %llx", &tfd, &events, &data) == 3)
            found = tfd == fd && data == event.data.u64 && (events & EPOLLIN) && (events & EPOLLET);
    }
    CHECK(found);
}

/* ---- the kernel's counts ---- */

static bool fin_is_here(void *fd)
{
    return tcp_info(*(int *)fd).tcpi_state == CLOSE_WAIT;
}

/* +1 after the peer's FIN. */
static void counts_tell_what_was_read(void)
{
    char buf[5000];
    int near, far, total = 0;
    tcp_pair(&near, &far);
    memset(buf, 'x', sizeof buf);
    for (int sent = 0, got = 0; sent < 50000;) {
        CHECK(send(far, buf, sizeof buf, 0) == (ssize_t)sizeof buf);
        sent += (int)sizeof buf;
        CHECK(readable(near, HANG_MS));
        got += (int)recv(near, buf, 1 + (size_t)sent % 777, 0);
        struct tcp_info info = tcp_info(near);
        CHECK((int)info.tcpi_bytes_received - queue_bytes(near, SIOCINQ_) == got, "%d: received %d, unread %d", got,
              (int)info.tcpi_bytes_received, queue_bytes(near, SIOCINQ_));
        total = sent;
    }
    CHECK(shutdown(far, SHUT_WR) == 0 && await(fin_is_here, &near));
    CHECK((int)tcp_info(near).tcpi_bytes_received == total + 1, "%d of %d", (int)tcp_info(near).tcpi_bytes_received,
          total);
}

static void counts_tell_what_was_written(void)
{
    char buf[30000] = "";
    int near, far, small = 8192;
    tcp_pair(&near, &far);
    nonblock(near);
    setsockopt(far, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    long written = 0;
    for (ssize_t n; (n = send(near, buf, sizeof buf, 0)) > 0; written += n) {
        struct tcp_info info = tcp_info(near);
        long outq = queue_bytes(near, SIOCOUTQ_);
        /* An acknowledgement between the two questions moves bytes from one to the other. */
        if (tcp_info(near).tcpi_bytes_acked == info.tcpi_bytes_acked)
            CHECK((long)info.tcpi_bytes_acked + outq == written + n);
    }
    CHECK(queue_bytes(near, SIOCOUTQ_) > 0, "nothing is under way: the test shows too little");
    CHECK((long)tcp_info(near).tcpi_bytes_acked + queue_bytes(near, SIOCOUTQ_) == written);
    CHECK(shutdown(near, SHUT_WR) == 0);
    CHECK((long)tcp_info(near).tcpi_bytes_acked + queue_bytes(near, SIOCOUTQ_) == written + 1);
}

/* ---- ends of connections ---- */

static void *read_one(void *arg)
{
    blocking_tid = gettid();
    char byte;
    return (void *)(intptr_t)recv((int)(intptr_t)arg, &byte, 1, 0);
}

static void shut_rd_wakes_a_reader(void)
{
    int near, far;
    pthread_t t;
    void *got = (void *)-1;
    tcp_pair(&near, &far);
    CHECK(pthread_create(&t, NULL, read_one, (void *)(intptr_t)near) == 0);
    CHECK(await(is_blocked, (void *)&blocking_tid));
    CHECK(shutdown(near, SHUT_RD) == 0);
    CHECK(pthread_join(t, &got) == 0 && got == 0);
}

static void shut_rd_is_an_edge(void)
{
    int near, far, ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {0}};
    tcp_pair(&near, &far);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, near, &event) == 0 && epoll_wait(ep, &event, 1, 20) == 0);
    CHECK(!readable(near, 0));
    CHECK(shutdown(near, SHUT_RD) == 0);
    CHECK(epoll_wait(ep, &event, 1, HANG_MS) == 1 && (event.events & EPOLLIN) && (event.events & EPOLLRDHUP));
    CHECK(readable(near, 0));
}

static bool has_bytes(void *fd)
{
    return queue_bytes(*(int *)fd, SIOCINQ_) > 0;
}

static void shut_rd_loses_nothing(void)
{
    char buf[8] = "";
    int near, far;
    tcp_pair(&near, &far);
    CHECK(send(far, "before", 6, 0) == 6 && readable(near, HANG_MS));
    CHECK(shutdown(near, SHUT_RD) == 0);
    CHECK(recv(near, buf, 6, 0) == 6 && memcmp(buf, "before", 6) == 0);
    CHECK(recv(near, buf, 6, 0) == 0);
    CHECK(send(far, "behind", 6, 0) == 6 && await(has_bytes, &near));
    CHECK(recv(near, buf, 6, 0) == 6 && memcmp(buf, "behind", 6) == 0, "later data is not delivered");
    CHECK(send(near, "out", 3, 0) == 3 && recv(far, buf, 3, 0) == 3);
}

static void event_when_the_fin_is_acknowledged(void)
{
    static char buf[65536];
    int near, far, ep = epoll_create1(0), events = 0;
    struct epoll_event event = {EPOLLOUT | EPOLLET, {0}};
    tcp_pair(&near, &far);
    nonblock(near);
    while (send(near, buf, sizeof buf, 0) > 0)
        ;
    CHECK(shutdown(near, SHUT_WR) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, near, &event) == 0);
    while (epoll_wait(ep, &event, 1, 50) > 0)
        ;
    CHECK(queue_bytes(near, SIOCOUTQ_) > 0, "the peer's buffer holds all: nothing to wait for");
    /* From another process the peer reads; here only events are waited for. */
    pid_t reader = fork();
    if (reader == 0) {
        close(near);
        while (recv(far, buf, sizeof buf, 0) > 0)
            ;
        poll(NULL, 0, 60000); /* it has read our end and says nothing of its own: half-closed */
        _exit(0);
    }
    for (; queue_bytes(near, SIOCOUTQ_) > 0; events++)
        CHECK(epoll_wait(ep, &event, 1, HANG_MS) == 1, "no event after %d, yet %d bytes unacknowledged", events,
              queue_bytes(near, SIOCOUTQ_));
    kill(reader, SIGKILL);
}

static void close_with_unread_bytes_resets(void)
{
    char byte;
    int near, far;
    tcp_pair(&near, &far);
    CHECK(send(far, "unread", 6, 0) == 6 && readable(near, HANG_MS));
    close(near);
    CHECK(recv(far, &byte, 1, 0) < 0 && errno == ECONNRESET);
}

static void close_without_is_clean(void)
{
    char byte;
    int near, far;
    tcp_pair(&near, &far);
    close(near);
    CHECK(recv(far, &byte, 1, 0) == 0);
}

/* A response that is still on its way is destroyed by it. */
static void close_with_unread_bytes_takes_the_response_along(void)
{
    static char buf[1 << 20];
    int near, far, small = 4096;
    tcp_pair(&near, &far);
    setsockopt(far, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    nonblock(near);
    long sent = 0, got = 0;
    for (ssize_t n; (n = send(near, buf, sizeof buf, 0)) > 0;)
        sent += n;
    CHECK(send(far, "unread", 6, 0) == 6 && readable(near, HANG_MS));
    close(near);
    for (ssize_t n; (n = recv(far, buf, sizeof buf, 0)) > 0;)
        got += n;
    CHECK(errno == ECONNRESET && got < sent, "%ld of %ld", got, sent);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"kernel/hide/keeps-the-queue", hiding_keeps_the_queue},
        {"kernel/hide/needs-no-privilege", hiding_needs_no_privilege},
        {"kernel/hide/dual-stack", hiding_dual_stack},
        {"kernel/hide/leaves-a-blocked-accept", hiding_leaves_a_blocked_accept},
        {"kernel/hide/one-of-a-group-is-a-black-hole", hiding_one_of_a_group_is_a_black_hole},
        {"kernel/hide/deferred-accept", hiding_a_deferred_listener},
        {"kernel/close-resets-the-queue", closing_resets_the_queue},
        {"kernel/unix/shut-keeps-the-queue", unix_shut_keeps_the_queue},
        {"kernel/unix/placeholder-is-never-readable", placeholder_is_never_readable},
        {"kernel/fdinfo-lists-an-epoll-set", fdinfo_lists_an_epoll_set},
        {"kernel/counts/read", counts_tell_what_was_read},
        {"kernel/counts/written", counts_tell_what_was_written},
        {"kernel/shut-rd/wakes-a-reader", shut_rd_wakes_a_reader},
        {"kernel/shut-rd/is-an-edge", shut_rd_is_an_edge},
        {"kernel/shut-rd/loses-nothing", shut_rd_loses_nothing},
        {"kernel/fin-acknowledged-is-an-event", event_when_the_fin_is_acknowledged},
        {"kernel/close/unread-bytes-reset", close_with_unread_bytes_resets},
        {"kernel/close/unread-bytes-take-the-response", close_with_unread_bytes_takes_the_response_along},
        {"kernel/close/without-is-clean", close_without_is_clean},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
