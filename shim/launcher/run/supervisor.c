/* supervisor.c: see supervisor.h. One loop: signals come by signalfd, every other event by the descriptors that its
 * module polls. */
#include "launcher/run/supervisor.h"

#include "launcher/run/descendants.h"
#include "launcher/run/forward.h"
#include "launcher/run/startup_check.h"
#include "launcher/external/external.h"
#include "launcher/host/clock.h"
#include "launcher/host/log.h"
#include "launcher/run/job_control.h"
#include "launcher/run/service_manager.h"

#include "core/signal_repeat.h"
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

/* At the deadline the servers deliver the signal to themselves; they have this long to end before the command that
 * waits for them is sent the signal. */
#define GRACE     (1 * NSEC_PER_SEC)
/* A shell that waited for the servers continues when they have ended: the shell has this long to end by itself. */
#define EXIT_TIME (100 * NSEC_PER_MSEC)

static struct supervisor {
    const struct supervision *what;
    int signals, terminal; /* descriptors */
    uint64_t mask;         /* the signals that were blocked when the launcher was started */
    struct sigaction on_child;
    struct startup_check startup;
    struct descendants descendants;

    int child;
    bool is_main; /* of a service: the service manager reaps the child for its status */
    bool ended;
    int status;

    /* a drain of the servers that descend from the command */
    int draining; /* the signal; 0: there is none */
    struct signal_repeat repeat;
    bool deferred;       /* the command is still to be sent the signal */
    nsec_t began, until; /* until: 0 = no deadline */
    nsec_t deliver_at;   /* when to send the signal to the command, after the servers' end; 0: not known yet */

    /* an external drain: the library is neither in the command nor in a server below the command */
    struct external *external; /* NULL: there is none */
    nsec_t external_at;        /* when to step it */
    bool aborted;              /* the drain has killed the command, at the deadline */
} s;

/* ---- signals ---------------------------------------------------------------------------------------------- */

/* All 64 signals, by system call: libc's functions leave out two signals that libc uses itself, and a command may be
 * sent any signal. */
static bool block_signals(void)
{
    const uint64_t all = ~(uint64_t)0;
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &usual, &s.on_child); /* where SIGCHLD is ignored, the kernel keeps no exit status (wait(2)) */
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

/* Without the group's memory (no memfd_create) the launcher does not know which processes serve: then the signal is
 * deferred only for a command without the library. */
static bool is_drain_signal(int sig)
{
    bool known = s.descendants.table || !s.what->object;
    return known && !s.what->options->disable && sig < 64 && (s.what->options->signals >> sig & 1) != 0;
}

/* The servers drain first. Returns whether the signal is deferred for the command: not if the command is one of the
 * servers, or if there is no server. */
static bool begin_drain(int sig)
{
    nsec_t timeout = s.what->options->timeout;
    s.began = s.external_at = clock_now();
    s.until = timeout ? s.began + timeout + GRACE : 0;
    s.draining = sig;
    signal_repeat_ends(&s.repeat, sig, s.began);
    unsigned servers = descendants_drain(&s.descendants, sig, false);
    if (s.ended || descendants_serves(&s.descendants, s.child))
        return false;
    s.deferred = servers > 0;
    if (s.deferred)
        host_log(LOG_INFO, "the servers below the command drain before it has the signal", "program", s.what->program,
                 NULL);
    else
        s.external = external_begin(s.child, sig, s.what->options, s.began);
    return s.deferred || s.external;
}

/* As begin_drain, for a repeated signal. A server has its own rules for a second signal, and after the delivery the
 * launcher applies none. */
static bool drain_again(int sig)
{
    bool ends = signal_repeat_ends(&s.repeat, sig, clock_now());
    if (s.external && !ends)
        return true;
    if (s.external) {
        s.external_at = clock_now();
        external_again(s.external, s.external_at);
        return true;
    }
    if (!ends)
        return s.deferred;
    s.deferred = false;
    s.until = clock_now() + GRACE;
    descendants_drain(&s.descendants, sig, true);
    return false;
}

static void deliver(void)
{
    s.deferred = false;
    if (!s.ended)
        kill(s.child, s.draining);
}

static void step_external(void)
{
    nsec_t time = clock_now();
    enum external_next next = EXTERNAL_OVER;
    if (!s.external)
        return;
    if (s.ended)
        external_program_ended(s.external, s.status > 128, time); /* or a shell reports its server's death so */
    else if ((next = external_step(s.external, time, &s.external_at)) == EXTERNAL_WAIT)
        return;
    s.aborted = next == EXTERNAL_ABORTED;
    external_end(s.external);
    s.external = NULL;
}

/* Returns whether a server is still waited for. */
static bool step_drain(void)
{
    if (!s.draining)
        return false;
    nsec_t time = clock_now();
    bool late = s.until != 0 && time >= s.until;
    bool waits = descendants_drain(&s.descendants, s.draining, false) > 0 && !late;
    if (!waits && s.deliver_at == 0) /* from here on, even if the command starts new servers, again and again */
        s.deliver_at = time + EXIT_TIME;
    if (s.deferred && (late || (s.deliver_at != 0 && time >= s.deliver_at)))
        deliver();
    return waits;
}

/* When to call step_drain again at the latest; 0: only after an event. */
static nsec_t next_step(void)
{
    if (!s.deferred && !s.ended)
        return 0;
    return s.deferred && s.deliver_at ? s.deliver_at : s.until;
}

static void take_signal(const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (sig == SIGCHLD &&
        info->ssi_code >
            0) /* the kernel sent SIGCHLD for a child; a SIGCHLD that a process has sent is forwarded to the command */
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
    if (s.aborted && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        s.status = 128 + s.draining; /* as the library ends a program */
    /* The signal was sent to the command itself, and the command has died of it: the servers below the command have
     * to drain all the same. */
    if (WIFSIGNALED(status) && is_drain_signal(WTERMSIG(status)) && !s.draining)
        begin_drain(WTERMSIG(status));
}

static int status_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0) : W_EXITCODE(0, info->si_status);
}

/* The launcher's next child that has ended or stopped; 0: there is none. The main process of a service is left to
 * the service manager to reap. From then on the launcher reaps no other child either: no wait call can skip that
 * one, and the launcher ends soon. */
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
                 "library", s.what->object, NULL);
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
    if (s.deferred || s.ended)
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

/* The service manager accepts the command's messages only after MAINPID. gate: a pipe that is closed then, and lets
 * the command continue. */
static void name_main(const int gate[2])
{
    bool external = !s.what->object && !s.what->options->disable;
    if (!external) /* in an external drain the signal must go to the launcher, not to the main process */
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
    /* The launcher reaps orphans, as PID 1 does, and drains the servers among them. */
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
    setpgid(s.child,
            s.child); /* parent and child both call setpgid, so that the group exists before either of them needs it */
    startup_check_forked(&s.startup);
    return true;
}

/* Undoes start()'s changes of this process. */
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
