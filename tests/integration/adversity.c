/* adversity.c: what may be missing, full or forbidden while a server drains. The drain still ends, the program still
 * gets its signal, and nothing is said twice. */
#include "forbid.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- things that a role does to itself once it serves -------------------------------------------------------- */

static void fill_descriptors(void)
{
    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(1) >= 0)
        ;
}

/* Not a page more. */
static void fill_memory(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1)
        _exit(3);
    fclose(f);
    struct rlimit limit = {pages * 4096, pages * 4096};
    setrlimit(RLIMIT_AS, &limit);
}

static void lose_proc(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0)
        say("no-mounts %s", strerror(errno));
}

/* Shared memory of ours is no file there. */
static void lose_shm(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev", "tmpfs", MS_RDONLY, NULL) != 0)
        say("no-mounts %s", strerror(errno));
}

static void become_nobody(void)
{
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
        say("no-setuid %s", strerror(errno));
}

static void close_stderr(void)
{
    close(2);
}

static void fill_stderr(void)
{
    int p[2];
    char page[4096] = {0};
    if (pipe(p) != 0 || dup2(p[1], 2) != 2)
        _exit(3);
    fcntl(2, F_SETFL, O_NONBLOCK);
    while (write(2, page, sizeof page) > 0)
        ;
    fcntl(2, F_SETFL, 0); /* the next writer would block */
}

static void break_stderr(void)
{
    int p[2];
    if (pipe(p) != 0 || dup2(p[1], 2) != 2)
        _exit(3);
    close(p[0]);
    close(p[1]);
}

static void stderr_to_file(void)
{
    int fd = memfd_create("stderr", 0);
    if (fd < 0 || dup2(fd, 2) != 2)
        _exit(3);
    close(fd);
}

/* sshd does that to the process that faces its client: a file that would grow is a SIGXFSZ. */
static void limit_files(void)
{
    struct rlimit nothing = {0, 0};
    setrlimit(RLIMIT_FSIZE, &nothing);
}

static void stderr_to_limited_file(void)
{
    stderr_to_file();
    limit_files();
}

static const struct {
    const char *name;
    void (*before)(void); /* it serves */
    void (*after)(void);
} hardships[] = {
    {"descriptors", NULL, fill_descriptors},
    {"memory", NULL, fill_memory},
    {"no-proc", NULL, lose_proc},
    {"no-shm", lose_shm, NULL},
    {"other-uid", NULL, become_nobody},
    {"stderr-closed", NULL, close_stderr},
    {"stderr-closed-before", close_stderr, NULL},
    {"stderr-full", fill_stderr, NULL},
    {"stderr-broken", break_stderr, NULL},
    {"stderr-limited", stderr_to_limited_file, NULL},
    {"stderr-limited-later", stderr_to_file, limit_files},
    {"files-limited", NULL, limit_files},
    {"none", NULL, NULL},
};

static volatile sig_atomic_t handled;

static void handle(int sig)
{
    handled = sig;
}

/* server HARDSHIP default|handler: the hardship begins before it serves, or while it holds a request. */
static int server(char **args)
{
    char line[32];
    unsigned h = 0;
    while (strcmp(hardships[h].name, args[0]) != 0)
        h++;
    if (hardships[h].before)
        hardships[h].before();
    if (strcmp(args[1], "handler") == 0)
        signal(SIGTERM, handle);
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    if (strcmp(args[2], "no-clone") == 0)
        forbid_clone(false);
    if (strcmp(args[2], "no-clone-no-timer") == 0)
        forbid_clone(true);
    if (hardships[h].after)
        hardships[h].after();
    say("ready");
    while (!handled) {
        struct pollfd in = {0, POLLIN, 0};
        if (poll(&in, 1, 2) > 0 && hear(line, sizeof line))
            role_let_go();
    }
    return 40 + handled;
}

struct expect {
    bool silent; /* nothing can be heard of it on its standard error */
    bool unreported;
    const char *env;
};

static void drained(const char *hardship, const char *how, const char *clone, struct expect e)
{
    struct child c;
    struct setup s = {.env = {e.env, NULL}};
    child_start(&c, e.env ? &s : NULL, "server", hardship, how, clone, NULL);
    long port = child_says_number(&c, "port");
    int fd = client_connect(port);
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_tell(&c, "begin");
    child_says(&c, "ready");
    const char *said = child_output(&c);
    if (strstr(said, "no-seccomp") || strstr(said, "no-mounts") || strstr(said, "no-setuid"))
        check_skip(said);
    double at = now_s();
    child_signal(&c, SIGTERM);
    if (!e.silent)
        child_drains(&c);
    else
        CHECK(await(refuses_clients, &port)); /* there is nobody who could say that it is deferred */
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    if (strcmp(how, "handler") == 0)
        child_exits(&c, 40 + SIGTERM);
    else
        child_dies(&c, SIGTERM);
    took(how, at);
    if (!e.unreported)
        CHECK(report_says(&c, "end", "drained") && report_number(&c, "in_flight") == 1, "%s", child_file(&c, "report"));
    close(fd);
}

static void both(const char *hardship, const char *clone, struct expect e)
{
    drained(hardship, "default", clone, e);
    drained(hardship, "handler", clone, e);
}

static void without_a_thread(void)
{
    both("none", "no-clone", (struct expect){0});
}

static void without_thread_and_timer(void)
{
    /* Nobody can wait: as without us. */
    struct child c;
    child_start(&c, NULL, "server", "none", "handler", "no-clone-no-timer", NULL);
    child_says(&c, "port");
    child_tell(&c, "begin");
    child_says(&c, "ready");
    child_signal(&c, SIGTERM);
    child_exits(&c, 40 + SIGTERM);
}

static void without_descriptors(void)
{
    both("descriptors", "", (struct expect){.unreported = true}); /* no descriptor for its file */
    both("descriptors", "no-clone", (struct expect){.unreported = true});
}

static void without_memory(void)
{
    both("memory", "", (struct expect){0});
    both("memory", "no-clone", (struct expect){0});
}

static void without_proc(void)
{
    both("no-proc", "", (struct expect){0});
}

static void without_shm(void)
{
    both("no-shm", "", (struct expect){0});
}

static void other_uid(void)
{
    both("other-uid", "", (struct expect){0});
    both("other-uid", "no-clone", (struct expect){0});
}

static void stderr_closed(void)
{
    both("stderr-closed", "", (struct expect){.silent = true});
    both("stderr-closed-before", "", (struct expect){.silent = true});
}

static void stderr_full(void)
{
    both("stderr-full", "", (struct expect){.silent = true});
    both("stderr-full", "no-clone", (struct expect){.silent = true});
}

static void stderr_broken(void)
{
    both("stderr-broken", "", (struct expect){.silent = true});
    both("stderr-broken", "no-clone", (struct expect){.silent = true}); /* there a SIGPIPE would be the program's */
}

/* Every write to a file is a SIGXFSZ: of the log that is its standard error, of the report, of a log of its own. */
static void file_size(void)
{
#define LOG "/tmp/lastcall-adversity-log"
    both("stderr-limited", "", (struct expect){.silent = true, .unreported = true});
    both("stderr-limited-later", "no-clone", (struct expect){.silent = true, .unreported = true});
    both("files-limited", "", (struct expect){.silent = true, .unreported = true, .env = "LASTCALL_LOG_FILE=" LOG});
    unlink(LOG);
}

/* ---- what cannot be opened or read --------------------------------------------------------------------------- */

static int times(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void said_once(const char *env, const char *what, bool unreported)
{
    struct child c;
    struct setup s = {.env = {env}};
    child_start(&c, &s, "server", "none", "default", "", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_tell(&c, "begin");
    child_says(&c, "ready");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_dies(&c, SIGTERM);
    CHECK(times(child_errors(&c), what) == 1, "%s: '%s' in: %s", env, what, child_errors(&c));
    if (!unreported)
        CHECK(report_says(&c, "end", "drained"));
    close(fd);
}

static void paths_that_cannot_be_opened(void)
{
    said_once("LASTCALL_REPORT=/nowhere/report", "/nowhere/report", true);
    said_once("LASTCALL_LOG_FILE=/nowhere/log", "/nowhere/log", false);
    said_once("LASTCALL_LOG_FILE=/", "the log file cannot be opened", false);
}

static void variables_that_cannot_be_read(void)
{
    said_once("LASTCALL_TIMEOUT=soon", "LASTCALL_TIMEOUT=", false);
    said_once("LASTCALL_IDEL=1s", "LASTCALL_IDEL is not a variable", false);
    said_once("LASTCALL_SIGNALS=TERM,FOO", "LASTCALL_SIGNALS=", false);
}

enum { BOMBS = 125 };

/* bomb: many short lives that never serve. */
static int bomb(char **args)
{
    (void)args;
    for (int i = 0; i < BOMBS; i++) {
        pid_t pid[4];
        for (int j = 0; j < 4; j++)
            if ((pid[j] = fork()) == 0) {
                execlp("true", "true", (char *)NULL);
                _exit(1);
            }
        for (int j = 0; j < 4; j++) {
            int status;
            waitpid(pid[j], &status, 0);
            if (status != 0)
                return 1;
        }
        say("%d", i); /* it goes ahead */
    }
    return 0;
}

static void silent_where_nobody_serves(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_TIMEOUT=soon", "LASTCALL_IDEL=1s", "LASTCALL_REPORT=/nowhere/report"}};
    child_start(&c, &s, "bomb", NULL);
    for (int i = 0; i < BOMBS; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        child_says(&c, number);
    }
    child_exits(&c, 0);
    CHECK(child_errors(&c)[0] == '\0', "%s", child_errors(&c));
}

/* ---- PID 1 -------------------------------------------------------------------------------------------------- */

/* init default|handler: starts the server as the first process of a namespace of its own, and is told what became of
 * it. */
static int init(char **args)
{
    if (unshare(CLONE_NEWPID) != 0)
        return 1;
    int told[2];
    char byte;
    if (pipe(told) != 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(told[0], &byte, 1) != 1)
            _exit(1);
        execl("/proc/self/exe", "child", "server", "none", args[0], "", (char *)NULL);
        _exit(1);
    }
    int status;
    say("server %d", pid);
    if (write(told[1], "x", 1) != 1)
        return 1;
    waitpid(pid, &status, 0);
    say("became %d", WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}

static void as_pid_1(const char *how, long becomes)
{
    struct child c;
    child_start(&c, NULL, "init", how, NULL);
    if (geteuid() != 0)
        check_skip("only root makes pid namespaces");
    long pid = child_says_number(&c, "server");
    int fd = client_connect(child_says_number(&c, "port"));
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_tell(&c, "begin");
    child_says(&c, "ready");
    CHECK(kill((pid_t)pid, SIGTERM) == 0);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    CHECK(child_says_number(&c, "became") == becomes, "%s", child_output(&c));
    child_exits(&c, 0);
    close(fd);
}

static void pid_1_with_a_default(void)
{
    as_pid_1("default", 128 + SIGTERM);
}

static void pid_1_with_a_handler(void)
{
    as_pid_1("handler", 40 + SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"adversity/no-thread", without_a_thread},
        {"adversity/no-thread-no-timer", without_thread_and_timer},
        {"adversity/EMFILE", without_descriptors},
        {"adversity/ENOMEM", without_memory},
        {"adversity/no-proc", without_proc},
        {"adversity/no-shm", without_shm},
        {"adversity/other-uid", other_uid},
        {"adversity/stderr-closed", stderr_closed},
        {"adversity/stderr-full", stderr_full},
        {"adversity/stderr-broken", stderr_broken},
        {"adversity/file-size", file_size},
        {"adversity/unopenable", paths_that_cannot_be_opened},
        {"adversity/unreadable", variables_that_cannot_be_read},
        {"adversity/fork-bomb", silent_where_nobody_serves},
        {"adversity/pid-1-default", pid_1_with_a_default},
        {"adversity/pid-1-handler", pid_1_with_a_handler},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server}, {"bomb", bomb}, {"init", init}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
