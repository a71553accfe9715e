/* supervisor.c: see supervisor.h. One loop: signals come by signalfd, everything else by what its module polls for. */
#include "launcher/run/supervisor.h"

#include "launcher/run/descendants.h"
#include "launcher/run/forward.h"
#include "launcher/run/startup_check.h"
#include "launcher/external/external.h"
#include "launcher/host/clock.h"
#include "launcher/host/log.h"
#include "launcher/run/job_control.h"
#include "launcher/run/service_manager.h"

#include "core/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* At the deadline the servers release themselves; so long they have to end before what waits for them is signalled. */
#define GRACE   (1 * NSEC_PER_SEC)
/* A shell that waited for them goes on when they have ended: so long it has to end by itself. */
#define PARTING (100 * NSEC_PER_MSEC)

static struct supervisor {
    const struct supervision *what;
    int signals, terminal; /* descriptors */
    uint64_t mask;         /* of signals that were blocked when we were started */
    struct sigaction on_child;
    struct startup_check startup;
    struct descendants descendants;

    int child;
    bool is_main; /* of a service: its status is for the service manager, so the child is not reaped here */
    bool ended;
    int status;

    /* a drain of the servers behind the command */
    int draining;        /* the signal; 0: there is none */
    bool held;           /* the command has still to be sent it */
    nsec_t began, until; /* until: 0 = no deadline */
    nsec_t parting;      /* when the command is sent it, once those have ended who were there; 0: they have not */

    /* a drain of a command in which nothing of ours lives, nor in a server behind it */
    struct external *external; /* NULL: there is none */
    nsec_t external_at;        /* when to step it */
} s;

/* ---- signals ---------------------------------------------------------------------------------------------- */

/* All of them: libc's own functions leave out two that it uses itself, and a command may be sent any. */
static bool block_signals(void)
{
    const uint64_t all = ~(uint64_t)0;
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &usual, &s.on_child); /* where it is ignored nobody's status is kept */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &s.mask, 8);
    s.signals = (int)syscall(SYS_signalfd4, -1, &all, 8, SFD_CLOEXEC | SFD_NONBLOCK);
    return s.signals >= 0;
}

static void restore_signals(void)
{
    sigaction(SIGCHLD, &s.on_child, NULL);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &s.mask, NULL, 8);
}

/* ---- draining ---------------------------------------------------------------------------------------------- */

/* Without the memory it is not known who serves (no memfd_create): then the signal is held back only from a command that
 * nothing of ours is in. */
static bool is_drain_signal(int sig)
{
    bool known = s.descendants.table || !s.what->object;
    return known && !s.what->options->disable && sig < 64 && (s.what->options->signals >> sig & 1) != 0;
}

/* The servers drain first. Returns whether the command has to wait for its own signal: not if it is one of them, or if
 * there is none. */
static bool begin_drain(int sig)
{
    nsec_t timeout = s.what->options->timeout;
    s.began = s.external_at = clock_now();
    s.until = timeout ? s.began + timeout + GRACE : 0;
    s.draining = sig;
    unsigned servers = descendants_drain(&s.descendants, sig, false);
    if (s.ended || descendants_serves(&s.descendants, s.child))
        return false;
    s.held = servers > 0;
    if (s.held)
        host_log(LOG_INFO, "the servers behind the command drain before it has the signal", "program", s.what->program,
                 NULL);
    else
        s.external = external_begin(s.child, sig, s.what->options, s.began);
    return s.held || s.external;
}

/* Likewise. A server has rules of its own for a second signal, and after its release none of ours. */
static bool drain_again(int sig)
{
    if (s.external) {
        s.external_at = clock_now();
        external_again(s.external, s.external_at);
        return true;
    }
    if (clock_now() - s.began < DRAIN_REPEAT) /* the same one (drain.h) */
        return s.held;
    s.held = false;
    s.until = clock_now() + GRACE;
    descendants_drain(&s.descendants, sig, true);
    return false;
}

static void let_go(void)
{
    s.held = false;
    if (!s.ended)
        kill(s.child, s.draining);
}

static void step_external(void)
{
    nsec_t time = clock_now();
    if (!s.external)
        return;
    if (s.ended)
        external_program_ended(s.external, s.status > 128, time); /* or a shell says so of its server */
    else if (external_step(s.external, time, &s.external_at) == EXTERNAL_WAIT)
        return;
    else
        external_pass_on(s.external);
    external_end(s.external);
    s.external = NULL;
}

/* Returns whether somebody is waited for. */
static bool step_drain(void)
{
    if (!s.draining)
        return false;
    nsec_t time = clock_now();
    bool late = s.until != 0 && time >= s.until;
    bool waits = descendants_drain(&s.descendants, s.draining, false) > 0 && !late;
    if (!waits && s.parting == 0) /* from here on also if the command starts new ones, again and again */
        s.parting = time + PARTING;
    if (s.held && (late || (s.parting != 0 && time >= s.parting)))
        let_go();
    return waits;
}

/* When to do that again at the latest; 0: only when something happens. */
static nsec_t next_step(void)
{
    if (!s.held && !s.ended)
        return 0;
    return s.held && s.parting ? s.parting : s.until;
}

static void take_signal(const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (sig == SIGCHLD && info->ssi_code > 0) /* of a child's; one that somebody has sent is the command's */
        return;
    bool held = is_drain_signal(sig) && (s.draining ? drain_again(sig) : begin_drain(sig));
    if (!held && !s.ended)
        forward_signal(s.child, info);
}

static void take_signals(void)
{
    struct signalfd_siginfo info;
    while (read(s.signals, &info, sizeof info) == sizeof info)
        take_signal(&info);
}

/* ---- the command's life ------------------------------------------------------------------------------------ */

static void child_ended(int status)
{
    s.ended = true;
    s.descendants.command = 0;
    s.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    /* Somebody has sent it to the command itself: it was not meant for what is behind it any less. */
    if (WIFSIGNALED(status) && is_drain_signal(WTERMSIG(status)) && !s.draining)
        begin_drain(WTERMSIG(status));
}

static int status_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0) : W_EXITCODE(0, info->si_status);
}

/* Our next child that has ended or stopped; 0: there is none. The main process of a service is left to be reaped by the service
 * manager, and from then on all the others too: no call can pass it over, and it does not last. */
static int next_child(int *status)
{
    siginfo_t info = {0};
    if (!s.is_main)
        return waitpid(-1, status, WNOHANG | WUNTRACED);
    if (s.ended || waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return 0;
    if (info.si_pid != s.child || info.si_code == CLD_STOPPED)
        return waitpid(info.si_pid, status, WNOHANG | WUNTRACED);
    *status = status_of(&info);
    return s.child;
}

static void reap(void)
{
    int status, pid;
    while ((pid = next_child(&status)) > 0) {
        if (WIFSTOPPED(status)) {
            if (pid == s.child)
                job_control_stopped(s.terminal, s.child, WSTOPSIG(status));
            continue;
        }
        descendants_reaped(&s.descendants, pid);
        if (pid == s.child)
            child_ended(status);
    }
}

static void step_startup_check(void)
{
    enum startup_state before = s.startup.state;
    enum startup_state state = startup_check_step(&s.startup, s.child, clock_now());
    if (state == before || s.ended)
        return;
    if (state == STARTUP_LOADED)
        host_log(LOG_DEBUG, "loaded", "program", s.what->program, NULL);
    if (state == STARTUP_ABSENT)
        host_log(LOG_WARN, "liblastcall.so was not loaded: the command is not drained", "program", s.what->program,
                 "object", s.what->object, NULL);
    if (state == STARTUP_UNKNOWN)
        host_log(LOG_INFO, "whether liblastcall.so was loaded cannot be seen", "program", s.what->program, NULL);
}

/* ---- the loop ---------------------------------------------------------------------------------------------- */

static int wait_ms(nsec_t wake)
{
    nsec_t at = clock_now();
    if (wake == 0)
        return -1;
    nsec_t ms = wake <= at ? 0 : (wake - at + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    return ms > 3600000 ? 3600000 : (int)ms;
}

static void wait_for_events(void)
{
    static struct pollfd fds[3 + GROUP_TABLE_MAX];
    nsec_t wake = next_step();
    unsigned n = 0;
    fds[n++] = (struct pollfd){s.signals, POLLIN, 0};
    if (s.external) {
        fds[n++] = (struct pollfd){external_fd(s.external), POLLIN, 0};
        wake = wake && wake < s.external_at ? wake : s.external_at;
    }
    n += startup_check_poll(&s.startup, fds + n, &wake);
    if (s.held || s.ended)
        n += descendants_poll(&s.descendants, fds + n);
    if (poll(fds, n, wait_ms(wake)) < 0 && errno != EINTR)
        return;
}

static void loop(void)
{
    for (;;) {
        take_signals();
        reap();
        step_startup_check();
        step_external();
        if (!step_drain() && s.ended && s.startup.state != STARTUP_EXEC)
            return;
        wait_for_events();
    }
}

/* ---- the start --------------------------------------------------------------------------------------------- */

/* What the command says to the service manager is taken once that knows who it is. gate: a pipe that we close then. */
static void name_main(const int gate[2])
{
    bool external = !s.what->object && !s.what->options->disable;
    if (!external) /* there the signal must go to us, and the service manager would send it to its main process */
        s.is_main = service_manager_set_main(s.child);
    if (!s.is_main)
        host_log(LOG_WARN, "what the command says to the service manager is not taken, unless NotifyAccess=all",
                 "program", s.what->program, "because",
                 external ? "it is drained externally" : "MAINPID cannot be said", NULL);
    close(gate[0]);
    close(gate[1]);
}

static void wait_to_be_main(const int gate[2])
{
    char none;
    close(gate[1]);
    while (read(gate[0], &none, 1) < 0 && errno == EINTR)
        continue;
}

static void become_command(const int gate[2])
{
    if (gate[0] >= 0)
        wait_to_be_main(gate);
    setpgid(0, 0);
    if (job_control_has(s.terminal, getpgid(getppid())))
        job_control_give(s.terminal, getpid());
    restore_signals();
    service_manager_rename(getppid());
    startup_check_fail(&s.startup, s.what->execute(s.what->arg));
    _exit(127);
}

static bool start(void)
{
    int gate[2] = {-1, -1};
    /* Orphans are ours to reap, as they are PID 1's, and the servers among them ours to drain. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!block_signals() || !startup_check_begin(&s.startup, s.what->object) ||
        (service_manager_notifies() && pipe2(gate, O_CLOEXEC) != 0))
        return false;
    s.terminal = job_control_open();
    if (!s.what->options->disable)
        descendants_open(&s.descendants, s.what->options->report && s.what->options->report_connections);
    s.child = fork();
    if (s.child == 0)
        become_command(gate);
    if (s.child < 0)
        return false;
    if (gate[0] >= 0)
        name_main(gate);
    service_manager_close_listeners();
    s.descendants.command = s.child;
    setpgid(s.child, s.child); /* both do: neither may be later than the other needs it */
    startup_check_forked(&s.startup);
    return true;
}

/* What start() has done to this process. */
static void undo(void)
{
    restore_signals();
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    descendants_close(&s.descendants);
}

bool supervisor_run(const struct supervision *what, int *status)
{
    s.what = what;
    if (!start()) {
        *status = -errno;
        undo();
        return false;
    }
    loop();
    if (job_control_has(s.terminal, s.child))
        job_control_give(s.terminal, getpgrp());
    *status = s.startup.error ? -s.startup.error : s.status;
    return true;
}
