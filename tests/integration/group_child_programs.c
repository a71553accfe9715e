/* group_child_programs.c: children that are no workers: what they exec never gets a signal of ours, and what they do to
 * their own signals is not done to the parent's. And the calls that the parent waits for them in, at release. */
#include "workers.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/syscall.h>

/* ---- counter: a program that counts the signals it gets, until its pipe ends ---- */

static volatile sig_atomic_t counted;

static void count(int sig)
{
    (void)sig;
    counted++;
}

static void read_to_end(int fd)
{
    char byte;
    while (read(fd, &byte, 1) > 0 || errno == EINTR)
        errno = 0;
}

/* counter handlers|default FD: with handlers for all signals, or none (then one of ours would kill it). */
static int counter(char **args)
{
    sigset_t all;
    alarm(WORKER_SECONDS);
    for (int sig = 1; sig < NSIG && strcmp(args[0], "handlers") == 0; sig++)
        if (sig != SIGALRM)
            signal(sig, count);
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    say("counts");
    read_to_end(atoi(args[1]));
    say("counted %d", (int)counted);
    return 0;
}

/* ---- a server that starts programs ---- */

static int life[2]; /* a pipe that ends with the server */
static char self[512], *counter_argv[] = {"child", "counter", NULL, NULL, NULL};
static char number[16];

static void *run_by_system(void *how)
{
    char command[1024];
    snprintf(command, sizeof command, "exec %s counter %s %s", self, (char *)how, number);
    if (system(command) != 0)
        say("failed");
    return NULL;
}

static void spawn(const char *how, char *disposition)
{
    extern char **environ;
    pthread_t t;
    pid_t pid = 0;
    counter_argv[2] = disposition;
    counter_argv[3] = number;
    if (strcmp(how, "fork") == 0) {
        if ((pid = fork()) == 0) {
            execv(self, counter_argv);
            _exit(1);
        }
    } else if (strcmp(how, "vfork") == 0) {
        if ((pid = vfork()) == 0) { /* NOLINT: what is tested */
            execv(self, counter_argv);
            _exit(1);
        }
    } else if (strcmp(how, "spawn") == 0) {
        CHECK(posix_spawn(&pid, self, NULL, NULL, counter_argv, environ) == 0);
    } else if (strcmp(how, "system") == 0) {
        CHECK(pthread_create(&t, NULL, run_by_system, disposition) == 0);
        pthread_detach(t);
    } else if ((pid = fork()) == 0) { /* "pre-exec": one that never comes to its exec */
        close(life[1]);
        say("counts");
        read_to_end(life[0]);
        say("counted 0");
        _exit(0);
    }
    CHECK(pid >= 0);
}

/* starter handlers|default: starts a program for each word it hears. */
static int starter(char **args)
{
    char line[64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0 && pipe(life) == 0 && fcntl(life[1], F_SETFD, FD_CLOEXEC) == 0);
    snprintf(number, sizeof number, "%d", life[0]);
    be_a_worker();
    role_serve_threads_ignoring(role_listen());
    while (hear(line, sizeof line))
        spawn(line, args[0]);
    return 0;
}

static void starts(struct child *c, const char *how)
{
    child_tell(c, how);
    child_says(c, "counts");
}

static void programs(const char *disposition)
{
    static const char *const ways[] = {"fork", "vfork", "spawn", "system"};
    enum { WAYS = sizeof ways / sizeof *ways };
    struct child c;
    pid_t holder;
    child_start(&c, NULL, "starter", disposition, NULL);
    long port = child_says_number(&c, "port");
    for (unsigned i = 0; i < WAYS; i++)
        starts(&c, ways[i]);
    int fd = hold_one(&c, port, &holder);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    for (unsigned i = 0; i < WAYS; i++)
        starts(&c, ways[i]);
    starts(&c, "pre-exec");
    double at = now_s();
    finish(fd, holder, true);
    child_dies(&c, SIGTERM);
    took("the end", at);
    for (unsigned i = 0; i < 2 * WAYS + 1; i++) {
        long signals = child_says_number(&c, "counted");
        CHECK(signals == 0, "%ld signals", signals);
    }
    CHECK(report_says(&c, "end", "drained") && !strstr(child_file(&c, "report"), "\"processes\""), "%s",
          child_file(&c, "report"));
}

static void programs_with_handlers(void)
{
    programs("handlers");
}

static void programs_without(void)
{
    programs("default");
}

/* ---- a child of vfork resets the signals (python's subprocess) ---- */

static void own_handler(int sig)
{
    (void)sig;
    say("handled");
    _exit(42);
}

static bool in_vfork_child(const char *how)
{
    static volatile bool saw;
    struct sigaction reset = {.sa_handler = SIG_DFL}, old = {.sa_handler = SIG_IGN};
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } raw = {NULL, 0, NULL, 0}, raw_old;
    pid_t pid = vfork(); /* NOLINT: what is tested */
    if (pid == 0) {
        if (strcmp(how, "sigaction") == 0) /* NOLINT: what is tested */
            saw = sigaction(SIGTERM, &reset, &old) == 0 && old.sa_handler == own_handler;
        else if (strcmp(how, "signal") == 0)
            saw = signal(SIGTERM, SIG_DFL) == own_handler;
        else
            saw = syscall(SYS_rt_sigaction, SIGTERM, &raw, &raw_old, 8) == 0 && raw_old.handler == (void *)own_handler;
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
    return saw;
}

static int resetter(char **args)
{
    char line[16];
    struct sigaction own = {.sa_handler = own_handler, .sa_flags = SA_NODEFER}, now;
    be_a_worker();
    sigaction(SIGTERM, &own, NULL);
    role_serve_threads_ignoring(role_listen());
    hear(line, sizeof line);
    bool saw = in_vfork_child(args[0]);
    CHECK(sigaction(SIGTERM, NULL, &now) == 0);
    say("view %d %d", saw, now.sa_handler == own_handler && (now.sa_flags & SA_NODEFER));
    role_pause();
}

static void vfork_resets(const char *how)
{
    struct child c;
    pid_t holder;
    child_start(&c, NULL, "resetter", how, NULL);
    long port = child_says_number(&c, "port");
    int fd = hold_one(&c, port, &holder);
    child_tell(&c, "go");
    CHECK(strcmp(child_says(&c, "view"), "1 1") == 0, "%s", child_output(&c));
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(!child_said(&c, "handled"));
    finish(fd, holder, true);
    child_exits(&c, 42);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

static void vfork_child(void)
{
    vfork_resets("sigaction");
    vfork_resets("signal");
    vfork_resets("syscall");
}

/* ---- a call that is blocked at release ---- */

static sem_t semaphore;
static uint32_t word;
static int tube[2];
static pid_t sleeper;

static void note(int sig)
{
    (void)sig;
    say("handled");
}

static void *unblocks(void *unused)
{
    char line[16];
    hear(line, sizeof line);
    sem_post(&semaphore);
    word = 1;
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    if (write(tube[1], "x", 1) != 1)
        _exit(1);
    if (sleeper > 0)
        kill(sleeper, SIGKILL);
    return unused;
}

static long blocking(const char *call)
{
    char byte;
    if (strcmp(call, "sem_wait") == 0)
        return sem_wait(&semaphore);
    if (strcmp(call, "futex") == 0)
        return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    if (strcmp(call, "read") == 0)
        return read(tube[0], &byte, 1) == 1 ? 0 : -1;
    return waitpid(sleeper, NULL, 0) == sleeper ? 0 : -1;
}

/* blocked CALL restart|plain: its main thread is the only one that takes signals. */
static int blocked(char **args)
{
    pthread_t t;
    sigset_t all;
    struct sigaction act = {.sa_handler = note, .sa_flags = strcmp(args[1], "restart") == 0 ? SA_RESTART : 0};
    CHECK(sem_init(&semaphore, 0, 0) == 0 && pipe2(tube, O_CLOEXEC) == 0);
    be_a_worker();
    if (strcmp(args[0], "waitpid") == 0 && (sleeper = fork()) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        role_pause();
    }
    int l = role_listen();
    sigaction(SIGTERM, &act, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    role_serve_threads_ignoring(l);
    CHECK(pthread_create(&t, NULL, unblocks, NULL) == 0);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    long ret = blocking(args[0]);
    say("returned %s", ret == 0 ? "well" : strerrorname_np(errno));
    _exit(43);
}

static void blocked_call(const char *call, bool restart)
{
    struct child c;
    pid_t holder;
    child_start(&c, NULL, "blocked", call, restart ? "restart" : "plain", NULL);
    long port = child_says_number(&c, "port");
    int fd = hold_one(&c, port, &holder);
    CHECK(await(sleeps, &c.pid));
    child_signal(&c, SIGTERM);
    child_drains(&c);
    given_time(c.pid, 30);
    CHECK(!child_said(&c, "returned") && !child_said(&c, "handled"), "%s: the signal was not deferred", call);
    finish(fd, holder, true);
    child_says(&c, "handled");
    if (restart) {
        given_time(c.pid, 30);
        CHECK(!child_said(&c, "returned"), "%s was not restarted: %s", call, child_output(&c));
        child_tell(&c, "go");
    }
    const char *how = child_says(&c, "returned");
    CHECK(strcmp(how, restart ? "well" : "EINTR") == 0, "%s: %s", call, how);
    child_exits(&c, 43);
}

static const char *const calls[] = {"sem_wait", "futex", "read", "waitpid"};

static void fails_with_eintr(void)
{
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        blocked_call(calls[i], false);
}

static void is_restarted(void)
{
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        blocked_call(calls[i], true);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/programs/handlers", programs_with_handlers}, {"group/programs/default", programs_without},
        {"group/vfork-child-resets", vfork_child},           {"group/blocked-call/fails", fails_with_eintr},
        {"group/blocked-call/restarts", is_restarted},       {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"counter", counter}, {"starter", starter}, {"resetter", resetter}, {"blocked", blocked}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
