/* unix_listeners.c: see unix_listeners.h. A line of /proc/PID/net/unix (proc_net(5), unix_seq_show):
 *   0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/app.sock */
#include "launcher/host/unix_listeners.h"

#include "launcher/host/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACCEPTS = 0x10000 }; /* __SO_ACCEPTCON: listen was called */

bool unix_listeners_each(int pid, void (*f)(uint64_t inode, const char *path, size_t n, void *arg), void *arg)
{
    char name[PROCESS_PATH], *line = NULL;
    size_t room = 0;
    FILE *from = fopen(process_path(name, pid, "net/unix"), "re");
    if (!from)
        return false;
    for (ssize_t n; (n = getline(&line, &room, from)) > 0;) {
        unsigned flags;
        uint64_t inode;
        int path = 0;
        n -= line[n - 1] == '\n';
        line[n] = '\0';
        if (sscanf(line, "%*x: %*x %*x %x %*x %*x %" SCNu64 "%n", &flags, &inode, &path) != 2 || !(flags & ACCEPTS))
            continue;
        path += line[path] == ' ';
        f(inode, line + path, (size_t)n - (size_t)path, arg);
    }
    free(line);
    fclose(from);
    return true;
}
