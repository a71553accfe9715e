/* check.c: see check.h. */
#include "check.h"

#include "sys/arch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILED = 1, AGAIN = 75, SKIPPED = 77, TRIES = 20 };

static const char *test_name, *program, *preload;

static int try = 1;

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Something has happened that the test waited for: it does not hang. (Each wait ends by itself before the alarm
 * does.) */
static void goes_ahead(void)
{
    if (test_name)
        alarm(HANG_S + HANG_S / 4);
}

/* ---- what a test leaves behind ------------------------------------------------------------------------------- */

static char dirs[512][64];
static unsigned dir_count;

static void remove_dirs(void)
{
    for (unsigned i = 0; i < dir_count && i < sizeof dirs / sizeof dirs[0]; i++) {
        struct dirent *e;
        DIR *d = opendir(dirs[i]);
        while (d && (e = readdir(d)) != NULL)
            unlinkat(dirfd(d), e->d_name, 0);
        if (d)
            closedir(d);
        rmdir(dirs[i]);
    }
}

/* ---- running tests ------------------------------------------------------------------------------------- */

void check_fail(const char *file, int line, const char *cond, const char *why, ...)
{
    char text[2048];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    printf("FAIL %s: %s:%d: %s%s%s\n", test_name, file, line, cond, text[1] ? ":" : "", text[1] ? text : "");
    fflush(stdout);
    remove_dirs();
    _exit(FAILED);
}

void check_skip(const char *why)
{
    const char *ci = getenv("CI");
    bool needed = ci && strcmp(ci, "true") == 0;
    printf("%s %s: %s\n", needed ? "FAIL" : "SKIP", test_name, why);
    fflush(stdout);
    remove_dirs();
    _exit(needed ? FAILED : SKIPPED);
}

/* ---- how long it took ---------------------------------------------------------------------------------- */

static char times_taken[1024];
static double test_began;

void took(const char *what, double since)
{
    size_t n = strlen(times_taken);
    snprintf(times_taken + n, sizeof times_taken - n, "; %s %.3f s", what, now_s() - since);
}

void took_at_least(const char *what, double since, double least_s)
{
    double s = now_s() - since;
    CHECK(s >= least_s, "%s: %.3f s, not %.3f s", what, s, least_s);
    took(what, since);
}

void check_again(const char *why, ...)
{
    char text[512];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    if (try == TRIES)
        check_fail(__FILE__, __LINE__, "again and again", " %s", text);
    printf("# %s again: %s\n", test_name, text);
    fflush(stdout);
    remove_dirs();
    _exit(AGAIN);
}

int check_try(void)
{
    return try;
}

int repeats(int usual)
{
    return getenv("SOAK") ? 10 * usual : usual;
}

void in_time(double since, double seconds)
{
    double s = now_s() - since;
    if (s >= seconds)
        check_again("after %.3f s, not %.3f s, nothing is shown", s, seconds);
}

static void run_in_child(const struct check_row *row, const struct check_test *t)
{
    test_began = now_s();
    signal(SIGPIPE, SIG_IGN);
    goes_ahead();
    if (row)
        row->run(row->args);
    else
        t->run();
    printf("ok %s (%.3f s%s)\n", test_name, now_s() - test_began, times_taken);
    fflush(stdout);
    remove_dirs();
    _exit(0);
}

/* Each test in a process of its own: what it leaves behind (children die with it) is nobody's trouble. */
static int run_test(const struct check_row *row, const struct check_test *t)
{
    int status;
    const char *name = row ? row->name : t->name;
    for (try = 1;; try++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            test_name = name;
            run_in_child(row, t);
        }
        waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != AGAIN)
            break;
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == SKIPPED ? 0 : WEXITSTATUS(status);
    printf("FAIL %s: %s\n", name, WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
    return FAILED;
}

long call_unseen(long number, long a, long b, long c, void *d)
{
    long ret = arch_syscall(number, a, b, c, (long)d, 0, 0);
    CHECK(ret >= 0, "%s", strerror((int)-ret));
    return ret;
}

void close_unseen(int fd)
{
    call_unseen(SYS_close, fd, 0, 0, NULL);
}

bool is_group_memory(int fd)
{
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "/memfd:lastcall", 15) == 0;
}

int find_group_memory(void)
{
    for (int fd = 3; fd < 4096; fd++)
        if (is_group_memory(fd))
            return fd;
    return -1;
}

int check_main_rows(int argc, char **argv, const struct check_row *rows, const struct check_test *tests,
                    const struct check_role *roles)
{
    int bad = 0;
    const char *only = argc == 3 && strcmp(argv[1], "-t") == 0 ? argv[2] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !only) {
        for (; roles->name; roles++)
            if (strcmp(roles->name, argv[1]) == 0)
                return roles->run(argv + 2);
        fprintf(stderr, "%s: no role %s\n", argv[0], argv[1]);
        return 2;
    }
    program = "/proc/self/exe";
    const char *build = getenv("BUILD");
    static char path[512];
    snprintf(path, sizeof path, "%s/liblastcall.so", build ? build : "build");
    preload = realpath(path, NULL);
    if (!preload) {
        fprintf(stderr, "%s: there is no %s\n", argv[0], path);
        return 2;
    }
    for (; rows && rows->name; rows++)
        if (!only || strcmp(only, rows->name) == 0)
            bad |= run_test(rows, NULL);
    for (; tests && tests->name; tests++)
        if (!only || strcmp(only, tests->name) == 0)
            bad |= run_test(NULL, tests);
    return bad;
}

int check_main(int argc, char **argv, const struct check_test *tests, const struct check_role *roles)
{
    return check_main_rows(argc, argv, NULL, tests, roles);
}

bool await(bool (*cond)(void *arg), void *arg)
{
    double end = now_s() + HANG_S;
    for (int ms = 1; !cond(arg); ms = ms < 8 ? ms * 2 : ms) {
        if (now_s() > end)
            return false;
        poll(NULL, 0, ms);
    }
    goes_ahead();
    return true;
}

/* ---- what a process is doing ----------------------------------------------------------------------------- */

/* The file, into text, which has room for size; "" if it cannot be read. */
static const char *read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return text;
}

const char *stat_of(pid_t pid)
{
    static char text[512];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *end = strrchr(read_file(path, text, sizeof text), ')');
    return end ? end + 2 : "";
}

bool sleeps(void *pid)
{
    return stat_of(*(pid_t *)pid)[0] == 'S';
}

bool is_stopped(void *pid)
{
    return stat_of(*(pid_t *)pid)[0] == 'T';
}

/* The number behind a word at the beginning of a line; 0 if there is no such line. */
static unsigned long number_after(const char *text, const char *word, int base)
{
    const char *at = strstr(text, word);
    return at ? strtoul(at + strlen(word), NULL, base) : 0;
}

struct threads {
    unsigned long pending; /* signals, of any of them */
    bool asleep;           /* all of them */
};

static void look_at_thread(struct threads *t, const char *path)
{
    char text[4096];
    if (read_file(path, text, sizeof text)[0] == '\0')
        return;
    const char *state = strstr(text, "\nState:\t");
    t->asleep = t->asleep && state && strchr("StTZX", state[8]);
    t->pending |= number_after(text, "\nSigPnd:", 16) | number_after(text, "\nShdPnd:", 16);
}

static struct threads threads_of(pid_t pid)
{
    struct threads all = {.asleep = true};
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, e->d_name);
        look_at_thread(&all, path);
    }
    if (d)
        closedir(d);
    return all;
}

bool is_taken(pid_t pid, int sig)
{
    return (threads_of(pid).pending >> (sig - 1) & 1) == 0;
}

struct sent {
    pid_t pid;
    int sig;
};

static bool sent_is_taken(void *arg)
{
    const struct sent *s = arg;
    return is_taken(s->pid, s->sig);
}

void takes(pid_t pid, int sig)
{
    struct sent s = {pid, sig};
    CHECK(await(sent_is_taken, &s), "signal %d stays pending", sig);
}

/* Several looks: one thread may have woken another between two that are seen asleep. (Who has no thread for its drain
 * wakes up for each of its ticks; it sleeps between them.) */
static bool is_at_rest(void *pid)
{
    enum { LOOKS = 3, APART_MS = 2 };
    for (int i = 0; i < LOOKS; i++) {
        if (i > 0)
            poll(NULL, 0, APART_MS);
        if (!threads_of(*(pid_t *)pid).asleep)
            return false;
    }
    return true;
}

void given_time(pid_t pid, int ms)
{
    poll(NULL, 0, ms);
    CHECK(await(is_at_rest, &pid), "%d never comes to rest", (int)pid);
}

/* ---- the process that is looked at ------------------------------------------------------------------ */

static void set_env(const char *pair)
{
    char name[128];
    size_t n = strcspn(pair, "=");
    snprintf(name, sizeof name, "%.*s", (int)n, pair);
    if (pair[n] == '=')
        setenv(name, pair + n + 1, 1);
    else
        unsetenv(name);
}

/* What the developer's own shell may have set must not change a test. */
static void clean_env(void)
{
    extern char **environ;
    for (char **e = environ; *e;) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*e, "="), *e);
        if (strncmp(name, "LASTCALL_", 9) == 0) {
            unsetenv(name);
            e = environ;
        } else {
            e++;
        }
    }
}

static void set_preload(const struct setup *s)
{
    char objects[1100];
    const char *ours = s && s->bare ? "" : preload, *build = getenv("BUILD");
    snprintf(objects, sizeof objects, "%s", ours);
    if (s && s->behind)
        snprintf(objects, sizeof objects, "%s:%s/integration/%s.so", ours, build ? build : "build", s->behind);
    if (objects[0])
        setenv("LD_PRELOAD", objects, 1);
}

static void become(struct child *c, const struct setup *s, char **argv)
{
    char pair[256];
    clean_env();
    snprintf(pair, sizeof pair, "%s/stderr", c->dir);
    int err = open(pair, O_CREAT | O_WRONLY | O_APPEND, 0666);
    dup2(err, 2);
    close(err);
    snprintf(pair, sizeof pair, "LASTCALL_REPORT=%s/report", c->dir);
    set_env(pair);
    set_env("LASTCALL_IDLE=100ms");
    set_env("LASTCALL_TIMEOUT=600s");
    for (unsigned i = 0; s && i < sizeof s->env / sizeof s->env[0] && s->env[i]; i++)
        set_env(s->env[i]);
    if (s && s->prepare)
        s->prepare(s->arg);
    set_preload(s);
    execvp(s && s->path ? s->path : program, argv);
    perror(argv[0]);
    _exit(127);
}

void child_start(struct child *c, const struct setup *s, const char *role, ...)
{
    int in[2], out[2];
    char *argv[16] = {(char *)(s && s->path ? s->path : "child"), (char *)role};
    va_list args;
    va_start(args, role);
    for (unsigned i = 2; argv[i - 1] && i < 15; i++)
        argv[i] = va_arg(args, char *);
    va_end(args);
    memset(c, 0, sizeof *c);
    snprintf(c->dir, sizeof c->dir, "/tmp/lastcall.XXXXXX");
    CHECK(mkdtemp(c->dir) != NULL && chmod(c->dir, 0777) == 0, "%s", strerror(errno));
    if (dir_count < sizeof dirs / sizeof dirs[0])
        memcpy(dirs[dir_count++], c->dir, sizeof dirs[0]);
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    c->pid = fork();
    CHECK(c->pid >= 0);
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        alarm(0);
        dup2(in[0], 0);
        dup2(out[1], 1);
        become(c, s, argv);
    }
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    goes_ahead();
}

/* Take what it has said; false: that was all, it has closed its output. */
static bool listen_to(struct child *c, int timeout_ms)
{
    struct pollfd p = {c->out, POLLIN, 0};
    if (poll(&p, 1, timeout_ms) <= 0)
        return true;
    ssize_t n = read(c->out, c->said + c->said_len, sizeof c->said - 1 - c->said_len);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->said_len += (size_t)n;
    return true;
}

/* The next whole line, if it is there; NULL otherwise. Lines are handed out once. */
static char *next_line(struct child *c)
{
    char *begin = c->said + c->taken;
    char *end = memchr(begin, '\n', c->said_len - c->taken);
    if (!end)
        return NULL;
    static char line[4096];
    snprintf(line, sizeof line, "%.*s", (int)(end - begin), begin);
    c->taken += (size_t)(end - begin) + 1;
    return line;
}

static char *find_line(struct child *c, const char *word)
{
    size_t n = strlen(word);
    char *line;
    while ((line = next_line(c)) != NULL)
        if (strncmp(line, word, n) == 0 && (line[n] == '\0' || line[n] == ' '))
            return line + n + (line[n] == ' ');
    return NULL;
}

const char *child_says(struct child *c, const char *word)
{
    double end = now_s() + HANG_S;
    bool more = true;
    for (;;) {
        const char *rest = find_line(c, word);
        if (rest) {
            goes_ahead();
            return rest;
        }
        CHECK(more && now_s() < end, "it did not say '%s'; it said: %.*s; errors: %s", word, (int)c->said_len, c->said,
              child_errors(c));
        size_t before = c->said_len;
        more = listen_to(c, 100);
        if (c->said_len != before) {
            end = now_s() + HANG_S; /* it goes ahead */
            goes_ahead();
        }
    }
}

long child_says_number(struct child *c, const char *word)
{
    return strtol(child_says(c, word), NULL, 10);
}

bool child_said(struct child *c, const char *word)
{
    listen_to(c, 0);
    return find_line(c, word) != NULL;
}

void child_tell(struct child *c, const char *line)
{
    CHECK(dprintf(c->in, "%s\n", line) > 0);
}

void child_signal(struct child *c, int sig)
{
    CHECK(kill(c->pid, sig) == 0, "%s", strerror(errno));
}

static bool is_gone(void *arg)
{
    struct child *c = arg;
    listen_to(c, 0);
    return waitpid(c->pid, &c->status, WNOHANG) == c->pid;
}

int child_wait(struct child *c)
{
    if (!await(is_gone, c)) {
        kill(c->pid, SIGKILL);
        CHECK(!"it does not end", "it said: %.*s; errors: %s", (int)c->said_len, c->said, child_errors(c));
    }
    while (listen_to(c, 0) && poll(&(struct pollfd){c->out, POLLIN, 0}, 1, 0) > 0)
        ;
    return c->status;
}

static const char *status_text(int status)
{
    static char text[64];
    if (WIFEXITED(status))
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    else
        snprintf(text, sizeof text, "killed by %s", strsignal(WTERMSIG(status)));
    return text;
}

void child_exits(struct child *c, int status)
{
    int got = child_wait(c);
    CHECK(WIFEXITED(got) && WEXITSTATUS(got) == status, "%s, not exit status %d; it said: %s; errors: %s",
          status_text(got), status, child_output(c), child_errors(c));
}

void child_dies(struct child *c, int sig)
{
    int got = child_wait(c);
    CHECK(WIFSIGNALED(got) && WTERMSIG(got) == sig, "%s, not killed by signal %d; it said: %s; errors: %s",
          status_text(got), sig, child_output(c), child_errors(c));
}

const char *child_output(struct child *c)
{
    c->said[c->said_len] = '\0';
    return c->said;
}

const char *child_file(struct child *c, const char *name)
{
    static char text[2][65536];
    static unsigned turn;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->dir, name);
    turn = !turn;
    return read_file(path, text[turn], sizeof text[turn]);
}

const char *child_errors(struct child *c)
{
    return child_file(c, "stderr");
}

struct logged {
    struct child *c;
    const char *name, *text;
};

static bool is_logged(void *arg)
{
    struct logged *l = arg;
    return strstr(child_file(l->c, l->name), l->text) != NULL;
}

void child_logs(struct child *c, const char *name, const char *text)
{
    struct logged l = {c, name, text};
    CHECK(await(is_logged, &l), "no '%s' in %s: %s", text, name, child_file(c, name));
}

void child_drains(struct child *c)
{
    child_logs(c, "stderr", "signal deferred");
}

/* ---- the report ---------------------------------------------------------------------------------------- */

static const char *report_value(struct child *c, const char *key)
{
    char quoted[64];
    const char *text = child_file(c, "report"), *begun = strstr(text, "{\"event\":\"draining\"");
    const char *end = strstr(text, "{\"event\":\"drain\"");
    const char *line_end = end ? strchr(end, '\n') : NULL;
    CHECK(begun == text && line_end && line_end[1] == '\0', "not exactly one report: '%s'; errors: %s", text,
          child_errors(c));
    text = strstr(child_file(c, "report"), "{\"event\":\"drain\"");
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(text, quoted);
    return at ? at + strlen(quoted) : NULL;
}

long report_number(struct child *c, const char *key)
{
    const char *value = report_value(c, key);
    return value ? strtol(value, NULL, 10) : -1;
}

bool report_says(struct child *c, const char *key, const char *value)
{
    const char *is = report_value(c, key);
    size_t n = strlen(value);
    return is && is[0] == '"' && strncmp(is + 1, value, n) == 0 && is[n + 1] == '"';
}

/* ---- the client side ----------------------------------------------------------------------------------- */

int client_connect(long port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {HANG_S, 0};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t n = strlen(text);
    CHECK(send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n, "%s", strerror(errno));
}

void client_get(int fd, const char *path)
{
    char head[256];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
    client_send(fd, head);
}

/* Byte by byte, so that nothing of a next response is taken. */
static bool read_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    while (recv(fd, line + n, 1, 0) == 1) {
        if (line[n] == '\n') {
            line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
            return true;
        }
        if (n < size - 1)
            n++;
    }
    return false;
}

void client_answer(int fd, struct answer *a)
{
    char line[1024];
    size_t length = 0;
    memset(a, 0, sizeof *a);
    goes_ahead();
    if (!read_line(fd, line, sizeof line))
        return;
    sscanf(line, "HTTP/1.%*c %d", &a->status);
    while (read_line(fd, line, sizeof line) && line[0]) {
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
        if (strncasecmp(line, "Connection:", 11) == 0)
            a->close = strcasestr(line + 11, "close") != NULL;
    }
    while (a->body_len < length) {
        char c;
        if (recv(fd, &c, 1, 0) != 1)
            return;
        if (a->body_len < sizeof a->body - 1)
            a->body[a->body_len] = c;
        a->body_len++;
    }
    a->whole = line[0] == '\0';
    goes_ahead();
}

void client_expect(int fd, const char *body, bool close)
{
    struct answer a;
    client_answer(fd, &a);
    CHECK(a.status == 200 && a.whole && strcmp(a.body, body) == 0, "status %d, whole %d, body '%s', not '%s'", a.status,
          a.whole, a.body, body);
    CHECK(a.close || !close, "no close option");
}

void client_expect_end(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    CHECK(n == 0, "%s", n > 0 ? "a byte" : strerror(errno));
}

/* ---- for roles ------------------------------------------------------------------------------------------- */

void say(const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    n = n < (int)sizeof line - 2 ? n : (int)sizeof line - 2;
    line[n++] = '\n';
    if (write(1, line, (size_t)n) != n)
        _exit(125);
}

bool hear(char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(0, line + n, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (line[n] == '\n')
            break;
        if (n < size - 1)
            n++;
    }
    line[n] = '\0';
    return true;
}

int role_listen(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        perror("listen");
        _exit(124);
    }
    say("port %d", ntohs(a.sin_port));
    return fd;
}

static int gate[2] = {-1, -1}; /* a pipe: one byte lets one request go */

__attribute__((constructor)) void role_own_gate(void)
{
    if (pipe2(gate, O_CLOEXEC) != 0)
        _exit(123);
}

void role_let_go(void)
{
    if (write(gate[1], "x", 1) != 1)
        _exit(122);
}

static void hold(void)
{
    char byte;
    say("held %d", (int)getpid());
    while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
        ;
}

static bool answer(int fd, const char *body)
{
    char text[256];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

void role_serve(int fd)
{
    char head[4096];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, head + n, sizeof head - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        head[n] = '\0';
        const char *end = strstr(head, "\r\n\r\n");
        if (!end)
            continue;
        bool held = strncmp(head, "GET /hold", 9) == 0;
        if (held)
            hold();
        if (!answer(fd, held ? "done" : "hello"))
            break;
        n -= (size_t)(end + 4 - head);
        memmove(head, end + 4, n);
    }
    close(fd);
}

static void *serve_one(void *fd)
{
    role_serve((int)(intptr_t)fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    int lfd = (int)(intptr_t)arg;
    for (;;) {
        pthread_t t;
        int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR) {
            say("accept %s", strerror(errno));
            return NULL;
        }
        if (fd >= 0 && pthread_create(&t, NULL, serve_one, (void *)(intptr_t)fd) == 0)
            pthread_detach(t);
    }
}

static void *hear_all(void *arg)
{
    char line[128];
    (void)arg;
    while (hear(line, sizeof line)) {
        if (strcmp(line, "go") == 0)
            role_let_go();
        else if (strncmp(line, "exit ", 5) == 0)
            exit(atoi(line + 5));
    }
    return NULL;
}

/* The threads block every signal: the tests say which thread gets one. */
static void start_thread(void *(*run)(void *), void *arg)
{
    pthread_t t;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&t, NULL, run, arg) != 0)
        _exit(121);
    pthread_detach(t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void role_hear(void)
{
    start_thread(hear_all, NULL);
}

void role_serve_threads(int lfd)
{
    role_hear();
    role_serve_threads_ignoring(lfd);
}

void role_serve_threads_ignoring(int lfd)
{
    start_thread(accept_all, (void *)(intptr_t)lfd);
}

void role_pause(void)
{
    for (;;)
        pause();
}
