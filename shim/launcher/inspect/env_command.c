/* env_command.c: see env_command.h; the manual: "env invocation" of coreutils. */
#include "launcher/inspect/env_command.h"

#include <stdlib.h>
#include <string.h>

bool envline_insert(struct envline *e, unsigned at, const char *word, size_t n)
{
    if (e->count == ENVLINE_WORDS || n >= ENVLINE_ARENA - e->used)
        return false;
    memmove(e->words + at + 1, e->words + at, (e->count - at) * sizeof *e->words);
    e->count++;
    char *copy = e->arena + e->used;
    memcpy(copy, word, n);
    copy[n] = '\0';
    e->used += n + 1;
    e->words[at] = copy;
    return true;
}

void envline_drop(struct envline *e, unsigned at, unsigned n)
{
    e->count -= n;
    memmove(e->words + at, e->words + at + n, (e->count - at) * sizeof *e->words);
}

/* ---- -S: a string into words ------------------------------------------------------------------------ */

struct split {
    struct envline *e;
    const char *s;
    unsigned at; /* where the next word goes */
    char word[4096];
    size_t len;
    bool begun, ended; /* a word has begun; \c */
    char quote;        /* ' or ", or 0 */
};

static bool put(struct split *p, char c)
{
    p->begun = true;
    if (p->len == sizeof p->word)
        return false;
    p->word[p->len++] = c;
    return true;
}

static bool finish_word(struct split *p)
{
    if (!p->begun)
        return true;
    bool fits = envline_insert(p->e, p->at, p->word, p->len);
    p->at++;
    p->len = 0;
    p->begun = false;
    return fits;
}

static const char too_long[] = "its -S string is too long";

/* After a backslash outside of single quotes. */
static const char *split_escape(struct split *p)
{
    char c = *p->s;
    static const char from[] = "fnrtv#$\"'\\", to[] = "\f\n\r\t\v#$\"'\\";
    if (!c)
        return "its -S string ends in a backslash";
    p->s++;
    if (c == '_' && !p->quote)
        return finish_word(p) ? NULL : too_long;
    if (c == 'c') {
        p->ended = true;
        return p->quote ? "its -S string has \\c within quotes" : NULL;
    }
    const char *known = strchr(from, c);
    if (c != '_' && !known)
        return "its -S string has an escape that env does not know";
    return put(p, c == '_' ? ' ' : to[known - from]) ? NULL : too_long;
}

static const char *split_variable(struct split *p)
{
    const char *end = p->s[0] == '{' ? strchr(p->s, '}') : NULL;
    char name[256];
    size_t n = end ? (size_t)(end - p->s) - 1 : 0;
    if (!n || n >= sizeof name)
        return "its -S string has a $ without {NAME}";
    memcpy(name, p->s + 1, n);
    name[n] = '\0';
    p->s = end + 1;
    for (const char *value = getenv(name); value && *value; value++)
        if (!put(p, *value))
            return too_long;
    return NULL;
}

static const char *split_single(struct split *p, char c)
{
    if (c == '\'') {
        p->quote = 0;
        return NULL;
    }
    if (c == '\\' && (*p->s == '\\' || *p->s == '\''))
        c = *p->s++;
    return put(p, c) ? NULL : too_long;
}

static const char *split_char(struct split *p, char c)
{
    if (p->quote == '\'')
        return split_single(p, c);
    if (c == '\\')
        return split_escape(p);
    if (c == '$')
        return split_variable(p);
    if (c == '"' || (c == '\'' && !p->quote)) {
        p->quote = p->quote ? 0 : c;
        p->begun = true;
        return NULL;
    }
    if (!p->quote && strchr(" \t\n\v\f\r", c))
        return finish_word(p) ? NULL : too_long;
    if (c == '#' && !p->begun && !p->quote) {
        p->ended = true; /* a comment */
        return NULL;
    }
    return put(p, c) ? NULL : too_long;
}

/* Takes words[at] (the string) out and puts its words there. */
static const char *split_string(struct envline *e, unsigned at, const char *string)
{
    envline_drop(e, at, 1);
    static struct split p; /* large; nobody is here twice at once */
    p = (struct split){.e = e, .s = string, .at = at};
    while (*p.s && !p.ended) {
        char c = *p.s++;
        const char *wrong = split_char(&p, c);
        if (wrong)
            return wrong;
    }
    if (p.quote)
        return "its -S string has a quote without end";
    return finish_word(&p) ? NULL : too_long;
}

/* ---- options and assignments ------------------------------------------------------------------------ */

struct reader {
    struct envline *e;
    struct envline_outcome *to;
    unsigned at;
};

static void forget(struct envline_outcome *to, const char *name)
{
    if (strcmp(name, "LD_PRELOAD") == 0)
        to->preload_gone = true;
    if (strcmp(name, "PATH") == 0)
        to->path_gone = true;
}

static void clear(struct envline_outcome *to)
{
    to->preload_gone = to->path_gone = true;
}

/* The option's argument: the rest of this word, or the next word. */
static const char *argument(struct reader *r, const char *rest)
{
    if (*rest)
        return rest;
    return r->at + 1 < r->e->count ? r->e->words[++r->at] : NULL;
}

/* -S: what follows is read anew, from the words that the string gave. */
static const char *take_split(struct reader *r, const char *string)
{
    if (!string)
        return "its -S lacks a string";
    const char *wrong = split_string(r->e, r->at, string);
    r->at--; /* the caller goes on to the next word */
    return wrong;
}

static const char *read_short(struct reader *r, const char *letters)
{
    for (; *letters; letters++) {
        const char *value;
        switch (*letters) {
        case 'i': clear(r->to); break;
        case '0':
        case 'v': break;
        case 'S': return take_split(r, argument(r, letters + 1));
        case 'u':
        case 'C':
            value = argument(r, letters + 1);
            if (!value)
                return "an option of it lacks its argument";
            if (*letters == 'u')
                forget(r->to, value);
            else
                r->to->chdir = value;
            return NULL;
        default: return "it has an option that env does not know";
        }
    }
    return NULL;
}

/* "--name=value" or "--name" "value"; NULL = another option */
static const char *long_value(struct reader *r, const char *word, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(word, name, n) != 0 || (word[n] && word[n] != '='))
        return NULL;
    return argument(r, word[n] ? word + n + 1 : "");
}

static const char *read_long(struct reader *r, const char *word)
{
    const char *value;
    if (strcmp(word, "--ignore-environment") == 0)
        clear(r->to);
    else if ((value = long_value(r, word, "--unset")))
        forget(r->to, value);
    else if ((value = long_value(r, word, "--chdir")))
        r->to->chdir = value;
    else if ((value = long_value(r, word, "--split-string")))
        return take_split(r, value);
    else if (strcmp(word, "--debug") != 0 && strcmp(word, "--null") != 0 && !strstr(word, "-signal"))
        return "it has an option that env does not know";
    return NULL;
}

static void assign(struct envline_outcome *to, const char *word)
{
    if (strncmp(word, "PATH=", 5) == 0) {
        to->path = word + 5;
        to->path_gone = false;
    }
    if (strncmp(word, "LD_PRELOAD=", 11) == 0)
        to->preload_gone = !strstr(word, "liblastcall");
}

const char *envline_read(struct envline *e, struct envline_outcome *outcome)
{
    *outcome = (struct envline_outcome){0};
    struct reader r = {e, outcome, 1};
    const char *wrong = NULL;
    for (; r.at < e->count && e->words[r.at][0] == '-' && !wrong; r.at++) {
        const char *word = e->words[r.at];
        if (strcmp(word, "--") == 0) {
            r.at++;
            break;
        }
        if (strcmp(word, "-") == 0)
            clear(outcome);
        else
            wrong = word[1] == '-' ? read_long(&r, word) : read_short(&r, word + 1);
    }
    while (r.at < e->count && strchr(e->words[r.at], '='))
        assign(outcome, e->words[r.at++]);
    outcome->command = r.at;
    return wrong;
}
