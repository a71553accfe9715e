/* channel.c: nginx's master tells its workers by a socket what others tell by a signal (reload: QUIT; after TERM:
 * TERMINATE). Such a message is taken for the signal that nginx sends itself where the socket fails.
 * Source: nginx, src/os/unix/ngx_channel.h and ngx_process_cycle.c (ngx_signal_worker_processes). */
#include "hook/tracked.h"

#include "group.h"

#include <signal.h>
#include <sys/socket.h>

struct channel_message { /* ngx_channel_t */
    unsigned long command;
    int pid;
    long slot;
    int fd;
};

enum { COMMAND_QUIT = 3, COMMAND_TERMINATE = 4 };

static int signal_of(const struct msghdr *msg, ssize_t n)
{
    struct channel_message m;
    if (n != (ssize_t)sizeof m || msg->msg_iovlen != 1 || msg->msg_iov[0].iov_len != sizeof m)
        return 0;
    memcpy(&m, msg->msg_iov[0].iov_base, sizeof m);
    if (m.pid != 0 || m.slot != 0 || m.fd != -1)
        return 0;
    return m.command == COMMAND_QUIT ? SIGQUIT : m.command == COMMAND_TERMINATE ? SIGTERM : 0;
}

bool hook_is_withheld_command(const struct msghdr *msg, ssize_t n)
{
    siginfo_t info;
    int sig = signal_of(msg, n);
    if (sig == 0 || !shim_holds(sig) || !group_self() || group_table_master(group.table, group.at) == MEMBER_NONE)
        return false;
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = SI_USER;
    info.si_pid = (pid_t)sys0(SYS_getppid);
    return !shim_signal(sig, &info);
}
