/* env_command.c: see env_command.h; the manual: "env invocation" of coreutils. Its -S has a language of its own
 * (quotes, escapes, variables, comments), which only env reads rightly: of that, plain words are read here. */
#include "launcher/inspect/env_command.h"

#include <string.h>

bool env_command_insert(struct env_command *e, unsigned at, const char *word, size_t n)
{
    if (e->count == ENV_COMMAND_WORDS || n >= ENV_COMMAND_ARENA - e->used)
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

void env_command_drop(struct env_command *e, unsigned at, unsigned n)
{
    e->count -= n;
    memmove(e->words + at, e->words + at + n, (e->count - at) * sizeof *e->words);
}

/* ---- -S: a string into words ------------------------------------------------------------------------ */

static const char blanks[] = " \t\n\v\f\r";

static bool is_plain(const char *string)
{
    return !strpbrk(string, "\\\"'$#");
}

/* Takes words[at] (the option with its string) out and puts the words of the string there. */
static const char *split_string(struct env_command *e, unsigned at, const char *string)
{
    env_command_drop(e, at, 1);
    for (size_t n; *(string += strspn(string, blanks)); string += n) {
        n = strcspn(string, blanks);
        if (!env_command_insert(e, at++, string, n))
            return "its -S string is too long";
    }
    return NULL;
}

/* ---- options and assignments ------------------------------------------------------------------------ */

struct reader {
    struct env_command *e;
    struct env_command_outcome *to;
    unsigned at;
};

static void forget(struct env_command_outcome *to, const char *name)
{
    if (strcmp(name, "LD_PRELOAD") == 0)
        to->preload_gone = true;
    if (strcmp(name, "PATH") == 0)
        to->path_gone = true;
}

static void clear(struct env_command_outcome *to)
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
    if (!is_plain(string)) {
        r->to->unexamined = true;
        return "its -S string has quotes, escapes or variables";
    }
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

static void assign(struct env_command_outcome *to, const char *word)
{
    if (strncmp(word, "PATH=", 5) == 0) {
        to->path = word + 5;
        to->path_gone = false;
    }
    if (strncmp(word, "LD_PRELOAD=", 11) == 0)
        to->preload_gone = !strstr(word, "liblastcall");
}

const char *env_command_read(struct env_command *e, struct env_command_outcome *outcome)
{
    *outcome = (struct env_command_outcome){0};
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
