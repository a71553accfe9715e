/* signal_outcome.c: who is drained, by which signal, and what becomes of it: ignored and default dispositions, the
 * variables, a second signal, processes that the server forks. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

static void (*parse(const char *word))(int)
{
    if (strcmp(word, "ignore") == 0)
        return SIG_IGN;
    return strcmp(word, "handle") == 0 ? note : SIG_DFL;
}

/* server TERM INT QUIT: a disposition for each ("ignore", "handle", "default", "-": not touched). A handler exits with
 * its signal's number. */
static int server(char **args)
{
    static const int sigs[] = {SIGTERM, SIGINT, SIGQUIT};
    int lfd = role_listen();
    for (int i = 0; i < 3; i++)
        if (strcmp(args[i], "-") != 0)
            signal(sigs[i], parse(args[i]));
    role_serve_threads(lfd);
    say("ready");
    while (!got)
        usleep(1000);
    return got;
}

static int hold_one(struct child *c)
{
    int fd = client_connect(child_says_number(c, "port"));
    child_says(c, "ready");
    client_get(fd, "/hold");
    child_says(c, "held");
    return fd;
}

static void finish(struct child *c, int fd, bool close_option)
{
    child_tell(c, "go");
    client_expect(fd, "done", close_option);
}

/* ---- ignored -------------------------------------------------------------------------------------------- */

static void expect_untouched(struct child *c)
{
    int fd = hold_one(c);
    child_signal(c, SIGTERM);
    /* Were it a drain, this response would carry the close option. */
    finish(c, fd, false);
    struct answer a;
    client_get(fd, "/");
    client_answer(fd, &a);
    CHECK(a.status == 200 && !a.close);
    CHECK(child_file(c, "report")[0] == '\0' && strstr(child_errors(c), "deferred") == NULL);
    child_signal(c, SIGKILL);
    child_dies(c, SIGKILL);
}

static void ignored_by_the_program(void)
{
    struct child c;
    child_start(&c, NULL, "server", "ignore", "-", "-", NULL);
    expect_untouched(&c);
}

static void ignore_term(void *arg)
{
    (void)arg;
    signal(SIGTERM, SIG_IGN);
}

static void ignored_by_inheritance(void)
{
    struct child c;
    struct setup s = {.prepare = ignore_term};
    child_start(&c, &s, "server", "-", "-", "-", NULL);
    expect_untouched(&c);
}

/* handed-on DISPOSITION: serves, sets it, and execs a program that says what it inherits. */
static int handed_on(char **args)
{
    role_listen();
    signal(SIGTERM, parse(args[0]));
    execl("/proc/self/exe", "child", "inherits", (char *)NULL);
    return 1;
}

static int inherits(char **args)
{
    struct sigaction now;
    (void)args;
    sigaction(SIGTERM, NULL, &now);
    say("inherits %s", now.sa_handler == SIG_IGN ? "ignore" : now.sa_handler == SIG_DFL ? "default" : "a handler");
    return 0;
}

static void inherited_over_exec(void)
{
    static const char *const cases[][2] = {{"ignore", "ignore"}, {"handle", "default"}, {"default", "default"}};
    for (int i = 0; i < 3; i++) {
        struct child c;
        child_start(&c, NULL, "handed-on", cases[i][0], NULL);
        CHECK(strcmp(child_says(&c, "inherits"), cases[i][1]) == 0, "%s: %s", cases[i][0], child_output(&c));
        child_exits(&c, 0);
    }
}

/* ---- the variables -------------------------------------------------------------------------------------- */

static void drains_and(const struct setup *s, const char *const *dispositions, int sig, int exits, int dies)
{
    struct child c;
    child_start(&c, s, "server", dispositions[0], dispositions[1], dispositions[2], NULL);
    int fd = hold_one(&c);
    child_signal(&c, sig);
    child_drains(&c);
    finish(&c, fd, true);
    if (dies)
        child_dies(&c, dies);
    else
        child_exits(&c, exits);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "in_flight") == 1);
}

static void signals_names_others(void)
{
    struct setup s = {.env = {"LASTCALL_SIGNALS=TERM,INT"}};
    drains_and(&s, (const char *[]){"default", "default", "-"}, SIGINT, 0, SIGINT);
    drains_and(&s, (const char *[]){"handle", "handle", "-"}, SIGINT, SIGINT, 0);
    drains_and(&s, (const char *[]){"handle", "default", "-"}, SIGTERM, SIGTERM, 0);
    s.env[0] = "LASTCALL_SIGNALS=QUIT";
    drains_and(&s, (const char *[]){"handle", "-", "handle"}, SIGQUIT, SIGQUIT, 0);
}

static const char passed_by[] = "the program ends with requests in flight";

/* It stops the server as ever, which is said. */
static void a_signal_not_named_is_not_ours(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_SIGNALS=TERM"}};
    child_start(&c, &s, "server", "-", "handle", "-", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGINT);
    child_exits(&c, SIGINT);
    CHECK(child_file(&c, "report")[0] == '\0');
    const char *said = strstr(child_errors(&c), passed_by);
    CHECK(said && strstr(said, "in_flight=1") && !strstr(said + 1, passed_by), "%s", child_errors(&c));
    close(fd);
}

/* Nothing is said of a server that ends with nothing in flight. */
static void an_end_without_requests_is_not_said(void)
{
    struct child c;
    struct answer a;
    struct setup s = {.env = {"LASTCALL_SIGNALS=TERM"}};
    child_start(&c, &s, "server", "-", "handle", "-", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    child_says(&c, "ready");
    client_get(fd, "/");
    client_answer(fd, &a);
    given_time(c.pid, 20); /* its thread may not have come back from that write yet */
    child_signal(&c, SIGINT);
    child_exits(&c, SIGINT);
    CHECK(!strstr(child_errors(&c), passed_by), "%s", child_errors(&c));
    close(fd);
}

/* ---- auto: what this machine's programs are known to stop by has a test of its own (core/known_program) ---------- */

static void without_terminal(void *arg)
{
    (void)arg;
    setsid();
}

/* INT begins a drain where there is no controlling terminal. */
static void auto_is_int_without_a_terminal(void)
{
    struct setup s = {.prepare = without_terminal};
    drains_and(&s, (const char *[]){"default", "default", "-"}, SIGINT, 0, SIGINT);
    drains_and(&s, (const char *[]){"handle", "handle", "-"}, SIGTERM, SIGTERM, 0);
    s.env[0] = "LASTCALL_SIGNALS=auto";
    drains_and(&s, (const char *[]){"handle", "handle", "-"}, SIGINT, SIGINT, 0);
}

/* With one it is the ^C of somebody who does not want to wait. */
static void with_terminal(void *terminal)
{
    setsid();
    int tty = open(terminal, O_RDWR);
    if (tty < 0 || ioctl(tty, TIOCSCTTY, 0) != 0)
        _exit(115);
}

static void auto_is_not_int_with_a_terminal(void)
{
    struct child c;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    struct setup s = {.prepare = with_terminal, .arg = ptsname(terminal)};
    child_start(&c, &s, "server", "-", "handle", "-", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGINT);
    child_exits(&c, SIGINT);
    CHECK(child_file(&c, "report")[0] == '\0');
    close(fd);
    close(terminal);
}

/* A known program, by the name of its file. */
static void auto_knows_a_program(void)
{
    static char path[64], dir[] = "/tmp/signal-outcome-XXXXXX";
    char command[256];
    CHECK(mkdtemp(dir));
    chmod(dir, 0755);
    snprintf(path, sizeof path, "%s/nginx", dir);
    snprintf(command, sizeof command, "cp -L /proc/%d/exe %s", (int)getpid(), path);
    CHECK(system(command) == 0); /* NOLINT */
    struct child c;
    struct setup s = {.path = path};
    child_start(&c, &s, "server", "handle", "-", "handle", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGQUIT);
    child_drains(&c);
    finish(&c, fd, true);
    child_exits(&c, SIGQUIT);
    CHECK(report_says(&c, "end", "drained") && report_says(&c, "signal", "QUIT"));
    unlink(path);
    rmdir(dir);
}

static void forward_names_another(void)
{
    struct setup s = {.env = {"LASTCALL_FORWARD=QUIT"}};
    drains_and(&s, (const char *[]){"handle", "-", "handle"}, SIGTERM, SIGQUIT, 0);
    drains_and(&s, (const char *[]){"default", "-", "handle"}, SIGTERM, SIGQUIT, 0);
    drains_and(&s, (const char *[]){"handle", "-", "default"}, SIGTERM, 0, SIGQUIT);
}

/* ---- second signals ------------------------------------------------------------------------------------- */

/* What comes within a second of the first signal is the same signal: here it is all taken within this. */
static const double same_signal_s = 0.8;

static void a_repeat_is_the_same_signal(void)
{
    struct child c;
    child_start(&c, NULL, "server", "-", "-", "-", NULL);
    int fd = hold_one(&c);
    double at = now_s();
    for (int i = 0; i < 5; i++) {
        child_signal(&c, SIGTERM);
        poll(NULL, 0, 30);
        takes(c.pid, SIGTERM);
    }
    in_time(at, same_signal_s);
    child_drains(&c);
    finish(&c, fd, true);
    client_expect_end(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"));
}

enum { THREADS = 16 };

/* The threads of pid whose numbers are above `above`. */
static unsigned threads_above(pid_t above, pid_t pid, pid_t tid[THREADS])
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    CHECK(tasks);
    for (const struct dirent *e; (e = readdir(tasks)) && n < THREADS;) {
        tid[n] = (pid_t)strtol(e->d_name, NULL, 10);
        n += tid[n] > above;
    }
    closedir(tasks);
    return n;
}

/* What counts is when it came, not when the drain's own threads, on a busy machine, come to see it. */
static void a_repeat_that_is_seen_late(void)
{
    struct child c;
    pid_t tid[THREADS], last = 0;
    child_start(&c, NULL, "server", "-", "-", "-", NULL);
    int fd = hold_one(&c);
    for (unsigned i = 0, n = threads_above(0, c.pid, tid); i < n; i++)
        last = tid[i] > last ? tid[i] : last;
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_drains(&c);
    unsigned ours = threads_above(last, c.pid, tid);
    CHECK(ours > 0);
    for (unsigned i = 0; i < ours; i++) {
        CHECK(ptrace(PTRACE_SEIZE, tid[i], 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, tid[i], 0, 0) == 0);
        CHECK(waitpid(tid[i], NULL, __WALL) == tid[i]);
    }
    child_signal(&c, SIGTERM);
    takes(c.pid, SIGTERM);
    in_time(at, same_signal_s);
    poll(NULL, 0, 1200);
    for (unsigned i = 0; i < ours; i++)
        CHECK(ptrace(PTRACE_DETACH, tid[i], 0, 0) == 0);
    for (unsigned i = 0; i < ours; i++)
        CHECK(await(sleeps, &tid[i])); /* again: it has seen the signal */
    finish(&c, fd, true);
    client_expect_end(fd);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"));
}

/* systemd: ExecStop= sends QUIT, TERM comes when that has taken its time; of what begins so the server gets the
 * first. */
static void an_escalation_is_no_second_signal(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_SIGNALS=TERM,QUIT"}};
    child_start(&c, &s, "server", "handle", "-", "handle", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGQUIT);
    child_drains(&c);
    poll(NULL, 0, 1050);
    child_signal(&c, SIGTERM);
    takes(c.pid, SIGTERM);
    given_time(c.pid, 100);
    finish(&c, fd, true);
    child_exits(&c, SIGQUIT);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0);
}

/* But what comes again after a second is, whichever it is. */
static void a_repeated_escalation_is(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_SIGNALS=TERM,QUIT"}};
    child_start(&c, &s, "server", "handle", "-", "handle", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGQUIT);
    child_drains(&c);
    child_signal(&c, SIGTERM);
    takes(c.pid, SIGTERM);
    poll(NULL, 0, 1050);
    child_signal(&c, SIGTERM);
    child_exits(&c, SIGQUIT);
    CHECK(report_says(&c, "end", "second_signal") && report_number(&c, "aborted") == 1);
    close(fd);
}

static void the_second_delivers_at_once(void)
{
    struct child c;
    child_start(&c, NULL, "server", "-", "-", "-", NULL);
    int fd = hold_one(&c);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    poll(NULL, 0, 1050); /* what makes it a second one is the time */
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took("the end", at);
    CHECK(report_says(&c, "end", "second_signal") && report_number(&c, "aborted") == 1);
    close(fd);
}

static void the_deadline_ends_it(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_TIMEOUT=300ms"}};
    child_start(&c, &s, "server", "-", "-", "-", NULL);
    int fd = hold_one(&c);
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took_at_least("from TERM to the end", at, 0.3);
    CHECK(report_says(&c, "end", "deadline") && report_number(&c, "aborted") == 1 && report_says(&c, "method", "GET"));
    close(fd);
}

/* ---- processes that the server forks ----------------------------------------------------------------------- */

/* forker: a child by fork that waits, and one by fork and exec. */
static int forker(char **args)
{
    (void)args;
    int lfd = role_listen();
    pid_t child = fork();
    if (child == 0) {
        while (!got)
            usleep(1000);
        return 0;
    }
    pid_t other = fork();
    if (other == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        return 1;
    }
    role_serve_threads(lfd);
    say("children %d %d", child, other);
    say("ready");
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = wait(&status);
        say("gone %s %d", pid == child ? "fork" : "exec", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    }
    role_pause();
}

/* The signal may come at any moment of the child's birth. */
static void children_die_once(void)
{
    struct child c;
    int forked = 0, execed = 0;
    child_start(&c, NULL, "forker", NULL);
    long port = child_says_number(&c, "port");
    CHECK(sscanf(child_says(&c, "children"), "%d %d", &forked, &execed) == 2);
    child_says(&c, "ready");
    kill(forked, SIGTERM);
    CHECK(strcmp(child_says(&c, "gone"), "fork 15") == 0, "%s", child_output(&c));
    kill(execed, SIGTERM);
    CHECK(strcmp(child_says(&c, "gone"), "exec 15") == 0, "%s", child_output(&c));
    int fd = client_connect(port); /* the server itself has not been asked to go */
    client_get(fd, "/");
    client_expect(fd, "hello", false);
    close(fd);
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
}

static void children_die_of_theirs(void)
{
    for (int n = repeats(10); n > 0; n--)
        children_die_once();
}

/* raiser fork|vfork|handler: a child that signals itself between its birth and exec. */
static int raiser(char **args)
{
    int status;
    bool by_vfork = strcmp(args[0], "vfork") == 0;
    role_listen();
    if (strcmp(args[0], "handler") == 0)
        signal(SIGTERM, note);
    pid_t pid = by_vfork ? vfork() : fork(); /* NOLINT: it is what is tested */
    if (pid == 0) {
        kill(getpid(), SIGTERM);
        if (got)
            _exit(20 + got);
        execlp("true", "true", (char *)NULL);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    say("child %d", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) + 100);
    return 0;
}

static void exec_forgets_no_signal(void)
{
    static const struct {
        const char *how;
        int result;
    } cases[] = {{"fork", SIGTERM}, {"vfork", SIGTERM}, {"handler", 120 + SIGTERM}};
    for (int i = 0; i < 3; i++) {
        struct child c;
        child_start(&c, NULL, "raiser", cases[i].how, NULL);
        long result = child_says_number(&c, "child");
        CHECK(result == cases[i].result, "%s: %ld", cases[i].how, result);
        child_exits(&c, 0);
        CHECK(child_errors(&c)[0] == '\0', "%s", child_errors(&c));
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-outcome/ignored", ignored_by_the_program},
        {"signal-outcome/ignored-by-inheritance", ignored_by_inheritance},
        {"signal-outcome/inherited-over-exec", inherited_over_exec},
        {"signal-outcome/LASTCALL_SIGNALS", signals_names_others},
        {"signal-outcome/other-signals", a_signal_not_named_is_not_ours},
        {"signal-outcome/end-without-requests", an_end_without_requests_is_not_said},
        {"signal-outcome/auto-no-terminal", auto_is_int_without_a_terminal},
        {"signal-outcome/auto-terminal", auto_is_not_int_with_a_terminal},
        {"signal-outcome/auto-known-program", auto_knows_a_program},
        {"signal-outcome/LASTCALL_FORWARD", forward_names_another},
        {"signal-outcome/repeat", a_repeat_is_the_same_signal},
        {"signal-outcome/repeat-seen-late", a_repeat_that_is_seen_late},
        {"signal-outcome/escalation", an_escalation_is_no_second_signal},
        {"signal-outcome/escalation-repeated", a_repeated_escalation_is},
        {"signal-outcome/second", the_second_delivers_at_once},
        {"signal-outcome/deadline", the_deadline_ends_it},
        {"signal-outcome/children", children_die_of_theirs},
        {"signal-outcome/exec-forgets-no-signal", exec_forgets_no_signal},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server}, {"handed-on", handed_on}, {"inherits", inherits},
                                              {"forker", forker}, {"raiser", raiser},       {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
