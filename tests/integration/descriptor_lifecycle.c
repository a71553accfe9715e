/* descriptor_lifecycle.c: connections under all their numbers: copied, replaced, sent, forked, closed behind our back.
 * In each test a request is under way when TERM comes, and is answered after it in a way of its own. */
#include "held_request.h"

#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { CHANNEL = 3 };

/* ---- copies ---- */

static int copy_of(int fd, const char *how)
{
    int ret = strcmp(how, "dup") == 0    ? dup(fd)
              : strcmp(how, "dup2") == 0 ? dup2(fd, 100)
              : strcmp(how, "dup3") == 0 ? dup3(fd, 101, O_CLOEXEC)
                                         : fcntl(fd, F_DUPFD_CLOEXEC, 50);
    CHECK(ret >= 0);
    return ret;
}

static int copier(char **args)
{
    int fd = next_client(role_listen()), copy = copy_of(fd, args[0]);
    read_request(fd);
    close(fd);
    go("held");
    fd = copy_of(copy, "dup");
    respond(copy, "hello");
    if (copy != fd)
        close(copy);
    return until_the_end(fd);
}

static void copied(const char *const *how)
{
    struct child c;
    int fd = held_request(&c, NULL, "copier", how[0]);
    poll(NULL, 0, 150); /* longer than an idle connection would be left */
    child_tell(&c, "go");
    CHECK(memcmp(whole_answer(fd, 5, true), "hello", 5) == 0);
    ends_drained(&c);
}

/* dup2 onto a connection ends it, as close does (the JDK closes so). */
static int replacer(char **args)
{
    (void)args;
    int fd = next_client(role_listen()), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    read_request(fd);
    go("held");
    CHECK(dup2(null, fd) == fd);
    CHECK(write(fd, "HTTP/1.1 200 OK\r\n", 17) == 17);
    return until_the_end(-1);
}

static void replaced(void)
{
    struct child c;
    int fd = held_request(&c, NULL, "replacer", NULL);
    child_tell(&c, "go");
    client_expect_end(fd);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

/* ---- ways to write ---- */

static void write_all(int fd, const char *data, size_t n, size_t piece)
{
    for (size_t at = 0; at < n;) {
        ssize_t did = write(fd, data + at, n - at < piece ? n - at : piece);
        struct pollfd p = {fd, POLLOUT, 0};
        if (did < 0 && errno == EAGAIN)
            poll(&p, 1, -1);
        else
            CHECK(did > 0, "%s", strerror(errno));
        at += did > 0 ? (size_t)did : 0;
    }
}

static int body_file(void)
{
    char path[] = "/tmp/lastcall-body.XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    write_all(fd, body, BODY, BODY);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void by_splice(int fd)
{
    int file = body_file(), p[2];
    CHECK(pipe(p) == 0);
    for (size_t left = BODY; left > 0;) {
        ssize_t in = splice(file, NULL, p[1], NULL, left, 0);
        CHECK(in > 0);
        for (ssize_t out = 0; out < in;) {
            ssize_t n = splice(p[0], NULL, fd, NULL, (size_t)(in - out), SPLICE_F_MORE);
            CHECK(n > 0, "%s", strerror(errno));
            out += n;
        }
        left -= (size_t)in;
    }
}

static void by_vector(int fd, char *head, size_t n, bool message)
{
    struct iovec v[5] = {{head, 3}, {head + 3, 0}, {head + 3, n - 5}, {head + n - 2, 2}, {body, BODY}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 5};
    ssize_t total = (ssize_t)n + BODY, did = message ? sendmsg(fd, &m, MSG_NOSIGNAL) : writev(fd, v, 5);
    CHECK(did == total, "%zd", did);
}

static void by_messages(int fd, char *head, size_t n)
{
    struct iovec v[3] = {{head, 10}, {head + 10, n - 10}, {body, BODY}};
    struct mmsghdr m[3] = {{{.msg_iov = &v[0], .msg_iovlen = 1}, 0},
                           {{.msg_iov = &v[1], .msg_iovlen = 1}, 0},
                           {{.msg_iov = &v[2], .msg_iovlen = 1}, 0}};
    CHECK(sendmmsg(fd, m, 3, 0) == 3 && m[0].msg_len == 10 && m[1].msg_len == n - 10 && m[2].msg_len == BODY);
}

static int writer(char **args)
{
    const char *how = args[0];
    char head[256];
    make_body();
    int fd = next_client(role_listen()), small = 4096;
    size_t n = (size_t)head_for(head, sizeof head, BODY);
    read_request(fd);
    go("held");
    if (strcmp(how, "write") == 0) {
        write_all(fd, head, n, n);
        write_all(fd, body, BODY, BODY);
    } else if (strcmp(how, "bytes") == 0) {
        write_all(fd, head, n, 1);
        write_all(fd, body, BODY, 777);
    } else if (strcmp(how, "slow") == 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        nonblock(fd);
        write_all(fd, head, n, 20);
        write_all(fd, body, BODY, BODY);
    } else if (strcmp(how, "more") == 0) {
        CHECK(send(fd, head, n, MSG_MORE) == (ssize_t)n && send(fd, body, BODY, 0) == BODY);
    } else if (strcmp(how, "sendfile") == 0) {
        off_t at = 0;
        int file = body_file();
        CHECK(send(fd, head, n, MSG_MORE) == (ssize_t)n);
        while (at < BODY)
            CHECK(sendfile(fd, file, &at, (size_t)(BODY - at)) > 0);
    } else if (strcmp(how, "splice") == 0) {
        write_all(fd, head, n, n);
        by_splice(fd);
    } else if (strcmp(how, "mmsg") == 0) {
        by_messages(fd, head, n);
    } else {
        by_vector(fd, head, n, strcmp(how, "sendmsg") == 0);
    }
    return until_the_end(fd);
}

static void written(const char *const *how)
{
    struct child c;
    int fd = held_request(&c, NULL, "writer", how[0]);
    child_tell(&c, "go");
    CHECK(memcmp(whole_answer(fd, BODY, true), body, BODY) == 0);
    ends_drained(&c);
    CHECK(report_number(&c, "close_sent") == 1);
}

/* ---- what we cannot see ---- */

static int stdio_server(char **args)
{
    (void)args;
    int fd = next_client(role_listen());
    FILE *f = fdopen(fd, "r+e");
    char line[256];
    while (fgets(line, sizeof line, f) && strcmp(line, "\r\n") != 0)
        ;
    go("held");
    fseek(f, 0, SEEK_CUR);
    fprintf(f, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        fputc('0' + i, f);
        fflush(f);
        poll(NULL, 0, 200); /* in all longer than it may be quiet */
    }
    while (fgets(line, sizeof line, f))
        ;
    fclose(f);
    return until_the_end(-1);
}

static void by_stdio(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=1500ms"}};
    struct child c;
    int fd = held_request(&c, &s, "stdio", NULL);
    child_tell(&c, "go");
    CHECK(memcmp(whole_answer(fd, 10, false), "0123456789", 10) == 0);
    close(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
}

static int shared_socket;

static void *write_half(void *arg)
{
    for (int i = 0; i < BODY / 2; i += 1000)
        write_all(shared_socket, (char *)arg + i, 1000, 1000);
    return NULL;
}

/* Two threads write one body at the same time: no byte is lost, whatever we understand of it. */
static int two_writers(char **args)
{
    (void)args;
    char head[256];
    pthread_t t[2];
    make_body();
    shared_socket = next_client(role_listen());
    read_request(shared_socket);
    go("held");
    write_all(shared_socket, head, (size_t)head_for(head, sizeof head, BODY), sizeof head);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, write_half, body + i * BODY / 2);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    return until_the_end(shared_socket);
}

static void by_two_threads(void)
{
    long letters[26] = {0};
    struct child c;
    int fd = held_request(&c, NULL, "two-writers", NULL);
    child_tell(&c, "go");
    const char *got = whole_answer(fd, BODY, true);
    for (int i = 0; i < BODY; i++) {
        letters[got[i] - 'a']++;
        letters[body[i] - 'a']--;
    }
    for (int i = 0; i < 26; i++)
        CHECK(letters[i] == 0);
    child_dies(&c, SIGTERM);
    CHECK(report_number(&c, "aborted") == 0);
}

/* ---- shared with other processes: no shutdown() of ours ---- */

static void take_channel(void *fd)
{
    if (dup2(*(int *)fd, CHANNEL) != CHANNEL)
        _exit(116);
}

static int receiver(char **args)
{
    (void)args;
    int fd = passed(CHANNEL);
    read_request(fd);
    go("held");
    respond(fd, "hello");
    return until_the_end(fd);
}

static void received(void)
{
    struct child c;
    int near, far, channel[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    struct setup s = {.prepare = take_channel, .arg = &channel[1]};
    tcp_pair(&near, &far);
    child_start(&c, &s, "receiver", NULL);
    pass(channel[0], near);
    close(near);
    client_get(far, "/");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    poll(NULL, 0, 150);
    child_tell(&c, "go");
    client_expect(far, "hello", true);
    close(far);
    ends_drained(&c);
}

static int sender(char **args)
{
    (void)args;
    int fd = next_client(role_listen());
    pass(CHANNEL, fd);
    read_request(fd);
    go("held");
    respond(fd, "hello");
    return until_the_end(fd);
}

static void sent_away(void)
{
    struct child c;
    int channel[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    struct setup s = {.prepare = take_channel, .arg = &channel[1]};
    int fd = held_request(&c, &s, "sender", NULL), other = passed(channel[0]);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    poll(NULL, 0, 150);
    /* The other holder's half of the conversation goes on. */
    CHECK(send(other, "more", 4, MSG_NOSIGNAL) == 4, "%s", strerror(errno));
    CHECK(recv(fd, body, 4, 0) == 4 && memcmp(body, "more", 4) == 0);
    CHECK(send(fd, "yes", 3, MSG_NOSIGNAL) == 3);
    close(fd);
    child_dies(&c, SIGTERM);
}

static int forker(char **args)
{
    (void)args;
    int fd = next_client(role_listen()), p[2];
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(p[1]);
        CHECK(read(p[0], &byte, 1) == 1);
        CHECK(send(fd, "more", 4, MSG_NOSIGNAL) == 4);
        _exit(0);
    }
    close(p[0]);
    read_request(fd);
    go("held");
    respond(fd, "hello");
    go("answered");
    CHECK(write(p[1], "x", 1) == 1);
    waitpid(pid, NULL, 0);
    return until_the_end(fd);
}

static void forked(void)
{
    struct setup s = {.env = {"LASTCALL_IDLE=60s"}};
    struct child c;
    int fd = held_request(&c, &s, "forker", NULL);
    child_tell(&c, "go");
    client_expect(fd, "hello", true);
    child_says(&c, "answered");
    given_time(c.pid, 100);
    child_tell(&c, "go");
    CHECK(recv(fd, body, 4, 0) == 4 && memcmp(body, "more", 4) == 0, "the sibling's response is destroyed");
    close(fd);
    child_dies(&c, SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"descriptor/copied/dup", copied, {"dup"}},
        {"descriptor/copied/dup2", copied, {"dup2"}},
        {"descriptor/copied/dup3", copied, {"dup3"}},
        {"descriptor/copied/fcntl", copied, {"fcntl"}},
        {"descriptor/written/write", written, {"write"}},
        {"descriptor/written/bytes", written, {"bytes"}},
        {"descriptor/written/slow-reader", written, {"slow"}},
        {"descriptor/written/writev", written, {"writev"}},
        {"descriptor/written/sendmsg", written, {"sendmsg"}},
        {"descriptor/written/sendmmsg", written, {"mmsg"}},
        {"descriptor/written/msg-more", written, {"more"}},
        {"descriptor/written/sendfile", written, {"sendfile"}},
        {"descriptor/written/splice", written, {"splice"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {
        {"descriptor/replaced-by-dup2", replaced},
        {"descriptor/stdio", by_stdio},
        {"descriptor/two-threads-write", by_two_threads},
        {"descriptor/shared/received", received},
        {"descriptor/shared/sent", sent_away},
        {"descriptor/shared/fork", forked},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"copier", copier},      {"replacer", replacer},       {"writer", writer},
        {"stdio", stdio_server}, {"two-writers", two_writers}, {"receiver", receiver},
        {"sender", sender},      {"forker", forker},           {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
