/* startup_check.c: see startup_check.h. */
#include "launcher/run/startup_check.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* From exec to the dynamic linker's maps it takes a millisecond; on a machine that starts a hundred things, longer. */
#define LOAD_TIME (5 * NSEC_PER_SEC)

bool startup_check_begin(struct startup_check *h, const char *object)
{
    int ends[2];
    *h = (struct startup_check){.object = object};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    h->result = ends[0];
    h->report = ends[1];
    fcntl(h->result, F_SETFL, O_NONBLOCK);
    return true;
}

void startup_check_fail(const struct startup_check *h, int error)
{
    if (write(h->report, &error, sizeof error) != sizeof error)
        return;
}

void startup_check_forked(struct startup_check *h)
{
    close(h->report);
    h->report = -1;
}

struct search {
    const char *file;
    bool found;
};

/* In /proc/PID/maps a blank follows the name of a deleted file (" (deleted)"). */
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

static void step_exec(struct startup_check *h, nsec_t now)
{
    ssize_t n = read(h->result, &h->error, sizeof h->error);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(h->result);
    h->result = -1;
    h->state = n == sizeof h->error || !h->object ? STARTUP_OVER : STARTUP_LOAD;
    h->until = now + LOAD_TIME;
    h->pause = NSEC_PER_MSEC;
    h->look = now + h->pause;
}

enum startup_state startup_check_step(struct startup_check *h, int child, nsec_t now)
{
    if (h->state == STARTUP_EXEC)
        step_exec(h, now);
    if (h->state != STARTUP_LOAD || now < h->look)
        return h->state;
    int mapped = is_mapped(child, h->object);
    if (mapped > 0)
        h->state = STARTUP_LOADED;
    else if (now >= h->until)
        h->state = mapped < 0 ? STARTUP_UNKNOWN : STARTUP_ABSENT;
    h->pause *= 2;
    h->look = now + h->pause < h->until ? now + h->pause : h->until;
    return h->state;
}

unsigned startup_check_poll(const struct startup_check *h, struct pollfd *to, nsec_t *wake)
{
    if (h->state == STARTUP_EXEC) {
        *to = (struct pollfd){h->result, POLLIN, 0};
        return 1;
    }
    if (h->state == STARTUP_LOAD && (*wake == 0 || h->look < *wake))
        *wake = h->look;
    return 0;
}
