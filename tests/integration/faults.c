/* faults.c: every system call that we make, and only ours, fails: once, or always; or does one byte only.
 *
 * Another process decides about each of them (seccomp_fault.h). Which calls there are is found by looking; then each is
 * made to fail in turn, from the start of a server on, while one client is idle and one in the middle of its request
 * when TERM comes. Whatever fails: the server serves, no crash and no hang; at worst it ends as without us, and says
 * so.
 *
 * FAULTS=all: every call with every error, once and always (make faults); else one error for each call. */
#include "seccomp_fault.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- the servers ------------------------------------------------------------------------------------------------- */

struct server {
    const char *name, *program; /* of tests/e2e, in $BUILD; NULL: nginx */
    const char *processes;      /* nginx: how many */
    int status;                 /* as TERM ends it */
};

static const struct server thread_server = {"thread", "thread", NULL, SIGTERM};
static const struct server epoll_server = {"epoll", "epoll", NULL, SIGTERM};
static const struct server nginx_server = {"nginx", NULL, "master_process off;", 0};
static const struct server nginx_group = {"nginx-2", NULL, "worker_processes 2;", 0};

static const char *const is_nginx_here = "/usr/sbin/nginx";

/* Below the ephemeral ones, so that no client has it. */
static int free_port(void)
{
    static int last;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    for (;;) {
        last = last ? last + 1 : getpid() * 61;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 10000 + last % 22000;
        a.sin_port = htons((uint16_t)port);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        bool is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
        close(fd);
        if (is_free)
            return port;
    }
}

static void configure_nginx(const char *path, const struct server *s, int port)
{
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    fprintf(f,
            "daemon off; %s pid %s.pid; error_log stderr; events { }\n"
            "http { access_log off; server { listen 127.0.0.1:%d; location / { return 200 hello; } } }\n",
            s->processes, path, port);
    fclose(f);
}

/* Its files are named by the port; they go with the directory of the tests. */
static int start_server(struct child *c, const struct server *s, const char *setting)
{
    static char conf[64], program[600], number[16];
    const char *build = getenv("BUILD");
    int port = free_port();
    struct setup setup = {.env = {setting, "LASTCALL_LOG=trace"}, .behind = "fault_filter"};
    snprintf(number, sizeof number, "%d", port);
    if (s->program) {
        snprintf(program, sizeof program, "%s/e2e/%s", build ? build : "build", s->program);
        setup.path = program;
        child_start(c, &setup, number, NULL);
        return port;
    }
    if (access(is_nginx_here, X_OK) != 0)
        check_skip("no nginx");
    snprintf(conf, sizeof conf, "/tmp/lastcall-nginx-%d.conf", port);
    configure_nginx(conf, s, port);
    setup.path = is_nginx_here;
    child_start(c, &setup, "-c", conf, NULL);
    return port;
}

static void remove_files(const struct server *s, int port)
{
    static const char *const kinds[] = {"", ".pid"};
    char path[80];
    for (unsigned i = 0; !s->program && i < 2; i++) {
        snprintf(path, sizeof path, "/tmp/lastcall-nginx-%d.conf%s", port, kinds[i]);
        unlink(path);
    }
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static char findings[8192];
static unsigned runs, answered, unmet;

static void note(const struct fault *j, struct child *c, const char *what)
{
    size_t at = strlen(findings);
    const char *said = child_errors(c);
    size_t n = strlen(said);
    snprintf(findings + at, sizeof findings - at, "\n  system call %d, error %d %s, first %u: %s; it said: %s", j->call,
             j->error, j->always ? "always" : "once", j->at, what, n > 600 ? said + n - 600 : said);
}

/* -1: it does not serve. */
static int connect_soon(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {HANG_S, 0};
    double end = now_s() + HANG_S;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (now_s() < end) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            return fd;
        close(fd);
        poll(NULL, 0, 2);
    }
    return -1;
}

static bool is_answered(int fd)
{
    struct answer a;
    client_answer(fd, &a);
    return a.status == 200 && a.whole;
}

static bool is_served(int fd)
{
    client_get(fd, "/");
    return is_answered(fd);
}

static void kill_all(const struct child *c)
{
    char path[64], list[4096];
    kill(c->pid, SIGKILL);
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(list, 1, sizeof list - 1, f) : 0;
        if (f)
            fclose(f);
        list[n] = '\0';
        for (char *at = list; *at; at++)
            kill((pid_t)strtol(at, &at, 10), SIGKILL);
        poll(NULL, 0, 5);
    }
}

/* It and all that it has started, whose reaper we are. */
static bool all_end(const struct child *c, int *status)
{
    double end = now_s() + HANG_S;
    while (now_s() < end) {
        int got;
        pid_t pid = waitpid(-1, &got, WNOHANG);
        if (pid < 0)
            return true;
        if (pid == c->pid)
            *status = got;
        if (pid == 0)
            poll(NULL, 0, 2);
    }
    return false;
}

/* A request that is not answered is counted as aborted, or a warning says why. */
static bool says_so(struct child *c)
{
    static const char key[] = "\"aborted\":";
    const char *aborted = strstr(child_file(c, "report"), key);
    if (aborted && aborted[sizeof key - 1] != '0')
        return true;
    return strstr(child_errors(c), " warn: ") != NULL;
}

/* Where the signal cannot be given to the program. */
static bool is_last_resort(struct child *c, int status)
{
    return status == (128 + SIGTERM) << 8 && strstr(child_errors(c), "the process ends") != NULL;
}

static void ends(struct fault *j, struct child *c, const struct server *s, bool served)
{
    char how[64];
    int status = -1;
    if (!all_end(c, &status)) {
        note(j, c, status == -1 ? "it hangs" : "it leaves processes behind");
        kill_all(c);
    } else if (status != s->status && !is_last_resort(c, status)) {
        snprintf(how, sizeof how, "it ends with 0x%x", (unsigned)status);
        note(j, c, how);
    } else if (!served && !says_so(c)) {
        note(j, c, "a request is not answered, and it does not say so");
    }
    fault_end(j);
}

/* One client is idle, one has sent half of its request, TERM comes, and then the rest of it. */
static void run(struct fault *j, const struct server *s)
{
    struct child c;
    int port = start_server(&c, s, "LASTCALL_TIMEOUT=2s");
    fault_begin(j, &c);
    int idle = connect_soon(port), busy = -1;
    bool served = false;
    if (idle < 0 || !is_served(idle)) {
        note(j, &c, "it does not serve");
    } else {
        busy = client_connect(port);
        client_send(busy, "GET / HTTP/1.1\r\nHo");
        if (!is_served(idle))
            note(j, &c, "it serves one request only");
        child_signal(&c, SIGTERM);
        poll(NULL, 0, 40); /* a client that is slow */
        send(busy, "st: test\r\n\r\n", 12, MSG_NOSIGNAL);
        served = is_answered(busy);
    }
    runs++;
    answered += served;
    ends(j, &c, s, served);
    close(idle);
    close(busy);
    close(c.in);
    close(c.out);
    remove_files(s, port);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

/* Which calls there are. */
static void look(struct fault *j, const struct server *s)
{
    memset(j, 0, sizeof *j);
    j->call = FAULT_NONE;
    run(j, s);
    CHECK(answered == 1 && !findings[0], "not even undisturbed: %s", findings);
    runs = answered = 0;
}

enum times { ONCE, ALWAYS };

/* So many of the calls pass before. */
static void disturb(const struct server *s, int call, int error, enum times times, unsigned first)
{
    struct fault j;
    memset(&j, 0, sizeof j);
    j.call = call;
    j.error = error;
    j.always = times == ALWAYS;
    j.first = j.at = first;
    run(&j, s);
    unmet += j.meant == 0;
}

static bool can_fail(int call, int error)
{
    if (error == FAULT_SHORT)
        return call == SYS_read || call == SYS_write || call == SYS_recvfrom;
    return call != SYS_getpid && call != SYS_gettid && call != SYS_getppid && call != SYS_geteuid &&
           call != SYS_sched_yield;
}

/* Signals are blocked by one call and let in again by the next. A sandbox that comes in between leaves no way to do the
 * latter: for ever after means from the first of the two on. */
static unsigned whole_pairs(int call, enum times times, unsigned first)
{
    return call == SYS_rt_sigprocmask && times == ALWAYS ? first & ~1u : first;
}

/* Always EINTR or EAGAIN is no kernel's: then a call that is made again until it succeeds never ends. */
static bool can_fail_always(int error)
{
    return error != EINTR && error != EAGAIN;
}

enum { SAMPLE = 12 };

/* `part`: which calls, of a sample. */
static void each_call_fails(const struct server *s, int error, unsigned part)
{
    const char *how = getenv("FAULTS");
    bool all = how && strcmp(how, "all") == 0;
    struct fault every;
    unsigned calls = 0;
    begin();
    look(&every, s);
    for (int call = 0; call < FAULT_CALLS; call++) {
        if (every.seen[call] == 0 || !can_fail(call, error) ||
            (calls++ % SAMPLE != part % SAMPLE && !all && error != FAULT_SHORT))
            continue;
        for (enum times times = ONCE; times <= (can_fail_always(error) ? ALWAYS : ONCE); times++) {
            disturb(s, call, error, times, 0);
            if (every.seen[call] > 1) /* another one for each error and server */
                disturb(s, call, error, times,
                        whole_pairs(call, times, 1 + (runs * 7 + part * 5) % (every.seen[call] - 1)));
        }
    }
    CHECK(!findings[0], "%s", findings);
    printf("# %s: %u system calls of ours, %u runs in which one failed; in %u the request was answered\n", s->name,
           calls, runs, answered);
}

/* Then the deferred signal cannot be delivered. */
static void no_signal_can_be_sent(void)
{
    begin();
    disturb(&thread_server, FAULT_KILLS, EPERM, ALWAYS, 0);
    CHECK(!findings[0], "%s", findings);
    CHECK(answered == 1);
}

/* The wall clock is in the log and the report only. */
static void the_wall_clock_jumps(void)
{
    begin();
    disturb(&thread_server, FAULT_CLOCKS, 0, ALWAYS, 0);
    disturb(&nginx_group, FAULT_CLOCKS, 0, ALWAYS, 0);
    CHECK(!findings[0] && answered == 2 && unmet == 0, "%s; %u answered, %u did not ask", findings, answered, unmet);
}

/* From the signal on we may not ask what a socket has had. Then what the hooks have seen is believed: half of a request
 * is waited for longer than a client that says nothing. */
static void the_kernel_does_not_say(void)
{
    struct fault j;
    struct child c;
    begin();
    memset(&j, 0, sizeof j);
    j.call = FAULT_NONE;
    int port = start_server(&c, &epoll_server, "LASTCALL_IDLE=100ms");
    fault_begin(&j, &c);
    int busy = connect_soon(port), idle = connect_soon(port);
    client_send(busy, "GET / HTTP/1.1\r\nHo");
    CHECK(is_served(idle));
    j.error = EPERM;
    j.always = true;
    j.call = SYS_getsockopt;
    child_signal(&c, SIGTERM);
    poll(NULL, 0, 500); /* five times LASTCALL_IDLE */
    client_send(busy, "st: test\r\n\r\n");
    CHECK(is_answered(busy), "%s", child_errors(&c));
    CHECK(j.meant > 0);
    ends(&j, &c, &epoll_server, true);
    CHECK(!findings[0], "%s", findings);
}

#define FAILS(server, error, part)               \
    static void server##_##error(void)           \
    {                                            \
        each_call_fails(&(server), error, part); \
    }
#define FAILS_IN_EACH_WAY(server, part) \
    FAILS(server, ENOSYS, (part))       \
    FAILS(server, EPERM, (part) + 2)    \
    FAILS(server, ENOMEM, (part) + 4)   \
    FAILS(server, EMFILE, (part) + 6)   \
    FAILS(server, EAGAIN, (part) + 8)   \
    FAILS(server, EINTR, (part) + 10)   \
    FAILS(server, FAULT_SHORT, (part) + 1)

FAILS_IN_EACH_WAY(thread_server, 0)
FAILS_IN_EACH_WAY(epoll_server, 1)
FAILS_IN_EACH_WAY(nginx_server, 3)
FAILS_IN_EACH_WAY(nginx_group, 6)

#define ROWS(name, server)                                                                        \
    {"faults/" name "/ENOSYS", server##_ENOSYS}, {"faults/" name "/EPERM", server##_EPERM},       \
        {"faults/" name "/ENOMEM", server##_ENOMEM}, {"faults/" name "/EMFILE", server##_EMFILE}, \
        {"faults/" name "/EAGAIN", server##_EAGAIN}, {"faults/" name "/EINTR", server##_EINTR},   \
    {                                                                                             \
        "faults/" name "/one-byte", server##_FAULT_SHORT                                          \
    }

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        ROWS("thread", thread_server),
        ROWS("epoll", epoll_server),
        ROWS("nginx", nginx_server),
        ROWS("nginx-2", nginx_group),
        {"faults/no-kill", no_signal_can_be_sent},
        {"faults/no-answer", the_kernel_does_not_say},
        {"faults/clock-jumps", the_wall_clock_jumps},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
