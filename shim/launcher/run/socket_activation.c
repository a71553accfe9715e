/* socket_activation.c: see socket_activation.h. */
#include "launcher/run/socket_activation.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool is_for(pid_t pid)
{
    long named;
    return number_of("LISTEN_PID", &named) && named == pid;
}

void socket_activation_take(pid_t launcher)
{
    char number[16];
    if (!is_for(launcher))
        return;
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
}

void socket_activation_close(void)
{
    long count;
    if (is_for(getpid()) && number_of("LISTEN_FDS", &count) && count <= INT_MAX - FIRST)
        close_range(FIRST, FIRST + (unsigned)count - 1, 0);
}
