/* fuzz_options.c: any environment at all.
 *
 * Input: the strings of the environment, each ended by a NUL. What is read must be within its bounds and the same each
 * time, each error must name a string that is there, and what it says is used instead must be readable itself. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"

#define HOLDS(x) ((x) ? (void)0 : (fprintf(stderr, "does not hold: %s\n", #x), abort()))

enum { STRINGS_MAX = 64 };

static bool ends_inside(const char *s, size_t size)
{
    return memchr(s, '\0', size) != NULL;
}

static void within_bounds(const struct options *o)
{
    HOLDS(o->timeout <= INT64_MAX && o->delay <= INT64_MAX && o->delay_quiet <= INT64_MAX);
    HOLDS(o->idle <= INT64_MAX && o->linger <= INT64_MAX);
    HOLDS(o->signals != 0 && (o->signals >> SIGKILL & 1) == 0 && (o->signals >> SIGSTOP & 1) == 0);
    HOLDS(o->forward >= 0 && o->forward <= SIGRTMAX);
    HOLDS(o->listen_count <= OPTIONS_LISTEN_MAX);
    HOLDS(o->log <= LOG_TRACE && o->log_format <= LOG_JSON);
    for (unsigned i = 0; i < o->listen_count; i++)
        HOLDS(o->listen[i].family != 1 || ends_inside(o->listen[i].path, sizeof o->listen[i].path));
}

/* A listener that the filter names passes it. */
static void lets_its_own_pass(const struct options *o)
{
    for (unsigned i = 0; i < o->listen_count; i++) {
        const struct listen_filter *f = &o->listen[i];
        if (f->family == 4 || f->family == 6)
            HOLDS(options_listens(o, f->family, f->port, f->addr, NULL, 0));
        else if (f->family == 0)
            HOLDS(options_listens(o, 4, f->port, (const uint8_t *)"\177\0\0\1", NULL, 0));
    }
}

static void is_about(const struct options_error *e, const char *const *envp)
{
    bool there = false;
    for (; *envp; envp++)
        there = there || (e->name >= *envp && e->name + e->name_len <= *envp + strlen(*envp));
    HOLDS(there);
    char entry[512];
    struct options o;
    struct options_error again;
    if (e->unknown || e->name_len + strlen(e->used) + 2 > sizeof entry)
        return;
    snprintf(entry, sizeof entry, "%.*s=%s", (int)e->name_len, e->name, e->used);
    const char *const one[] = {entry, NULL};
    HOLDS(options_read(&o, one, &again, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options_error errors[OPTIONS_ERRORS_MAX];
    struct options o, again;
    const char *envp[STRINGS_MAX + 1];
    char *copy = malloc(size + 1);
    size_t count = 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t at = 0; at < size && count < STRINGS_MAX; at += strlen(copy + at) + 1)
        envp[count++] = copy + at;
    envp[count] = NULL;

    options_disabled(envp);
    unsigned n = options_read(&o, envp, errors, OPTIONS_ERRORS_MAX);
    within_bounds(&o);
    lets_its_own_pass(&o);
    for (unsigned i = 0; i < n && i < OPTIONS_ERRORS_MAX; i++)
        is_about(&errors[i], envp);
    HOLDS(options_read(&again, envp, NULL, 0) == n);
    HOLDS(again.signals == o.signals && again.timeout == o.timeout && again.listen_count == o.listen_count);
    free(copy);
    return 0;
}
