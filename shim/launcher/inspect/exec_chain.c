/* exec_chain.c: see exec_chain.h; the kernel's side is fs/binfmt_script.c and exec_binprm() of fs/exec.c. */
#include "launcher/inspect/exec_chain.h"

#include "launcher/inspect/env_command.h"

#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SCRIPT_LINE = 256, /* BINPRM_BUF_SIZE: what the kernel reads of a #! line */
    SCRIPTS_MAX = 5,   /* in one exec; the sixth is ELOOP */
    ENVS_MAX = 32,     /* an env that runs a script of env: no kernel ends that */
};

/* What execvp of glibc takes where PATH is not set. */
#define DEFAULT_PATH "/bin:/usr/bin"

struct walk {
    struct program_facts *facts;
    struct env_command line;
    const char *path;      /* where to look for a command without slash */
    const char *directory; /* of env --chdir */
    bool script;           /* its interpreter is looked for, and no command */
    char place[PATH_MAX];  /* the file on hand */
    unsigned depth, envs;  /* scripts in this exec; commands that env has run */
};

int exec_chain_problem(struct program_facts *facts, int status, const char *before, const char *name, const char *after)
{
    struct text t;
    text_init(&t, facts->problem, sizeof facts->problem);
    text_str(&t, before);
    text_quoted(&t, name, strnlen(name, 256), false);
    text_str(&t, after);
    return status;
}

/* ---- where it is ------------------------------------------------------------------------------------ */

static bool join(struct walk *w, const char *directory, size_t n, const char *name)
{
    size_t len = strlen(name);
    if (n + len + 2 > sizeof w->place)
        return false;
    memcpy(w->place, directory, n);
    if (n)
        w->place[n++] = '/';
    memcpy(w->place + n, name, len + 1);
    return true;
}

static bool is_startable(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* As execvp looks; what may not be executed is passed over, and remembered. */
static int look_in_path(struct walk *w, const char *name)
{
    bool denied = false;
    for (const char *p = w->path;; p++) {
        size_t n = strcspn(p, ":");
        if (join(w, p, n, name)) {
            if (is_startable(w->place))
                return 0;
            denied |= access(w->place, F_OK) == 0;
        }
        p += n;
        if (!*p)
            break;
    }
    if (denied)
        return exec_chain_problem(w->facts, -EACCES, "", name, " is in PATH, but may not be executed");
    return exec_chain_problem(w->facts, -ENOENT, "", name,
                              access(name, F_OK) == 0 ? " is not in PATH; for the file here, write ./ before it"
                                                      : " is not in PATH");
}

static int locate(struct walk *w, const char *name, bool use_path)
{
    if (!*name)
        return exec_chain_problem(w->facts, -ENOENT, "the command ", name, " has no name");
    if (use_path && !strchr(name, '/'))
        return look_in_path(w, name);
    const char *directory = w->directory && name[0] != '/' ? w->directory : "";
    if (!join(w, directory, strlen(directory), name))
        return exec_chain_problem(w->facts, -ENAMETOOLONG, "", name, ": the path is too long");
    return 0;
}

/* ---- opening it ------------------------------------------------------------------------------------- */

static const char *odd_kind(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return NULL;
    case S_IFDIR: return " is a directory";
    case S_IFIFO: return " is a FIFO, not a program";
    case S_IFSOCK: return " is a socket, not a program";
    default: return " is a device, not a program";
    }
}

static int not_found(struct walk *w)
{
    if (w->script)
        return exec_chain_problem(w->facts, -ENOENT, "the interpreter ", w->place,
                                  ", which the script asks for, does not exist");
    return exec_chain_problem(w->facts, -ENOENT, "", w->place,
                              errno == ENOENT ? " does not exist" : " cannot be reached");
}

/* O_NONBLOCK: should it have become a FIFO since. */
static int open_place(struct walk *w)
{
    struct stat s;
    if (stat(w->place, &s) != 0) {
        if (errno == EACCES)
            return exec_chain_problem(w->facts, -EACCES, "", w->place, " cannot be reached: permission denied");
        return not_found(w);
    }
    const char *odd = odd_kind(s.st_mode);
    if (odd)
        return exec_chain_problem(w->facts, -EACCES, "", w->place, odd);
    if (faccessat(AT_FDCWD, w->place, X_OK, AT_EACCESS) != 0) {
        w->facts->executable = false;
        exec_chain_problem(w->facts, 0, "", w->place, " may not be executed");
    }
    int fd = open(w->place, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        w->facts->unexamined = w->facts->executable;
        return exec_chain_problem(w->facts, -EPERM, "", w->place, " may not be read, so nothing can be said of it");
    }
    if (fd > 0)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the caller had no standard input; 0 means something else here */
    close(fd);
    return higher > 0 ? higher : -EMFILE;
}

/* ---- scripts ---------------------------------------------------------------------------------------- */

struct script_line {
    char interpreter[SCRIPT_LINE], argument[SCRIPT_LINE];
    bool has_argument;
};

static const char *skip_blanks(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    return s;
}

static const char *find_blank(const char *s, const char *end)
{
    while (s < end && *s != ' ' && *s != '\t' && *s)
        s++;
    return s;
}

static void copy_word(char *to, const char *s, const char *end)
{
    memcpy(to, s, (size_t)(end - s));
    to[end - s] = '\0';
}

/* As the kernel's load_script() reads the line: one argument at most, trailing blanks removed. false = ENOEXEC. */
static bool read_script_line(const char *s, size_t n, struct script_line *to)
{
    const char *end = memchr(s, '\n', n), *whole = s + n;
    bool cut = !end && n == SCRIPT_LINE;
    s = skip_blanks(s + 2, end ? end : whole);
    if (cut && find_blank(s, whole) == whole) /* the interpreter's name is truncated */
        return false;
    if (!end)
        end = whole - cut; /* the kernel puts its NUL there */
    while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    const char *word = find_blank(s, end);
    if (word == s)
        return false;
    copy_word(to->interpreter, s, word);
    s = skip_blanks(word, end);
    const char *nul = memchr(s, '\0', (size_t)(end - s));
    copy_word(to->argument, s, nul ? nul : end);
    to->has_argument = to->argument[0] != '\0';
    return true;
}

static bool insert(struct walk *w, const char *word)
{
    return env_command_insert(&w->line, 0, word, strlen(word));
}

/* The words become: interpreter, argument, script, what followed the script. */
static int enter_script(struct walk *w, const char *head, size_t n)
{
    struct program_facts *f = w->facts;
    struct script_line line;
    if (!f->scripts++)
        memcpy(f->script, w->place, sizeof f->script);
    if (++w->depth > SCRIPTS_MAX)
        return exec_chain_problem(f, -ELOOP, "", f->script,
                                  " leads from script to script, further than the kernel goes");
    if (!read_script_line(head, n, &line))
        return exec_chain_problem(f, -ENOEXEC, "", w->place, " has a #! line that names no whole interpreter");
    env_command_drop(&w->line, 0, 1);
    if (!insert(w, w->place) || (line.has_argument && !insert(w, line.argument)) || !insert(w, line.interpreter))
        return exec_chain_problem(f, -E2BIG, "", f->script, ": too many words on the way");
    w->script = true;
    return 0;
}

/* ---- env -------------------------------------------------------------------------------------------- */

static bool is_env(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "env") == 0;
}

/* 1 = there is a command to go on with; 0 = env is all that is run. */
static int enter_env(struct walk *w)
{
    struct env_command_outcome outcome;
    const char *wrong = env_command_read(&w->line, &outcome);
    if (outcome.unexamined) {
        w->facts->unexamined = true;
        return exec_chain_problem(
            w->facts, -EPERM, "", w->place,
            " starts it by a -S string with quotes, escapes or variables, which lastcall does not read");
    }
    if (wrong) {
        snprintf(w->facts->problem, sizeof w->facts->problem, "env, which would start it, fails: %s", wrong);
        return -EINVAL;
    }
    if (outcome.command >= w->line.count)
        return 0;
    if (++w->envs > ENVS_MAX)
        return exec_chain_problem(w->facts, -ELOOP, "", w->facts->asked, " leads from env to env without end");
    w->facts->by_env = true;
    w->facts->env_clears |= outcome.preload_gone;
    if (outcome.path || outcome.path_gone)
        w->path = outcome.path ? outcome.path : DEFAULT_PATH;
    w->directory = outcome.chdir ? outcome.chdir : w->directory;
    env_command_drop(&w->line, 0, outcome.command);
    w->depth = 0;
    w->script = false;
    return 1;
}

/* ---- the walk --------------------------------------------------------------------------------------- */

/* The file at w->place: its descriptor if the way ends here, 0 if it goes on. */
static int step(struct walk *w)
{
    int fd = open_place(w), more = 0;
    if (fd < 0)
        return fd;
    char head[SCRIPT_LINE];
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n <= 0)
        more = exec_chain_problem(w->facts, -ENOEXEC, "", w->place, n ? " cannot be read" : " is empty");
    else if (n >= 2 && head[0] == '#' && head[1] == '!')
        more = enter_script(w, head, (size_t)n);
    else if (!is_env(w->place) || (more = enter_env(w)) == 0)
        return fd;
    close(fd);
    return more < 0 ? more : 0;
}

static void begin(struct walk *w, char *const *argv, struct program_facts *facts)
{
    const char *path = getenv("PATH");
    *w = (struct walk){.facts = facts, .path = path ? path : DEFAULT_PATH};
    while (argv[w->line.count] && w->line.count < ENV_COMMAND_WORDS / 2) {
        w->line.words[w->line.count] = argv[w->line.count];
        w->line.count++;
    }
    const char *asked = w->line.count ? w->line.words[0] : "";
    memcpy(facts->asked, asked, strnlen(asked, sizeof facts->asked - 1));
    facts->executable = true;
}

int exec_chain_command(char *const *argv, struct program_facts *facts)
{
    static struct walk walk; /* too large for the stack; never called by two threads */
    begin(&walk, argv, facts);
    int fd = 0;
    while (fd == 0) {
        fd = locate(&walk, walk.line.count ? walk.line.words[0] : "", !walk.script);
        if (fd == 0)
            fd = step(&walk);
    }
    if (fd < 0 || !realpath(walk.place, facts->path))
        memcpy(facts->path, walk.place, sizeof facts->path);
    return fd;
}
