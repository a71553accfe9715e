/* service_manager.c: see service_manager.h. Sources: sd_listen_fds(3), sd_notify(3), systemd.exec(5). */
#include "launcher/run/service_manager.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3 }; /* SD_LISTEN_FDS_START */

static bool number_of(const char *name, long *number)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return false;
    *number = strtol(text, &end, 10);
    return *end == '\0' && *number > 0 && *number <= INT_MAX;
}

static bool is_named(const char *variable, pid_t pid)
{
    long named;
    return number_of(variable, &named) && named == pid;
}

void service_manager_rename(pid_t launcher)
{
    static const char *const variables[] = {"LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"};
    char number[16];
    snprintf(number, sizeof number, "%d", (int)getpid());
    if (is_named("LISTEN_PID", launcher))
        unsetenv("LISTEN_PIDFDID"); /* the same once more, by the inode of a pidfd; it may be lacking */
    for (unsigned i = 0; i < COUNT(variables); i++)
        if (is_named(variables[i], launcher))
            setenv(variables[i], number, 1);
}

void service_manager_close_listeners(void)
{
    long count;
    if (is_named("LISTEN_PID", getpid()) && number_of("LISTEN_FDS", &count) && count <= INT_MAX - FIRST)
        close_range(FIRST, FIRST + (unsigned)count - 1, 0);
}

/* Before version 248 systemd does not set SYSTEMD_EXEC_PID; then a parent with pid 1 decides. */
static bool is_main(void)
{
    return getenv("SYSTEMD_EXEC_PID") ? is_named("SYSTEMD_EXEC_PID", getpid()) : getppid() == 1;
}

bool service_manager_notifies(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    return path && (path[0] == '/' || path[0] == '@') && is_main();
}

bool service_manager_set_main(pid_t child)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    char said[32];
    size_t n = strlen(path);
    if (n >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, path, n);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    int length = snprintf(said, sizeof said, "MAINPID=%d", (int)child);
    ssize_t sent = sendto(fd, said, (size_t)length, MSG_NOSIGNAL, (struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
    return sent == length;
}
