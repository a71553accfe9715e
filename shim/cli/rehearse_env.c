/* rehearse_env.c: the server's environment: ours, kept as it is, but for what makes the difference between the sides. */
#include "rehearse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static const char object[] = "liblastcall.so";

/* The object beside this program, or where `make install` puts it. */
static bool find_object(char *path, size_t size)
{
    static const char *const places[] = {"", "../lib/"};
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return false;
    self[n] = 0;
    strrchr(self, '/')[1] = 0;
    for (unsigned i = 0; i < COUNT(places); i++) {
        snprintf(path, size, "%s%s%s", self, places[i], object);
        if (!access(path, R_OK))
            return true;
    }
    return false;
}

static bool is_ours(const char *word, size_t n)
{
    size_t len = sizeof object - 1;
    return n >= len && !memcmp(word + n - len, object, len) && (n == len || word[n - len - 1] == '/');
}

/* LD_PRELOAD=FIRST and then what `list` holds beside us. */
static char *preload(const char *first, const char *list)
{
    size_t size = strlen("LD_PRELOAD=") + strlen(first) + strlen(list) + 3;
    char *line = malloc(size);
    if (!line)
        return NULL;
    size_t at = (size_t)snprintf(line, size, "LD_PRELOAD=%s", first);
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
    char path[512] = "";
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
    if (with && !find_object(path, sizeof path))
        return rehearse_fail(CLI_USAGE, "%s is neither beside this program nor in ../lib: nothing to rehearse with",
                             object);
    if (with || list)
        env[n++] = preload(path, list ? list : "");
    if (with)
        env[n++] = assign("LASTCALL_REPORT", r->report_path);
    if (with && !strncmp(r->url.address, "unix:", 5) && !getenv("LASTCALL_LISTEN"))
        env[n++] = assign("LASTCALL_LISTEN", r->url.address); /* AF_UNIX is drained only where it is named */
    *out = env;
    return 0;
}
