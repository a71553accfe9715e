/* faults.c: every system call that we make, and only ours, fails: once, or always.
 *
 * A filter (seccomp) tells our calls from the program's by the instruction pointer, and has this process decide about each
 * of them (seccomp_unotify(2)). Which calls there are is found by looking; then each is made to fail in turn while one
 * request is under way and TERM comes. Whatever fails: no crash and no hang; at worst the program ends as without us.
 *
 * FAULTS=all: every call with every error, once and always (two minutes); else one error for each call. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 512, KILLS = 1000 };

/* ---- the server, and the filter upon it ---------------------------------------------------------------------------- */

struct range {
    uintptr_t from, to;
};

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct range *r = arg;
    (void)size;
    if (!strstr(info->dlpi_name, "liblastcall.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0)
            continue;
        r->from = info->dlpi_addr + p->p_vaddr;
        r->to = r->from + p->p_memsz;
    }
    return 1;
}

/* Returns the descriptor on which the calls are told of. */
static int filter_object(void)
{
    struct range r = {0, 0};
    dl_iterate_phdr(find_object, &r);
    CHECK(r.to != 0 && r.from >> 32 == r.to >> 32);
    const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(r.from >> 32), 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)r.from, 0, 5),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)r.to, 4, 0),
        /* What cannot fail, and what this test would not survive. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static int server(char **args)
{
    char line[16];
    (void)args;
    int fd = filter_object();
    say("listener %d", fd);
    hear(line, sizeof line);
    close(fd);
    role_serve_threads(role_listen());
    role_pause();
}

/* ---- who decides about its calls -------------------------------------------------------------------------------------- */

struct judge {
    int fd;
    int call, error; /* call -1: all may pass; KILLS: whatever sends a signal */
    bool always, done;
    unsigned seen[CALLS];
    pthread_t thread;
};

static bool is_meant(const struct judge *j, int call)
{
    if (j->call != KILLS)
        return call == j->call;
    return call == SYS_kill || call == SYS_tgkill || call == SYS_tkill;
}

static void *judge_all(void *arg)
{
    struct judge *j = arg;
    struct pollfd p = {j->fd, POLLIN, 0};
    while (poll(&p, 1, -1) > 0 && (p.revents & POLLIN)) {
        struct seccomp_notif n;
        struct seccomp_notif_resp r;
        memset(&n, 0, sizeof n);
        memset(&r, 0, sizeof r);
        if (ioctl(j->fd, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0)
            continue;
        r.id = n.id;
        if (n.data.nr >= 0 && n.data.nr < CALLS)
            j->seen[n.data.nr]++;
        bool fails = is_meant(j, n.data.nr) && (j->always || !j->done);
        j->done = j->done || fails;
        r.flags = fails ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        r.error = fails ? -j->error : 0;
        ioctl(j->fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
    }
    return NULL;
}

static void judge_begin(struct judge *j, struct child *c)
{
    int number = (int)child_says_number(c, "listener");
    if (number < 0)
        check_skip("no seccomp_unotify");
    int process = (int)syscall(SYS_pidfd_open, c->pid, 0);
    j->fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (j->fd < 0)
        check_skip("no pidfd_getfd");
    close(process);
    CHECK(pthread_create(&j->thread, NULL, judge_all, j) == 0);
    child_tell(c, "on");
}

/* ---- one run -------------------------------------------------------------------------------------------------------------- */

enum { SECONDS = 6 };

static bool ends_within(const struct child *c, int seconds, int *status)
{
    double end = now_s() + seconds;
    pid_t got;
    while ((got = waitpid(c->pid, status, WNOHANG)) == 0 && now_s() < end)
        poll(NULL, 0, 5);
    return got == c->pid;
}

static char findings[4096];
static unsigned found;

static void note(const struct judge *j, const char *what)
{
    size_t at = strlen(findings);
    found++;
    snprintf(findings + at, sizeof findings - at, "\n  system call %d, error %d %s: %s", j->call, j->error,
             j->always ? "always" : "once", what);
}

/* A request is under way, TERM comes. Returns whether the request was answered. */
static bool run(struct judge *j)
{
    static const struct setup s = {.env = {"LASTCALL_TIMEOUT=2s", "LASTCALL_LOG=trace"}};
    struct child c;
    int status;
    char answer[4096];
    child_start(&c, &s, "server", NULL);
    judge_begin(j, &c);
    long port = child_says_number(&c, "port");
    int fd = client_connect(port);
    int idle = client_connect(port);
    client_get(fd, "/hold");
    child_says(&c, "held");
    child_signal(&c, SIGTERM);
    poll(NULL, 0, 60);
    if (write(c.in, "go\n", 3) != 3)
        poll(NULL, 0, 0); /* it has ended already: as without us */
    bool answered = recv(fd, answer, sizeof answer, 0) > 0;
    if (!ends_within(&c, SECONDS, &status)) {
        note(j, "it hangs");
        kill(c.pid, SIGKILL);
        waitpid(c.pid, &status, 0);
    } else if (status != (j->call == KILLS ? (128 + SIGTERM) << 8 : SIGTERM)) {
        char how[64];
        snprintf(how, sizeof how, "it ends with 0x%x", (unsigned)status);
        note(j, how);
    }
    pthread_join(j->thread, NULL);
    close(j->fd);
    close(fd);
    close(idle);
    return answered;
}

/* Which calls there are. */
static void look(struct judge *j)
{
    memset(j, 0, sizeof *j);
    j->call = -1;
    CHECK(run(j), "not even undisturbed");
}

static const int errors[] = {ENOSYS, EPERM, ENOMEM, EMFILE, EAGAIN, EINTR};
enum { ERRORS = sizeof errors / sizeof *errors };

static unsigned runs, answered;

/* Always EINTR or EAGAIN is no kernel's: then a call that is made again until it succeeds never ends. */
static void disturb(int call, int error, bool always)
{
    struct judge j;
    memset(&j, 0, sizeof j);
    j.call = call;
    j.error = error;
    j.always = always;
    runs++;
    answered += run(&j);
}

static bool cannot_fail(int call)
{
    return call == SYS_getpid || call == SYS_gettid || call == SYS_getppid || call == SYS_geteuid ||
           call == SYS_sched_yield;
}

static void each_call_fails(unsigned e)
{
    const char *how = getenv("FAULTS");
    bool all = how && strcmp(how, "all") == 0;
    struct judge every;
    unsigned calls = 0;
    signal(SIGPIPE, SIG_IGN);
    look(&every);
    for (int call = 0; call < CALLS; call++) {
        if (every.seen[call] == 0 || cannot_fail(call) || (calls++ % ERRORS != e && !all))
            continue;
        disturb(call, errors[e], false);
        if (errors[e] != EINTR && errors[e] != EAGAIN)
            disturb(call, errors[e], true);
    }
    CHECK(found == 0, "%s", findings);
    printf("# %u system calls of ours, %u runs in which one failed; in %u the request was answered\n", calls, runs,
           answered);
}

static void with_enosys(void)
{
    each_call_fails(0);
}

static void with_eperm(void)
{
    each_call_fails(1);
}

static void with_enomem(void)
{
    each_call_fails(2);
}

static void with_emfile(void)
{
    each_call_fails(3);
}

static void with_eagain(void)
{
    each_call_fails(4);
}

static void with_eintr(void)
{
    each_call_fails(5);
}

/* Then it cannot be given what it is owed. */
static void no_signal_can_be_sent(void)
{
    signal(SIGPIPE, SIG_IGN);
    disturb(KILLS, EPERM, true);
    CHECK(found == 0, "%s", findings);
    CHECK(answered == 1);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"faults/ENOSYS", with_enosys},
        {"faults/EPERM", with_eperm},
        {"faults/ENOMEM", with_enomem},
        {"faults/EMFILE", with_emfile},
        {"faults/EAGAIN", with_eagain},
        {"faults/EINTR", with_eintr},
        {"faults/no-kill", no_signal_can_be_sent},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
