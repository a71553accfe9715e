/* connection_first_use.c: one process for each connection. The child, which has closed the listener, takes its
 * connection by whatever call comes first: a long answer that is under way at TERM goes out whole, as without the
 * library. Our own signals may not cut a blocking write short: some programs make one call, and take it for done. */
#include "workers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { WHOLE = 24 << 20, HEAD = 64 };

static char *answer_bytes;

static int body_file(void)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, WHOLE) == 0);
    answer_bytes = mmap(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(answer_bytes != MAP_FAILED);
    memset(answer_bytes, 'b', WHOLE);
    return fd;
}

/* A whole response, its head first; each way makes one kind of call only. */
static void answer_by(const char *way, int c, int file, bool once)
{
    char head[64];
    size_t sent = 0;
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", WHOLE - HEAD);
    memset(answer_bytes, 'h', HEAD);
    memcpy(answer_bytes + HEAD - n, head, (size_t)n); /* the head is in the file, too */
    sent = (size_t)(HEAD - n);
    int pipe_[2];
    off_t at = (off_t)sent;
    CHECK(pipe2(pipe_, O_CLOEXEC) == 0);
    while (sent < WHOLE) {
        ssize_t now = -1;
        struct iovec v = {answer_bytes + sent, WHOLE - sent};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
        if (strcmp(way, "unseen") == 0)
            now = call_unseen(SYS_sendfile, c, file, (long)&at, (void *)(WHOLE - sent));
        else if (strcmp(way, "sendfile") == 0)
            now = sendfile(c, file, &at, WHOLE - sent);
        else if (strcmp(way, "sendfile-number") == 0)
            now = syscall(SYS_sendfile, c, file, &at, WHOLE - sent);
        else if (strcmp(way, "write") == 0)
            now = write(c, answer_bytes + sent, WHOLE - sent);
        else if (strcmp(way, "writev") == 0)
            now = writev(c, &v, 1);
        else if (strcmp(way, "send") == 0)
            now = send(c, answer_bytes + sent, WHOLE - sent, 0);
        else if (strcmp(way, "sendmsg") == 0)
            now = sendmsg(c, &m, 0);
        else if (strcmp(way, "splice") == 0) {
            ssize_t piped = splice(file, &at, pipe_[1], NULL, 65536, 0);
            for (now = 0; now < piped;) {
                ssize_t out = splice(pipe_[0], NULL, c, NULL, (size_t)(piped - now), 0);
                if (out <= 0)
                    _exit(4);
                now += out;
            }
        }
        if (now <= 0)
            _exit(3);
        sent += (size_t)now;
        if (once)
            return;
    }
}

/* server WAY READER [once]: who reads the request: the parent, the child, or the child by a call that no hook sees.
 * once: the whole answer by one blocking call. */
static int server(char **args)
{
    char buf[4096];
    int l = role_listen(), file = body_file();
    bool parent_reads = strcmp(args[1], "parent") == 0;
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int c = accept(l, NULL, NULL);
        if (c < 0)
            continue;
        if (parent_reads)
            CHECK(read(c, buf, sizeof buf) > 0);
        if (fork() == 0) {
            close(l);
            if (strcmp(args[1], "unseen") == 0)
                call_unseen(SYS_read, c, (long)buf, sizeof buf, NULL);
            if (strcmp(args[1], "child") == 0)
                CHECK(read(c, buf, sizeof buf) > 0);
            say("answers %d", (int)getpid());
            answer_by(args[0], c, file, args[2] && strcmp(args[2], "once") == 0);
            _exit(0);
        }
        close(c);
    }
}

/* Reads to the end of the connection; how many bytes. */
static size_t read_all(int fd)
{
    static char buf[1 << 16];
    size_t all = 0;
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        all += (size_t)n;
    return n < 0 ? 0 : all;
}

static void is_whole(const char *const *args)
{
    for (int bare = 1; bare >= 0; bare--) {
        struct child c;
        struct setup s = {.bare = bare};
        adopt_orphans();
        child_start(&c, &s, "server", args[0], args[1], args[2], NULL);
        int fd = client_connect(child_says_number(&c, "port"));
        client_get(fd, "/");
        pid_t pid = (pid_t)child_says_number(&c, "answers");
        CHECK(await(sleeps, &pid)); /* it is blocked: the client does not read */
        if (args[2] && strcmp(args[2], "all") == 0 && !bare)
            kill(pid, SIGTERM);
        child_signal(&c, SIGTERM);
        if (bare)
            child_dies(&c, SIGTERM);
        else
            child_drains(&c);
        given_time(pid, 700);
        size_t got = read_all(fd);
        CHECK(got > WHOLE - HEAD && got < WHOLE, "%s, %s: %zu bytes", args[0], bare ? "bare" : "with the library", got);
        if (!bare) {
            child_dies(&c, SIGTERM);
            CHECK(report_number(&c, "in_flight") + report_number(&c, "opaque") == 1 &&
                      report_number(&c, "aborted") == 0,
                  "%s", child_file(&c, "report"));
        }
        close(fd);
    }
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"first-use/sendfile", is_whole, {"sendfile", "child"}},
        {"first-use/sendfile/parent-reads", is_whole, {"sendfile", "parent"}},
        {"first-use/sendfile-number/parent-reads", is_whole, {"sendfile-number", "parent"}},
        {"first-use/write/parent-reads", is_whole, {"write", "parent"}},
        {"first-use/writev/parent-reads", is_whole, {"writev", "parent"}},
        {"first-use/send/parent-reads", is_whole, {"send", "parent"}},
        {"first-use/sendmsg/parent-reads", is_whole, {"sendmsg", "parent"}},
        {"first-use/splice/parent-reads", is_whole, {"splice", "parent"}},
        {"first-use/sendfile/unseen-read", is_whole, {"sendfile", "unseen"}},
        {"first-use/sendfile/unseen-read/all-are-signalled", is_whole, {"sendfile", "unseen", "all"}},
        {"first-use/unseen/child-reads", is_whole, {"unseen", "child"}},
        {"first-use/sendfile/once", is_whole, {"sendfile", "child", "once"}},
        {"first-use/sendfile/once/parent-reads", is_whole, {"sendfile", "parent", "once"}},
        {"first-use/sendfile-number/once", is_whole, {"sendfile-number", "child", "once"}},
        {"first-use/write/once", is_whole, {"write", "child", "once"}},
        {"first-use/writev/once", is_whole, {"writev", "child", "once"}},
        {"first-use/send/once", is_whole, {"send", "child", "once"}},
        {"first-use/sendmsg/once", is_whole, {"sendmsg", "child", "once"}},
        {"first-use/sendfile/all-are-signalled", is_whole, {"sendfile", "child", "all"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {{NULL, NULL}};
    static const struct check_role roles[] = {{"server", server}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
