/* config.c: see config.h. */
#include "process/config.h"

HIDDEN struct options config;

static char strings[3][OPTIONS_PATH_MAX]; /* log_file, report, health: copies */
static char errors[2048];

/* A name is the environment's, too. */
static void add_name(struct text *t, const struct options_complaint *c)
{
    for (size_t i = 0; i < c->name_len; i++)
        if (c->name[i] <= ' ' || c->name[i] > '~') {
            text_quoted(t, c->name, c->name_len, false);
            return;
        }
    text_bytes(t, c->name, c->name_len);
}

static void add_error(struct text *t, const struct options_complaint *c)
{
    text_str(t, "lastcall: ");
    add_name(t, c);
    if (c->unknown) {
        text_str(t, " is not a variable of lastcall; it is not used\n");
        return;
    }
    size_t n = 0;
    while (c->value[n])
        n++;
    text_char(t, '=');
    text_quoted(t, c->value, n, false);
    text_str(t, " cannot be read; ");
    text_str(t, c->used);
    text_str(t, " is used\n");
}

static const char *keep(const char *value, char *copy, struct text *t)
{
    size_t n = 0;
    if (!value)
        return NULL;
    while (n < OPTIONS_PATH_MAX - 1 && value[n])
        n++;
    if (value[n]) {
        text_str(t, "lastcall: a path is longer than 1023 bytes; it is not used\n");
        return NULL;
    }
    memcpy(copy, value, n + 1);
    return copy;
}

void config_read(const char *const *environment)
{
    struct options_complaint complaints[OPTIONS_COMPLAINTS_MAX];
    struct text t;
    unsigned n = options_read(&config, environment, complaints, OPTIONS_COMPLAINTS_MAX);
    text_init(&t, errors, sizeof errors);
    for (unsigned i = 0; i < n && i < OPTIONS_COMPLAINTS_MAX; i++)
        add_error(&t, &complaints[i]);
    /* The program may overwrite its environment (setproctitle does): keep what is needed later. */
    config.log_file = keep(config.log_file, strings[0], &t);
    config.report = keep(config.report, strings[1], &t);
    config.health = keep(config.health, strings[2], &t);
    if (config.report_connections && !config.report)
        text_str(
            &t,
            "lastcall: LASTCALL_REPORT_CONNECTIONS=1 adds to the report, but LASTCALL_REPORT names no file for it\n");
}

const char *config_errors(void)
{
    return errors;
}

void config_errors_begin(struct text *more)
{
    size_t n = 0;
    while (errors[n])
        n++;
    text_init(more, errors + n, sizeof errors - n);
}
