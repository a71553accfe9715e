/* sandbox.c: a server that shuts itself into a seccomp filter, which ends it at a call that it does not make itself. It
 * answers, and ends by a graceful handler of its own, as without the library; with a filter that lets the library live,
 * it is drained. */
#include "check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
    (void)sig;
    stop = 1;
}

/* ---- filters ---- */

static const int own_calls[] = {
    SYS_read,      SYS_write,           SYS_close,           SYS_ppoll,
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_accept,    SYS_accept4,         SYS_rt_sigreturn,    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_exit_group,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall, SYS_execve,       SYS_wait4,
};

static const struct {
    const char *name;
    int nr;
} calls[] = {{"openat", SYS_openat},
             {"clone", SYS_clone},
             {"epoll_create1", SYS_epoll_create1},
             {"timer_create", SYS_timer_create},
             {"getsockopt", SYS_getsockopt},
             {"shutdown", SYS_shutdown},
             {"futex", SYS_futex},
             {"tgkill", SYS_tgkill},
             {"getpid", SYS_getpid},
             {"reboot", SYS_reboot},
             {"ptrace", SYS_ptrace}};

static struct sock_filter filter[80];

/* "list": all but the server's own calls are answered with `rest`; else the call of that name ends the process. */
static struct sock_fprog make_filter(const char *what, uint32_t rest)
{
    unsigned n = 0;
    bool list = strcmp(what, "list") == 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; list && i < sizeof own_calls / sizeof *own_calls; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)own_calls[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, what) == 0) {
            filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].nr, 0, 1);
            filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, list ? rest : SECCOMP_RET_ALLOW);
    return (struct sock_fprog){(unsigned short)n, filter};
}

static bool lock_up(const char *how, const char *what)
{
    struct sock_fprog p = make_filter(what, strcmp(how, "refuse") == 0 ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_TRAP);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (strcmp(how, "seccomp") == 0)
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p) == 0;
    if (strcmp(how, "number") == 0)
        return syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0) == 0;
    if (strcmp(how, "invalid") == 0) { /* the kernel takes no such filter, nor one that is not there */
        filter[p.len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_X, 0);
        errno = 0;
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) != -1 || errno != EINVAL)
            return false;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0;
}

/* ---- a server that makes few calls ---- */

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    struct timespec left = {0, 300000000};
    char buf[4096];
    if (read(fd, buf, sizeof buf) > 0) {
        if (write(1, "asked\n", 6) != 6)
            stop = 1;
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            continue;
        if (write(fd, text, sizeof text - 1) < 0)
            stop = 1;
    }
    close(fd);
}

static void serve(int l)
{
    while (!stop) {
        struct pollfd p = {l, POLLIN, 0};
        int fd = poll(&p, 1, -1) < 1 ? -1 : accept(l, NULL, NULL);
        if (fd >= 0)
            answer(fd);
    }
}

static void handle_term(void)
{
    struct sigaction act = {.sa_handler = on_term};
    sigaction(SIGTERM, &act, NULL);
}

/* locked HOW WHAT */
static int locked(char **args)
{
    handle_term();
    int l = role_listen();
    if (!lock_up(args[0], args[1]))
        return 3;
    serve(l);
    return 0;
}

/* before HOW WHAT: the filter is there before the process serves. */
static int before(char **args)
{
    handle_term();
    return lock_up(args[0], args[1]) ? serve(role_listen()), 0 : 3;
}

/* execs HOW WHAT: so it is for a program that is started in the sandbox, which it has not made. */
static int execs(char **args)
{
    if (!lock_up(args[0], args[1]))
        return 3;
    execl("/proc/self/exe", "child", "plain", (char *)NULL);
    return 4;
}

static int plain(char **args)
{
    (void)args;
    handle_term();
    serve(role_listen());
    return 0;
}

/* ---- the tests ---- */

static void is_answered(int fd)
{
    struct answer a;
    client_answer(fd, &a);
    CHECK(a.whole && a.status == 200, "status %d", a.status);
    close(fd);
}

static void serves_and_ends(struct child *c)
{
    long port = child_says_number(c, "port");
    for (int i = 0; i < 2; i++) {
        int fd = client_connect(port);
        client_get(fd, "/");
        child_says(c, "asked");
        if (i == 1)
            child_signal(c, SIGTERM);
        is_answered(fd);
    }
    child_exits(c, 0);
}

static void lives_as_bare(const char *const *args)
{
    for (int bare = 1; bare >= 0; bare--) {
        struct child c;
        struct setup s = {.bare = bare};
        child_start(&c, &s, args[0], args[1], args[2], NULL);
        serves_and_ends(&c);
        CHECK(bare || strstr(child_errors(&c), "seccomp") || strcmp(args[0], "execs") == 0, "%s", child_errors(&c));
        CHECK(child_file(&c, "report")[0] == '\0');
    }
}

/* The library's calls come back: it drains as ever. */
static void is_drained(const char *const *args)
{
    struct child c;
    child_start(&c, NULL, args[0], args[1], args[2], NULL);
    serves_and_ends(&c);
    CHECK(strstr(child_errors(&c), "deferred"), "%s", child_errors(&c));
    CHECK(report_says(&c, "end", "drained"));
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"sandbox/list", lives_as_bare, {"locked", "prctl", "list"}},
        {"sandbox/list/seccomp", lives_as_bare, {"locked", "seccomp", "list"}},
        {"sandbox/list/number", lives_as_bare, {"locked", "number", "list"}},
        {"sandbox/openat", lives_as_bare, {"locked", "prctl", "openat"}},
        {"sandbox/clone", lives_as_bare, {"locked", "seccomp", "clone"}},
        {"sandbox/epoll_create1", lives_as_bare, {"locked", "prctl", "epoll_create1"}},
        {"sandbox/timer_create", lives_as_bare, {"locked", "prctl", "timer_create"}},
        {"sandbox/getsockopt", lives_as_bare, {"locked", "number", "getsockopt"}},
        {"sandbox/shutdown", lives_as_bare, {"locked", "prctl", "shutdown"}},
        {"sandbox/futex", lives_as_bare, {"locked", "prctl", "futex"}},
        {"sandbox/tgkill", lives_as_bare, {"locked", "prctl", "tgkill"}},
        {"sandbox/getpid", lives_as_bare, {"locked", "prctl", "getpid"}},
        {"sandbox/before/timer_create", lives_as_bare, {"before", "prctl", "timer_create"}},
        {"sandbox/before/epoll_create1", lives_as_bare, {"before", "seccomp", "epoll_create1"}},
        {"sandbox/exec/timer_create", lives_as_bare, {"execs", "prctl", "timer_create"}},
        {"sandbox/exec/epoll_create1", lives_as_bare, {"execs", "seccomp", "epoll_create1"}},
        {"sandbox/drained/reboot", is_drained, {"locked", "prctl", "reboot"}},
        {"sandbox/drained/ptrace", is_drained, {"before", "seccomp", "ptrace"}},
        {"sandbox/drained/exec", is_drained, {"execs", "prctl", "reboot"}},
        {"sandbox/drained/invalid", is_drained, {"locked", "invalid", "reboot"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {{NULL, NULL}};
    static const struct check_role roles[] = {
        {"locked", locked}, {"before", before}, {"execs", execs}, {"plain", plain}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
