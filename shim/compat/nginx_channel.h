/* nginx_channel.h: nginx's master tells its workers by a socket what other masters tell by a signal (reload: QUIT;
 * after TERM: TERMINATE). Such a message is taken for the signal that nginx sends itself where the socket fails.
 * Source: nginx, src/os/unix/ngx_channel.h and ngx_process_cycle.c (ngx_signal_worker_processes). */
#ifndef LASTCALL_COMPAT_NGINX_CHANNEL_H
#define LASTCALL_COMPAT_NGINX_CHANNEL_H

#include "base.h"

#include <signal.h>
#include <sys/socket.h>

/* A recvmsg has given n bytes in msg. If they are such a message, and this process is a worker: the signal that it
 * stands for, with its siginfo in *info; else 0. Any thread. */
int nginx_channel_signal(const struct msghdr *msg, ssize_t n, siginfo_t *info);

#endif
