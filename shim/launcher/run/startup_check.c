/* startup_check.c: see startup_check.h. */
#include "launcher/run/startup_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From exec to the dynamic linker's maps it takes a millisecond; on a machine that starts a hundred things, longer. */
#define LOAD_TIME (5 * NSEC_PER_SEC)

bool handshake_begin(struct handshake *h, const char *object)
{
    int ends[2];
    *h = (struct handshake){.object = object};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    h->result = ends[0];
    h->report = ends[1];
    fcntl(h->result, F_SETFL, O_NONBLOCK);
    return true;
}

void handshake_fail(const struct handshake *h, int error)
{
    if (write(h->report, &error, sizeof error) != sizeof error)
        return;
}

void handshake_forked(struct handshake *h)
{
    close(h->report);
    h->report = -1;
}

/* 1: it is there; 0: not, or not yet; -1: the maps cannot be read. */
static int is_mapped(int child, const char *object)
{
    char path[32], *line = NULL;
    size_t size = 0, n = strlen(object);
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return -1;
    while (!found && getline(&line, &size, maps) > 0) {
        const char *name = strchr(line, '/');
        found = name && strncmp(name, object, n) == 0 && (name[n] == '\n' || name[n] == ' ');
    }
    bool unread = ferror(maps); /* a process of other rights opens, and does not read */
    free(line);
    fclose(maps);
    return unread ? -1 : found;
}

static void step_exec(struct handshake *h, nsec_t now)
{
    ssize_t n = read(h->result, &h->error, sizeof h->error);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(h->result);
    h->result = -1;
    h->state = n == sizeof h->error || !h->object ? HANDSHAKE_OVER : HANDSHAKE_LOAD;
    h->until = now + LOAD_TIME;
    h->pause = NSEC_PER_MSEC;
    h->look = now + h->pause;
}

enum handshake_state handshake_step(struct handshake *h, int child, nsec_t now)
{
    if (h->state == HANDSHAKE_EXEC)
        step_exec(h, now);
    if (h->state != HANDSHAKE_LOAD || now < h->look)
        return h->state;
    int mapped = is_mapped(child, h->object);
    if (mapped > 0)
        h->state = HANDSHAKE_LOADED;
    else if (now >= h->until)
        h->state = mapped < 0 ? HANDSHAKE_HIDDEN : HANDSHAKE_ABSENT;
    h->pause *= 2;
    h->look = now + h->pause < h->until ? now + h->pause : h->until;
    return h->state;
}

unsigned handshake_poll(const struct handshake *h, struct pollfd *to, nsec_t *wake)
{
    if (h->state == HANDSHAKE_EXEC) {
        *to = (struct pollfd){h->result, POLLIN, 0};
        return 1;
    }
    if (h->state == HANDSHAKE_LOAD && (*wake == 0 || h->look < *wake))
        *wake = h->look;
    return 0;
}
