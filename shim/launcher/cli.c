/* cli.c: see cli.h; reading is getopt_long's (getopt(3)). */
#include "launcher/cli.h"

#include "core/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- takers ------------------------------------------------------------------------------------------ */

const char *cli_take_switch(void *settings, size_t field, const char *value UNUSED)
{
    *(bool *)((char *)settings + field) = true;
    return NULL;
}

const char *cli_take_string(void *settings, size_t field, const char *value)
{
    *(const char **)((char *)settings + field) = value;
    return NULL;
}

/* ---- the whole table of a command -------------------------------------------------------------------- */

struct table {
    struct cli_option rows[CLI_OPTIONS_MAX];
    char names[CLI_VARIABLES_MAX][CLI_NAME_MAX]; /* of the options that mirror variables */
    unsigned count, width;                       /* width: of the widest option with its argument */
};

void cli_variable_name(char name[CLI_NAME_MAX], unsigned row)
{
    static const char prefix[] = "LASTCALL_";
    unsigned n = 0;
    for (const char *from = option_rows[row].name + sizeof prefix - 1; *from && n < CLI_NAME_MAX - 1; from++)
        name[n++] = (char)(*from == '_' ? '-' : *from >= 'A' && *from <= 'Z' ? *from - 'A' + 'a' : *from);
    name[n] = '\0';
}

/* "-o, --output FILE" */
static unsigned spell(char *to, size_t size, const struct cli_option *o)
{
    char letter[] = "-x, ";
    letter[1] = o->letter;
    int n = snprintf(to, size, "%s--%s%s%s", o->letter ? letter : "", o->name, o->argument ? " " : "",
                     o->argument ? o->argument : "");
    return (unsigned)n;
}

static void add_row(struct table *t, const struct cli_option *o)
{
    char room[256];
    unsigned n = spell(room, sizeof room, o);
    t->width = n > t->width ? n : t->width;
    t->rows[t->count++] = *o;
}

static const struct table *table_of(const struct command *c)
{
    static struct table t;
    t.count = t.width = 0;
    for (const struct cli_option *o = c->options; o && o->name && t.count < CLI_OPTIONS_MAX; o++)
        add_row(&t, o);
    for (unsigned i = 0; c->has_variables && i < option_rows_count && i < CLI_VARIABLES_MAX; i++) {
        cli_variable_name(t.names[i], i);
        if (t.count < CLI_OPTIONS_MAX)
            add_row(&t, &(struct cli_option){t.names[i], '\0', "VALUE", option_rows[i].meaning, option_rows[i].fallback,
                                             cli_take_string, c->variables + i * sizeof(const char *)});
    }
    return &t;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* What getopt_long returns for row i is LONG + i, and HELP for --help. */
enum { HELP = 256, LONG };

struct scanner {
    const struct table *table;
    struct option longs[CLI_OPTIONS_MAX + 2];
    char letters[2 * CLI_OPTIONS_MAX + 4];
};

static void prepare(struct scanner *s, const struct command *c)
{
    char *letter = s->letters;
    *s = (struct scanner){.table = table_of(c)};
    if (c->words_are_command)
        *letter++ = '+';
    *letter++ = ':'; /* a missing value is told apart from an unknown option */
    *letter++ = 'h';
    for (unsigned i = 0; i < s->table->count; i++) {
        const struct cli_option *o = &s->table->rows[i];
        s->longs[i] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, LONG + (int)i};
        if (o->letter)
            *letter++ = o->letter;
        if (o->letter && o->argument)
            *letter++ = ':';
    }
    s->longs[s->table->count] = (struct option){"help", no_argument, NULL, HELP};
}

static const struct cli_option *row_of(const struct scanner *s, int key)
{
    if (key >= LONG)
        return &s->table->rows[key - LONG];
    for (unsigned i = 0; i < s->table->count; i++)
        if (s->table->rows[i].letter == key)
            return &s->table->rows[i];
    return NULL;
}

/* getopt_long takes any beginning of a name that only one option has, so a new option would change what an old command
 * line means. */
static bool is_spelt_out(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word + 2, name, n) == 0 && (word[2 + n] == '\0' || word[2 + n] == '=');
}

/* Why getopt_long has refused an option. */
static void refusal(const char *word, char *problem, size_t size)
{
    if (optopt >= HELP)
        snprintf(problem, size, "'%s': this option takes no value", word);
    else if (optopt)
        snprintf(problem, size, "there is no option '-%c'", optopt);
    else
        snprintf(problem, size, "there is no option '%s'", word);
}

static bool take(const struct cli_option *o, void *settings, const char *word, char *problem, size_t size)
{
    if (o->argument && (!*optarg || (optarg == word && strcmp(word, "--") == 0))) {
        snprintf(problem, size, "the option '--%s' wants a value", o->name);
        return false;
    }
    const char *wrong = o->take(settings, o->field, optarg);
    if (wrong)
        snprintf(problem, size, "--%s '%s' %s", o->name, optarg, wrong);
    return !wrong;
}

enum cli_outcome cli_read(const struct command *c, void *settings, int argc, char **argv, int *rest, char *problem,
                          size_t size)
{
    static struct scanner s;
    prepare(&s, c);
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    for (int key; (key = getopt_long(argc, argv, s.letters, s.longs, NULL)) != -1;) {
        const char *last = argv[optind - 1], *word = optarg == last ? argv[optind - 2] : last;
        if (key == ':') {
            snprintf(problem, size, "the option '%s' wants a value", last);
            return CLI_WRONG;
        }
        const char *name = key == HELP ? "help" : key >= LONG ? row_of(&s, key)->name : NULL;
        if (key == '?' || (name && !is_spelt_out(word, name))) {
            optopt = key == '?' ? optopt : 0;
            refusal(word, problem, size);
            return CLI_WRONG;
        }
        if (key == 'h' || key == HELP)
            return CLI_HELP;
        if (!take(row_of(&s, key), settings, last, problem, size))
            return CLI_WRONG;
    }
    *rest = optind;
    return CLI_READ;
}

/* ---- telling ----------------------------------------------------------------------------------------- */

static void put_row(const struct cli_option *o, unsigned width)
{
    char left[256];
    spell(left, sizeof left, o);
    printf("  %-*s  ", (int)width, left);
    for (const char *c = o->help; *c; c++) {
        putchar(*c);
        if (*c == '\n')
            printf("%*s", (int)width + 4, "");
    }
    if (o->fallback)
        printf(" (%s)", o->fallback);
    putchar('\n');
}

/* A few options are shown, many are only "[options]". */
static void put_usage(FILE *to, const struct command *c)
{
    enum { FEW = 4 };
    const struct table *t = table_of(c);
    fprintf(to, "usage: lastcall %s", c->name);
    for (unsigned i = 0; i < t->count && t->count <= FEW; i++) {
        const char *argument = t->rows[i].argument;
        fprintf(to, " [--%s%s%s]", t->rows[i].name, argument ? " " : "", argument ? argument : "");
    }
    fprintf(to, "%s%s%s\n", t->count > FEW ? " [options]" : "", *c->words ? " " : "", c->words);
}

void cli_help(const struct command *c)
{
    put_usage(stdout, c);
    printf("\n%s\n", c->summary);
    if (c->about)
        printf("\n%s", c->about);
    const struct table *t = table_of(c);
    if (t->count)
        putchar('\n');
    for (unsigned i = 0; i < t->count; i++)
        put_row(&t->rows[i], t->width);
    if (c->help)
        printf("\n%s", c->help);
}

static void say(const char *format, va_list args)
{
    char line[1024];
    (void)vsnprintf(line, sizeof line, format, args);
    fprintf(stderr, "lastcall: %s\n", line);
}

int cli_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return status;
}

int cli_usage(const struct command *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    put_usage(stderr, c);
    return CLI_USAGE;
}
