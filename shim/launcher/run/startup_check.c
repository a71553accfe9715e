/* startup_check.c: see startup_check.h. */
#include "launcher/run/startup_check.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
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

struct search {
    const char *file;
    bool found;
};

/* Behind its name a file that has been deleted has a blank. */
static bool is_other_file(const struct proc_mapping *m, void *arg)
{
    struct search *s = arg;
    size_t n = strlen(s->file);
    s->found = m->length >= n && memcmp(m->name, s->file, n) == 0 && (m->length == n || m->name[n] == ' ');
    return !s->found;
}

/* 1: it is there; 0: not, or not yet; -1: the maps cannot be read. */
static int is_mapped(int child, const char *object)
{
    struct search s = {object, false};
    long err =
        proc_each_mapping(child, is_other_file, &s); /* of a process of other rights they open, but do not read */
    return err ? -1 : s.found;
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
