/* signal_delivery.c: at release the program's handler runs once, with the siginfo of the signal that was sent and all
 * that its own struct sigaction asks for. The same transcript as without us. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static int runs; /* only touched by the handler, and by main after it */
static char stack[65536];

static bool is_blocked(int sig)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, sig) == 1;
}

/* NOLINTBEGIN(bugprone-signal-handler): nothing that these interrupt is in libc */
static void describe(int sig)
{
    stack_t now;
    sigaltstack(NULL, &now);
    struct sigaction act;
    sigaction(sig, NULL, &act);
    say("handler: signal %d, blocked: it %d USR1 %d USR2 %d, alternate stack %d, disposition now "
        "%s",
        sig, is_blocked(sig), is_blocked(SIGUSR1), is_blocked(SIGUSR2), (now.ss_flags & SS_ONSTACK) != 0,
        act.sa_handler == SIG_DFL ? "default" : "kept");
    __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}

static void plain(int sig)
{
    describe(sig);
}

static void with_info(int sig, siginfo_t *info, void *context)
{
    bool same_value = info->si_code == SI_QUEUE ? info->si_value.sival_int == 4242 : true;
    (void)context;
    describe(sig);
    say("info: signal %d code %d, from our parent %d, uid %d, value %s", info->si_signo, info->si_code,
        info->si_pid == getppid(), (int)info->si_uid, same_value ? "right" : "wrong");
}

static void set(int flags)
{
    struct sigaction act = {.sa_flags = flags};
    if (flags & SA_SIGINFO)
        act.sa_sigaction = with_info;
    else
        act.sa_handler = plain;
    sigaddset(&act.sa_mask, SIGUSR1);
    sigaction(SIGTERM, &act, NULL);
}

static void by_signal(void)
{
    signal(SIGTERM, plain);
}

static void by_sigset(void)
{
#ifdef __GLIBC__
    sigset(SIGTERM, plain);
#else
    signal(SIGTERM, plain);
#endif
}

static void by_sysv_signal(void)
{
#ifdef __GLIBC__
    extern void (*sysv_signal(int sig, void (*handler)(int)))(int);
    sysv_signal(SIGTERM, plain);
#else
    set(SA_RESETHAND | SA_NODEFER);
#endif
}

static void by_syscall(void)
{
    /* As Go does it, with a restorer taken from libc's. */
    struct kernel {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } act;
    set(SA_SIGINFO);
    syscall(SYS_rt_sigaction, SIGTERM, NULL, &act, 8);
    act.mask |= 1ul << (SIGUSR2 - 1);
    syscall(SYS_rt_sigaction, SIGTERM, &act, NULL, 8);
}

/* NOLINTEND(bugprone-signal-handler) */

static const struct {
    const char *name;
    int flags; /* -1: by function */
    void (*install)(void);
} kinds[] = {
    {"plain", 0, NULL},
    {"restart", SA_RESTART, NULL},
    {"siginfo", SA_SIGINFO, NULL},
    {"resethand", SA_SIGINFO | SA_RESETHAND, NULL},
    {"nodefer", SA_SIGINFO | SA_NODEFER, NULL},
    {"onstack", SA_SIGINFO | SA_ONSTACK, NULL},
    {"all", SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESETHAND | SA_RESTART, NULL},
    {"signal", -1, by_signal},
    {"sigset", -1, by_sigset},
    {"sysv_signal", -1, by_sysv_signal},
    {"syscall", -1, by_syscall},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void install(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            if (kinds[i].install)
                kinds[i].install();
            else
                set(kinds[i].flags);
        }
}

/* deliver KIND before|after: installs before or after it serves. Ends when the test says so. */
static int deliver(char **args)
{
    char line[16];
    bool before = strcmp(args[1], "before") == 0;
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    if (before)
        install(args[0]);
    role_listen();
    if (!before)
        install(args[0]);
    say("ready");
    while (__atomic_load_n(&runs, __ATOMIC_SEQ_CST) == 0)
        usleep(1000);
    say("after: blocked: it %d USR1 %d", is_blocked(SIGTERM), is_blocked(SIGUSR1));
    hear(line, sizeof line);
    say("runs %d", runs);
    return 9;
}

static void deliver_to(struct child *c, bool bare, const char *kind, const char *when, bool queue)
{
    struct setup without = {.bare = true};
    union sigval value = {.sival_int = 4242};
    child_start(c, bare ? &without : NULL, "deliver", kind, when, NULL);
    child_says(c, "ready");
    if (queue)
        CHECK(sigqueue(c->pid, SIGTERM, value) == 0);
    else
        child_signal(c, SIGTERM);
    child_says(c, "after:");
    child_tell(c, "end");
    child_exits(c, 9);
}

static void same_for(const char *when, bool queue)
{
    for (int i = 0; i < KINDS; i++) {
        struct child bare, us;
        deliver_to(&bare, true, kinds[i].name, when, queue);
        deliver_to(&us, false, kinds[i].name, when, queue);
        const char *a = strchr(child_output(&bare), '\n'), *b = strchr(child_output(&us), '\n');
        CHECK(a && b && strcmp(a, b) == 0, "%s: without us:%s with us:%s", kinds[i].name, a, b);
        CHECK(strstr(a, "runs 1"), "%s: %s", kinds[i].name, a);
        CHECK(report_says(&us, "end", "drained"));
    }
}

static void installed_before(void)
{
    same_for("before", false);
}

static void installed_after(void)
{
    same_for("after", false);
}

static void queued(void)
{
    same_for("after", true);
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

static pid_t ran_in;

static void note_thread(int sig)
{
    (void)sig;
    ran_in = (pid_t)syscall(SYS_gettid); /* NOLINT(bugprone-signal-handler) */
    __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}

static void *unblocks(void *arg)
{
    sigset_t none;
    (void)arg;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    say("thread %ld", syscall(SYS_gettid));
    for (;;)
        pause();
    return NULL;
}

static int one_thread(char **args)
{
    sigset_t term;
    pthread_t t;
    (void)args;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    signal(SIGTERM, note_thread);
    role_serve_threads(role_listen());
    pthread_create(&t, NULL, unblocks, NULL);
    while (__atomic_load_n(&runs, __ATOMIC_SEQ_CST) == 0)
        usleep(1000);
    say("ran in %d", ran_in);
    return 0;
}

static void in_the_thread_that_has_it_unblocked(void)
{
    struct child c;
    child_start(&c, NULL, "one-thread", NULL);
    int fd = client_connect(child_says_number(&c, "port"));
    long tid = child_says_number(&c, "thread");
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    CHECK(child_says_number(&c, "ran in") == tid);
    child_exits(&c, 0);
}

/* Blocked by everyone at first: pending, as without us, until somebody unblocks it. */
static int blocked(char **args)
{
    sigset_t term;
    char line[16];
    (void)args;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    signal(SIGTERM, note_thread);
    role_listen();
    say("ready");
    hear(line, sizeof line);
    sigset_t pending;
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGTERM));
    pthread_sigmask(SIG_UNBLOCK, &term, NULL);
    while (__atomic_load_n(&runs, __ATOMIC_SEQ_CST) == 0)
        usleep(1000);
    return 4;
}

static void pending_until_unblocked(void)
{
    struct child c;
    child_start(&c, NULL, "blocked", NULL);
    child_says(&c, "ready");
    child_signal(&c, SIGTERM);
    child_tell(&c, "now");
    CHECK(child_says_number(&c, "pending") == 1);
    child_exits(&c, 4);
    CHECK(report_says(&c, "end", "drained"));
}

/* A drain of nothing is done before our handler has returned: the release must still come once. */
static void a_drain_of_nothing(void)
{
    for (int i = 0; i < repeats(20); i++) {
        struct child c;
        deliver_to(&c, false, "siginfo", "after", false);
        CHECK(strstr(child_output(&c), "runs 1"), "%s", child_output(&c));
        close(c.in);
        close(c.out);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-delivery/installed-before", installed_before},
        {"signal-delivery/installed-after", installed_after},
        {"signal-delivery/sigqueue", queued},
        {"signal-delivery/drain-of-nothing", a_drain_of_nothing},
        {"signal-delivery/thread", in_the_thread_that_has_it_unblocked},
        {"signal-delivery/pending", pending_until_unblocked},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"deliver", deliver}, {"one-thread", one_thread}, {"blocked", blocked}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
