/* options.c: see options.h. */
#include "launcher/run/options.h"

#include "core/text.h"

#include <stdio.h>
#include <string.h>

void runopts_name(char name[RUNOPTS_NAME_MAX], const struct option_row *row)
{
    static const char prefix[] = "LASTCALL_";
    const char *from = row->name + sizeof prefix - 1;
    unsigned n = 2;
    memcpy(name, "--", 2);
    for (; *from && n < RUNOPTS_NAME_MAX - 1; from++)
        name[n++] = (char)(*from == '_' ? '-' : *from >= 'A' && *from <= 'Z' ? *from - 'A' + 'a' : *from);
    name[n] = '\0';
}

/* Is word this option, alone or with `=VALUE` behind it? */
static bool is_option(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && (word[n] == '\0' || word[n] == '=');
}

/* Where the value of this option goes; NULL: there is no such option that takes one. */
static const char **place_of(struct runopts *o, const char *word)
{
    if (is_option(word, "--preload"))
        return &o->preload;
    for (unsigned i = 0; i < option_rows_count && i < COUNT(o->value); i++) {
        char name[RUNOPTS_NAME_MAX];
        runopts_name(name, &option_rows[i]);
        if (is_option(word, name))
            return &o->value[i];
    }
    return NULL;
}

/* Returns how many words it takes, 0: something is wrong. */
static int read_option(struct runopts *o, char *const *words, char *problem, size_t size)
{
    const char *equals = strchr(words[0], '='), **place = place_of(o, words[0]);
    if (strcmp(words[0], "--exec") == 0) {
        o->exec = true;
        return 1;
    }
    if (strcmp(words[0], "--outside") == 0) {
        o->outside = true;
        return 1;
    }
    if (!place) {
        snprintf(problem, size, "there is no option '%s'", words[0]);
        return 0;
    }
    const char *value = equals ? equals + 1 : words[1];
    if (!value || !*value || (!equals && strcmp(value, "--") == 0)) {
        snprintf(problem, size, "the option '%s' wants a value", words[0]);
        return 0;
    }
    *place = value;
    return equals ? 1 : 2;
}

bool runopts_read(struct runopts *o, int argc, char *const *argv, char *problem, size_t size)
{
    *o = (struct runopts){.command = 1};
    while (o->command < argc && argv[o->command][0] == '-' && argv[o->command][1] != '\0') {
        if (strcmp(argv[o->command], "--") == 0) {
            o->command++;
            return true;
        }
        int taken = read_option(o, argv + o->command, problem, size);
        if (taken == 0)
            return false;
        o->command += taken;
    }
    return true;
}

void runopts_error(char *to, size_t size, const struct runopts *o, const struct options_error *e)
{
    struct text t;
    char option[RUNOPTS_NAME_MAX] = "";
    for (unsigned i = 0; i < option_rows_count && i < COUNT(o->value); i++)
        if (o->value[i] && strlen(option_rows[i].name) == e->name_len &&
            memcmp(option_rows[i].name, e->name, e->name_len) == 0)
            runopts_name(option, &option_rows[i]);
    text_init(&t, to, size);
    if (option[0])
        text_str(&t, option);
    else
        text_bytes(&t, e->name, e->name_len);
    if (e->unknown) {
        text_str(&t, " is not a variable of lastcall; it is not used");
        return;
    }
    text_str(&t, option[0] ? " " : "=");
    text_quoted(&t, e->value, strnlen(e->value, 256), false);
    text_str(&t, " cannot be read, so the command is not started; by default it is ");
    text_str(&t, e->used);
}

/* By whatever path: two copies of it in one program would each withhold the signal. */
static bool is_same_object(const char *path, size_t n, const char *ours)
{
    const char *name = strrchr(ours, '/');
    size_t len;
    name = name ? name + 1 : ours;
    len = strlen(name);
    return n >= len && memcmp(path + n - len, name, len) == 0 && (n == len || path[n - len - 1] == '/');
}

bool runopts_preload(char *to, size_t size, const char *ours, const char *old)
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
    return !t.cut;
}
