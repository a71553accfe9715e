/* bar.c: the bar on a terminal, and what must be said past it. */
#include "launcher/rehearse/rehearse.h"
#include "launcher/host/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static nsec_t drawn; /* when last; 0 = there is none */

/* How far the whole is, in thousandths: a run that loads is some way. */
static unsigned done(const struct rehearsal *r)
{
    unsigned part = r->watched ? 400 : 0;
    return (1000 * r->step + part) / r->steps;
}

void rehearse_draw(const struct rehearsal *r)
{
    char line[512], label[256];
    struct text t;
    struct winsize size = {.ws_col = 0};
    nsec_t now = clock_now();
    if (!r->terminal || now < drawn + 80 * NSEC_PER_MSEC)
        return;
    drawn = now;
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    uint64_t served = r->watched ? __atomic_load_n(&r->watched->count[LOAD_OK], __ATOMIC_RELAXED) : 0;
    snprintf(label, sizeof label, "%s, %s lastcall: %s, %llu served, %.1f s", r->scenario->name,
             r->side == SIDE_WITH ? "with" : "without", r->doing, (unsigned long long)served,
             (double)(now - r->begun) / 1e9);
    text_init(&t, line, sizeof line);
    text_char(&t, '\r');
    rehearse_bar(&t, size.ws_col ? size.ws_col : 80, done(r), label);
    text_str(&t, "\033[K");
    fputs(line, stderr);
    fflush(stderr);
}

void rehearse_clear_bar(void)
{
    if (drawn)
        fputs("\r\033[K", stderr);
    drawn = 0;
}

int rehearse_fail(int status, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    (void)n;
    va_end(args);
    rehearse_clear_bar();
    return cli_fail(status, "%s", line);
}
