/* descriptor_close.c: the ends of connections in a drain, and numbers that are no longer what they were. */
#include "held_request.h"

#include <sys/resource.h>
#include <sys/syscall.h>

enum { BIG = 8 << 20 };

/* ---- numbers that are something else now ---- */

/* stale HOW: two clients, the second held. The first one's number is closed unseen, and is then an outgoing
 * connection ("out", after the client has spoken; "silent", before it has) or a file. "plain": an outgoing
 * connection on a number of its own. */
static int stale(char **args)
{
    char line[64], back[8] = "";
    int l = role_listen(), first = next_client(l), held = next_client(l), out;
    bool file = strcmp(args[0], "file") == 0;
    if (strcmp(args[0], "silent") != 0)
        read_request(first);
    read_request(held);
    if (strcmp(args[0], "plain") != 0)
        close_unseen(first);
    if (file)
        out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    else
        out = try_connect(AF_INET, atol(args[1]));
    CHECK(out == first || strcmp(args[0], "plain") == 0, "%d, not %d", out, first);
    say("held");
    hear(line, sizeof line);
    poll(NULL, 0, 250); /* longer than an idle connection would be left */
    const char text[] = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi";
    CHECK(write(out, text, sizeof text - 1) == (ssize_t)sizeof text - 1, "%s", strerror(errno));
    if (file) {
        CHECK(lseek(out, 0, SEEK_END) == (off_t)sizeof text - 1);
    } else {
        CHECK(read(out, back, 4) == 4 && memcmp(back, "back", 4) == 0, "the outgoing connection was ended");
        CHECK(recv(out, back, 4, MSG_DONTWAIT) < 0 && errno == EAGAIN, "the outgoing connection reads an end");
        CHECK(write(out, "still", 5) == 5);
    }
    if (strcmp(args[0], "plain") == 0)
        close(first);
    say("untouched");
    respond(held, "hello");
    return until_the_end(held);
}

static void stale_number(const char *const *args)
{
    const char *how = args[0];
    struct child c;
    char word[16], got[128] = "";
    const char *expected = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhistill";
    size_t n = 0;
    int backend = listener_at(AF_INET, 0, false, false), end = -1;
    bool file = strcmp(how, "file") == 0;
    snprintf(word, sizeof word, "%ld", port_of(backend));
    child_start(&c, NULL, "stale", how, word, NULL);
    long port = child_says_number(&c, "port");
    int first = client_connect(port), held = client_connect(port);
    if (strcmp(how, "silent") != 0)
        client_get(first, "/");
    client_get(held, "/");
    child_says(&c, "held");
    if (!file)
        end = accept(backend, NULL, NULL);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    if (!file) {
        CHECK(send(end, "back", 4, 0) == 4);
        while (n < strlen(expected)) {
            ssize_t more = recv(end, got + n, sizeof got - 1 - n, 0);
            CHECK(more > 0, "it was shut down after: %s", got);
            n += (size_t)more;
        }
        CHECK(strcmp(got, expected) == 0, "%s", got);
    }
    child_says(&c, "untouched");
    client_expect(held, "hello", true);
    close(held);
    close(first);
    child_dies(&c, SIGTERM);
}

/* close_range and closefrom while draining: our own descriptors stay, and the report is written. */
static int sweeper(char **args)
{
    int fd = next_client(role_listen());
    read_request(fd);
    go("held");
    dup2(fd, 3);
    CHECK(close_range(0x80000000U, ~0U, 0) == 0);
    if (strcmp(args[0], "range") == 0)
        CHECK(close_range(4, ~0U, 0) == 0);
    else
        closefrom(4);
    respond(3, "hello");
    return until_the_end(3);
}

static void swept(const char *const *how)
{
    struct child c;
    int fd = held_request(&c, NULL, "sweeper", how[0]);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    client_expect_end(fd);
    close(fd);
    ends_drained(&c);
}

/* ---- closing while draining ---- */

/* The connection is closed with output under way: it lives on with us, and the program must not notice. */
static int ghost(char **args)
{
    char head[256];
    int big = 1 << 20, fd = next_client(role_listen()), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP, {.u64 = 0xdeadbeef}};
    (void)args;
    make_body();
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    read_request(fd);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    go("held");
    int n = head_for(head, sizeof head, BODY);
    CHECK(write(fd, head, (size_t)n) == n && write(fd, body, BODY) == BODY);
    CHECK(close(fd) == 0);
    int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(again == fd, "%d, not %d", again, fd);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    for (int i = 0; i < 20; i++)
        CHECK(epoll_wait(ep, &event, 1, 20) == 0, "an event for %lx", (unsigned long)event.data.u64);
    say("no-ghost");
    while (pause() < 0)
        ;
    return 0;
}

static void no_ghosts(void)
{
    struct child c;
    int fd = held_request(&c, NULL, "ghost", NULL), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    child_tell(&c, "go");
    child_says(&c, "no-ghost");
    small = 1 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    CHECK(memcmp(whole_answer(fd, BODY, true), body, BODY) == 0);
    close(fd);
    ends_drained(&c);
}

/* An idle connection is closed, its peer being done, while somebody holds the file for a moment longer: in the
 * field a system call that is at it just then, here a message on its way. */
static int held_on(char **args)
{
    int channel[2], l = role_listen(), other = next_client(l), fd = next_client(l), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = 0xdeadbeef}};
    char byte;
    (void)args;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    read_request(other); /* it keeps the drain from ending */
    read_request(fd);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    respond(fd, "hello");
    go("held");
    CHECK(readable(fd, HANG_MS) && read(fd, &byte, 1) == 0);
    CHECK(epoll_wait(ep, &event, 1, 0) == 1 && (event.events & EPOLLRDHUP) != 0);
    pass_by(channel[0], fd, false);
    CHECK(close(fd) == 0);
    go("closed");
    CHECK(epoll_wait(ep, &event, 1, 100) == 0, "an event for %lx", (unsigned long)event.data.u64);
    respond(other, "hello");
    return until_the_end(other);
}

static void no_ghosts_of_what_is_held(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    struct child c;
    struct linger hard = {1, 0};
    child_start(&c, &s, "held-on", NULL);
    long port = child_says_number(&c, "port");
    int other = client_connect(port), fd = client_connect(port);
    client_get(other, "/");
    client_get(fd, "/");
    client_expect(fd, "hello", false);
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    shutdown(fd, SHUT_WR);
    child_tell(&c, "go");
    child_says(&c, "closed");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd); /* resets it: an event, if it is in the set still */
    child_tell(&c, "go");
    client_expect(other, "hello", true);
    close(other);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static int aborter(char **args)
{
    struct linger hard = {1, 0};
    int fd = next_client(role_listen());
    (void)args;
    read_request(fd);
    go("held");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    return until_the_end(-1);
}

static void own_linger_is_respected(void)
{
    struct child c;
    char byte;
    int fd = held_request(&c, NULL, "aborter", NULL);
    child_tell(&c, "go");
    CHECK(recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET, "no reset");
    child_dies(&c, SIGTERM);
}

/* ---- what comes after our close option ---- */

/* As into a socket that takes everything: no EPIPE, no SIGPIPE, and no longer wait than for the pipe's first byte. */
static void splices_into_half_closed(int fd)
{
    char bytes[3000] = "";
    int p[2];
    off_t at = 0;
    CHECK(pipe2(p, O_CLOEXEC) == 0 && write(p[1], bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    CHECK(splice(p[0], NULL, fd, NULL, 1000, 0) == 1000, "%s", strerror(errno));
    CHECK(splice(p[0], NULL, fd, NULL, 5000, 0) == 2000, "%s", strerror(errno));
    CHECK(splice(p[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN, "%s", strerror(errno));
    CHECK(splice(p[0], &at, fd, NULL, 1, 0) == -1 && errno == ESPIPE, "%s", strerror(errno));
    CHECK(splice(fd, NULL, fd, NULL, 1, 0) == -1 && errno == EINVAL, "%s", strerror(errno));
    close(p[1]);
    CHECK(splice(p[0], NULL, fd, NULL, 1, 0) == 0, "%s", strerror(errno));
    close(p[0]);
}

static int late_data_server(char **args)
{
    char buf[256];
    int l = role_listen(), other = next_client(l), fd = next_client(l);
    (void)args;
    read_request(other); /* it keeps the drain from ending */
    read_request(fd);
    go("held");
    respond(fd, "hello");
    go("answered");
    /* A request has come since. The program must read an end, and may answer whatever it likes. */
    CHECK(readable(fd, HANG_MS));
    ssize_t got = read(fd, buf, sizeof buf);
    CHECK(got == 0, "%zd", got);
    CHECK(write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38) == 38, "%s", strerror(errno));
    CHECK(send(fd, buf, sizeof buf, 0) == (ssize_t)sizeof buf, "%s", strerror(errno));
    splices_into_half_closed(fd);
    close(fd);
    go("swallowed");
    respond(other, "hello");
    return until_the_end(other);
}

static void late_data(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    struct child c;
    child_start(&c, &s, "late-data", NULL);
    long port = child_says_number(&c, "port");
    int other = client_connect(port), fd = client_connect(port);
    client_get(other, "/");
    client_get(fd, "/");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    client_get(fd, "/late");
    child_says(&c, "answered");
    child_tell(&c, "go");
    child_says(&c, "swallowed");
    client_expect_end(fd);
    close(fd);
    child_tell(&c, "go");
    client_expect(other, "hello", true);
    close(other);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "late_data") == 1 && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

/* 413 while the body is still arriving; "close": the program closes at once, "read": it reads on first. */
static int early(char **args)
{
    int fd = next_client(role_listen());
    const char text[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    read_request(fd);
    go("held");
    CHECK(write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    if (strcmp(args[0], "close") == 0) {
        close(fd);
        fd = -1;
    }
    return until_the_end(fd);
}

static void early_answer(const char *const *how)
{
    static char megabyte[1 << 20];
    char head[128];
    struct child c;
    struct answer a;
    child_start(&c, NULL, "early", how[0], NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BIG);
    client_send(fd, head);
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    for (int i = 0; i < BIG; i += (int)sizeof megabyte)
        for (size_t at = 0; at < sizeof megabyte;) {
            ssize_t n = send(fd, megabyte + at, sizeof megabyte - at, MSG_NOSIGNAL);
            CHECK(n > 0, "after %zu: %s", (size_t)i + at, strerror(errno));
            at += (size_t)n;
        }
    client_answer(fd, &a);
    CHECK(a.status == 413 && a.whole && a.close && strcmp(a.body, "big") == 0, "%d", a.status);
    client_expect_end(fd);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

/* A peer that stops reading is waited for until the deadline, and no longer; a slow one as long as it takes. */
static int unread(char **args)
{
    char head[256];
    int big = 1 << 20, fd = next_client(role_listen());
    make_body();
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    read_request(fd);
    go("held");
    int n = head_for(head, sizeof head, BODY);
    CHECK(write(fd, head, (size_t)n) == n && write(fd, body, BODY) == BODY);
    if (strcmp(args[0], "close") == 0) {
        close(fd);
        fd = -1;
    }
    return until_the_end(fd);
}

static void never_read(const char *const *how)
{
    struct setup s = {.env = {"LASTCALL_TIMEOUT=1500ms", "LASTCALL_LINGER=100ms"}};
    struct child c;
    int small = 4096;
    child_start(&c, &s, "unread", how[0], NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_get(fd, "/");
    child_says(&c, "held");
    double start = now_s();
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    child_dies(&c, SIGTERM);
    took_at_least("from TERM to the end", start, 1.5);
    CHECK(report_says(&c, "end", "deadline") && report_number(&c, "aborted") == 1, "%s", child_file(&c, "report"));
}

/* ---- a listener that was taken out of an epoll set by a call that no hook sees (io_uring) ---- */

static bool is_placeholder(void *listener)
{
    union address a = {.any = {0}};
    socklen_t len = sizeof a;
    call_unseen(SYS_getsockname, *(int *)listener, (long)&a, (long)&len, NULL);
    return a.any.sa_family == AF_UNIX;
}

static int taken_out(char **args)
{
    int l = role_listen(), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event want = {EPOLLIN, {.fd = l}};
    (void)args;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &want) == 0);
    call_unseen(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, l, NULL);
    int fd = next_client(l);
    read_request(fd);
    go("held");
    CHECK(await(is_placeholder, &l));
    usleep(20000); /* what is put back comes a moment after the placeholder */
    CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, l, NULL) < 0 && errno == ENOENT, "it was put back into the set");
    say("checked");
    respond(fd, "hello");
    return until_the_end(fd);
}

static void stays_out_of_the_set(void)
{
    struct child c;
    int fd = held_request(&c, NULL, "taken-out", NULL);
    child_tell(&c, "go");
    child_says(&c, "checked");
    client_expect(fd, "hello", true);
    close(fd);
    ends_drained(&c);
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"descriptor/stale/outgoing", stale_number, {"out"}},
        {"descriptor/stale/outgoing-silent", stale_number, {"silent"}},
        {"descriptor/stale/file", stale_number, {"file"}},
        {"descriptor/outgoing", stale_number, {"plain"}},
        {"descriptor/swept/close-range", swept, {"range"}},
        {"descriptor/swept/closefrom", swept, {"from"}},
        {"descriptor/early-answer/closed", early_answer, {"close"}},
        {"descriptor/early-answer/read", early_answer, {"read"}},
        {"descriptor/never-read/open", never_read, {"open"}},
        {"descriptor/never-read/closed", never_read, {"close"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {
        {"descriptor/closed/no-ghost-events", no_ghosts},
        {"descriptor/closed/no-ghost-of-what-is-held", no_ghosts_of_what_is_held},
        {"descriptor/closed/own-linger", own_linger_is_respected},
        {"descriptor/late-data", late_data},
        {"descriptor/listener/stays-out-of-the-set", stays_out_of_the_set},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"stale", stale},         {"sweeper", sweeper},
                                              {"ghost", ghost},         {"held-on", held_on},
                                              {"aborter", aborter},     {"late-data", late_data_server},
                                              {"early", early},         {"unread", unread},
                                              {"taken-out", taken_out}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
