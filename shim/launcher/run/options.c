/* options.c: see options.h. */
#include "launcher/run/options.h"

#include "core/known_program.h"
#include "core/text.h"

#include <string.h>

void run_options_error(char *to, size_t size, const struct run_options *o, const struct options_error *e)
{
    struct text t;
    char option[CLI_NAME_MAX] = "";
    for (unsigned i = 0; i < option_rows_count && i < COUNT(o->value); i++)
        if (o->value[i] && strlen(option_rows[i].name) == e->name_len &&
            memcmp(option_rows[i].name, e->name, e->name_len) == 0)
            cli_variable_name(option, i);
    text_init(&t, to, size);
    if (option[0]) {
        text_str(&t, "--");
        text_str(&t, option);
    } else {
        text_bytes(&t, e->name, e->name_len);
    }
    if (e->unknown) {
        text_str(&t, " is not a variable of lastcall; it is not used");
        return;
    }
    text_str(&t, option[0] ? " " : "=");
    text_quoted(&t, e->value, strnlen(e->value, 256), false);
    text_str(&t, " cannot be read, so the command is not started; by default it is ");
    text_str(&t, e->used);
}

/* Compares file names without their folders: two copies of the library in one program would each defer the signal. */
static bool is_same_object(const char *path, size_t n, const char *ours)
{
    const char *name = strrchr(ours, '/');
    size_t len;
    name = name ? name + 1 : ours;
    len = strlen(name);
    return n >= len && memcmp(path + n - len, name, len) == 0 && (n == len || path[n - len - 1] == '/');
}

bool run_options_preload(char *to, size_t size, const char *ours, const char *old)
{
    static const char between[] = " :";
    struct text t;
    size_t n;
    text_init(&t, to, size);
    text_str(&t, ours);
    for (old += strspn(old, between); *old; old += n, old += strspn(old, between)) {
        n = strcspn(old, between);
        if (is_same_object(old, n, ours))
            continue;
        text_char(&t, ':');
        text_bytes(&t, old, n);
    }
    return !t.truncated;
}

void run_options_settle(struct options *o, const char *program, char *const *words, bool has_terminal)
{
    char args[1024];
    size_t n = 0;
    if (!o->signals_auto)
        return;
    for (; *words && n + strlen(*words) < sizeof args; words++) {
        memcpy(args + n, *words, strlen(*words) + 1);
        n += strlen(*words) + 1;
    }
    o->signals = known_program_signals(known_program_signal(program, strlen(program), args, n), has_terminal);
}
