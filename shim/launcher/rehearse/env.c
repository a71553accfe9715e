/* env.c: the server's environment: a copy of this process's environment without liblastcall.so; on the side with
 * lastcall, `lastcall run` preloads the library. */
#include "launcher/rehearse/rehearse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static const char object[] = "liblastcall.so";

static bool is_ours(const char *word, size_t n)
{
    size_t len = sizeof object - 1;
    return n >= len && !memcmp(word + n - len, object, len) && (n == len || word[n - len - 1] == '/');
}

/* LD_PRELOAD without liblastcall.so. */
static char *preload(const char *list)
{
    size_t size = strlen("LD_PRELOAD=") + strlen(list) + 2;
    char *line = malloc(size);
    if (!line)
        return NULL;
    size_t at = (size_t)snprintf(line, size, "LD_PRELOAD=");
    while (*(list += strspn(list, ": "))) {
        size_t n = strcspn(list, ": ");
        if (!is_ours(list, n))
            at += (size_t)snprintf(line + at, size - at, "%s%.*s", line[at - 1] == '=' ? "" : ":", (int)n, list);
        list += n;
    }
    return line;
}

static bool names(const char *line, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(line, name, n) && line[n] == '=';
}

static char *assign(const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;
    char *line = malloc(size);
    if (line)
        snprintf(line, size, "%s=%s", name, value);
    return line;
}

int rehearse_environment(const struct rehearsal *r, char ***out)
{
    const char *list = getenv("LD_PRELOAD");
    bool with = r->side == SIDE_WITH;
    unsigned n = 0, count = 0;
    while (environ[count])
        count++;
    char **env = calloc(count + 4, sizeof *env);
    if (!env)
        return rehearse_fail(CLI_USAGE, "no memory");
    for (unsigned i = 0; i < count; i++)
        if (!names(environ[i], "LD_PRELOAD") && !names(environ[i], "LASTCALL_REPORT"))
            env[n++] = environ[i];
    if (list)
        env[n++] = preload(list);
    if (with)
        env[n++] = assign("LASTCALL_REPORT", r->report_path);
    *out = env;
    return 0;
}
