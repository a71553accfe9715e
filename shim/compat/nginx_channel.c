/* nginx_channel.c: see nginx_channel.h. */
#include "compat/nginx_channel.h"

#include "group/member.h"
#include "sys/syscall.h"

struct message { /* ngx_channel_t */
    unsigned long command;
    int pid;
    long slot;
    int fd;
};

enum { COMMAND_QUIT = 3, COMMAND_TERMINATE = 4 };

static int signal_of(const struct msghdr *msg, ssize_t n)
{
    struct message m;
    if (n != (ssize_t)sizeof m || msg->msg_iovlen != 1 || msg->msg_iov[0].iov_len != sizeof m)
        return 0;
    memcpy(&m, msg->msg_iov[0].iov_base, sizeof m);
    if (m.pid != 0 || m.slot != 0 || m.fd != -1)
        return 0;
    return m.command == COMMAND_QUIT ? SIGQUIT : m.command == COMMAND_TERMINATE ? SIGTERM : 0;
}

int nginx_channel_signal(const struct msghdr *msg, ssize_t n, siginfo_t *info)
{
    int sig = signal_of(msg, n);
    if (sig == 0 || !member_is_worker())
        return 0;
    memset(info, 0, sizeof *info);
    info->si_signo = sig;
    info->si_code = SI_USER;
    info->si_pid = (pid_t)sys0(SYS_getppid);
    return sig;
}
