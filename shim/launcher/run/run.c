/* run.c: `lastcall run`: starts a command with the library preloaded, and stays as the command's parent. */
#include "launcher/commands.h"
#include "launcher/run/inject.h"
#include "launcher/inspect/preload_object.h"
#include "launcher/host/log.h"
#include "launcher/run/options.h"
#include "launcher/run/supervisor.h"
#include "launcher/inspect/verdict.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As shells say. */
enum { CANNOT_EXECUTE = 126, NOT_FOUND = 127 };

enum { PROBLEM_MAX = 2048 + PATH_MAX };

static struct run_options given;
static struct options options;
static struct object object;
static struct program_facts facts;
static struct verdict verdict;

struct command_line {
    char *const *words;
    char **as_script; /* the same words for the shell, which runs a script that has no #! line */
    char path[PATH_MAX];
    int seen; /* the result of program_command */
};

/* ---- options ------------------------------------------------------------------------------------------------ */

/* The options become variables, and all variables are read as the library will read them. */
static int apply_options(void)
{
    char problem[PROBLEM_MAX];
    struct options_error errors[OPTIONS_ERRORS_MAX];
    for (unsigned i = 0; i < option_rows_count && i < COUNT(given.value); i++)
        if (given.value[i])
            setenv(option_rows[i].name, given.value[i], 1);
    unsigned count = options_read(&options, (const char *const *)environ, errors, COUNT(errors));
    for (unsigned i = 0; i < count && i < COUNT(errors); i++) {
        if (errors[i].unknown) /* a Kubernetes Service of this name sets such variables; the library warns of them */
            continue;
        run_options_error(problem, sizeof problem, &given, &errors[i]);
        return cli_fail(CLI_USAGE, "%s", problem);
    }
    if (given.exec && given.external)
        return cli_usage(&command_run, "--external wants a parent for the command, and --exec leaves none");
    host_log_open(&options);
    return 0;
}

/* ---- the command -------------------------------------------------------------------------------------------- */

static int status_of(int error)
{
    return error == ENOENT ? NOT_FOUND : CANNOT_EXECUTE;
}

/* seen: the inspector's result; where exec failed for the same reason, the inspector has the better sentence. */
static int cannot_start(const char *name, int error, int seen)
{
    if (seen == -error && facts.problem[0] && (error != EACCES || facts.executable))
        return cli_fail(status_of(error), "%s", facts.problem);
    return cli_fail(status_of(error), "%s: %s", name, strerror(error));
}

/* One directory of PATH. Returns 0 or an error number. */
static int look_in(const char *directory, size_t n, const char *name, char path[PATH_MAX])
{
    struct stat s;
    if ((size_t)snprintf(path, PATH_MAX, "%.*s%s%s", (int)n, directory, n ? "/" : "", name) >= PATH_MAX)
        return ENAMETOOLONG;
    if (stat(path, &s) != 0)
        return errno == EACCES ? EACCES : ENOENT;
    return S_ISREG(s.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : EACCES;
}

/* As execvp searches: a file that may not be executed is skipped, and remembered. */
static int locate(const char *name, char path[PATH_MAX])
{
    const char *dirs = getenv("PATH");
    int error = ENOENT, here;
    if (strchr(name, '/') || !*name)
        return look_in("", 0, name, path);
    for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs++) {
        size_t n = strcspn(dirs, ":");
        here = look_in(dirs, n, name, path);
        if (here == 0)
            return 0;
        error = here == EACCES ? EACCES : error;
        dirs += n;
        if (!*dirs)
            return error;
    }
}

/* A file that the kernel does not know is a script, unless its first line is not text (so do shells). */
static bool is_text(const char *path)
{
    char head[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    const char *end = memchr(head, '\n', (size_t)n);
    return !memchr(head, '\0', end ? (size_t)(end - head) : (size_t)n);
}

static char **words_for_shell(struct command_line *line)
{
    unsigned n = 0;
    while (line->words[n])
        n++;
    char **words = calloc(n + 2, sizeof *words);
    if (!words)
        return NULL;
    words[0] = (char *)"/bin/sh";
    words[1] = line->path;
    memcpy(words + 2, line->words + 1, n * sizeof *words);
    return words;
}

/* What the command is. A positive error number: it cannot be started. */
static int examine(struct command_line *line)
{
    int error = locate(line->words[0], line->path);
    line->seen = program_command(line->words, &facts);
    line->as_script = words_for_shell(line);
    if (error != 0 || !line->as_script)
        return error ? error : ENOMEM;
    if (line->seen == -ENOEXEC && facts.scripts == 0 && is_text(line->path))
        line->seen = program_command(line->as_script, &facts);
    verdict_of(&facts, &verdict);
    return 0;
}

/* ---- the library --------------------------------------------------------------------------------------------- */

/* Is the library expected in the command? Yes, if the program could not be examined. */
static bool is_to_be_loaded(void)
{
    if (options.disable || given.external || !preload_object_suits(&object, &facts))
        return false;
    return facts.kind != ELF_PROGRAM || verdict.way == VERDICT_BY_LAUNCHER ||
           (facts.link == ELF_DYNAMIC && !facts.secure && !facts.env_clears);
}

static bool is_to_be_injected(void)
{
    return verdict.way == VERDICT_BY_LAUNCHER && is_to_be_loaded();
}

/* LD_PRELOAD is also set for a program that cannot load the library: a static shell may start a program that can. */
static int preload(void)
{
    char problem[PROBLEM_MAX];
    const char *old = getenv("LD_PRELOAD");
    if (options.disable || given.external)
        return 0;
    if (!preload_object_find(&object, given.preload, problem, sizeof problem))
        return cli_fail(CLI_USAGE, "%s", problem);
    if (!preload_object_suits(&object, &facts))
        return 0;
    const struct elf_library *first = verdict_first_library(&facts);
    const char *before = first ? first->path : "";
    size_t n = strlen(before), size = n + strlen(object.path) + (old ? strlen(old) : 0) + 3;
    char *value = malloc(size);
    if (!value)
        return cli_fail(1, "out of memory");
    snprintf(value, size, "%s%s", before, n ? ":" : "");
    if (!run_options_preload(value + n + (n > 0), size - n - (n > 0), object.path, old ? old : ""))
        return cli_fail(1, "out of memory");
    setenv("LD_PRELOAD", value, 1);
    free(value);
    return 0;
}

static void say_what_it_is(const struct command_line *line)
{
    const char *program = facts.path[0] ? facts.path : line->path;
    const char *because = verdict.reason_count ? verdict.reasons[0] : "it is not known";
    if (line->seen < 0 && line->seen != -EPERM) /* exec will say the same */
        return;
    if (options.disable)
        host_log(LOG_INFO, "starting; everything passes through", "program", program, "because", "LASTCALL_DISABLE=1",
                 NULL);
    else if (given.external)
        host_log(LOG_INFO, "starting; it is drained externally", "program", program, "because", "--external", NULL);
    else if (!preload_object_suits(&object, &facts))
        host_log(LOG_WARN, "starting without liblastcall.so, which is for another machine", "program", program,
                 "machine", facts.machine_name, "library", object.machine_name, NULL);
    else if (verdict.kind >= VERDICT_UNEXAMINED)
        host_log(LOG_WARN, "starting with liblastcall.so, unexamined", "program", program, "because", because, NULL);
    else if (is_to_be_loaded())
        host_log(LOG_INFO, "starting with liblastcall.so", "program", program, "verdict", verdict_name(verdict.kind),
                 "because", because, NULL);
    else
        host_log(LOG_WARN, "starting; liblastcall.so cannot be loaded", "program", program, "verdict",
                 verdict_name(verdict.kind), "because", because, "instead",
                 given.exec ? "nothing" : "it is drained externally", NULL);
}

/* ---- the command `run` -------------------------------------------------------------------------------------- */

static int execute(void *arg)
{
    const struct command_line *line = arg;
    if (is_to_be_injected())
        return inject_exec(object.path, line->path, line->words, environ, STDERR_FILENO);
    execve(line->path, line->words, environ);
    if (errno != ENOEXEC)
        return errno;
    if (is_text(line->path)) {
        execve(line->as_script[0], line->as_script, environ);
        return errno;
    }
    return ENOEXEC;
}

static int become(struct command_line *line)
{
    unsetenv("_LASTCALL_GROUP"); /* set by the launcher's own parent, for another group */
    return cannot_start(line->path, execute(line), line->seen);
}

static int run(int argc, char **argv)
{
    struct command_line line = {.words = argv};
    if (argc == 0)
        return cli_usage(&command_run, "there is no command to run");
    int status = apply_options();
    if (status != 0)
        return status;
    int error = examine(&line);
    if (error != 0)
        return cannot_start(line.words[0], error, line.seen);
    status = preload();
    if (status != 0)
        return status;
    say_what_it_is(&line);
    run_options_settle(&options, facts.path[0] ? facts.path : line.path, line.words, proc_has_terminal((int)getpid()));
    if (given.exec)
        return become(&line);
    const struct supervision what = {
        .options = &options,
        .object = is_to_be_loaded() ? object.path : NULL,
        .program = facts.path[0] ? facts.path : line.path,
        .execute = execute,
        .arg = &line,
    };
    if (!supervisor_run(&what, &status)) {
        host_log(LOG_WARN, "no process can stay as its parent: the command is started in its place", "program",
                 what.program, "because", strerror(-status), NULL);
        return become(&line);
    }
    return status < 0 ? cannot_start(line.path, -status, line.seen) : status;
}

static const struct cli_option own_options[] = {
    {"preload", 0, "PATH", "liblastcall.so", "beside this program, or in ../lib", cli_take_string,
     offsetof(struct run_options, preload)},
    {"exec", 0, NULL, "become the command instead of staying as its parent", NULL, cli_take_switch,
     offsetof(struct run_options, exec)},
    {"external", 0, NULL,
     "put nothing into the command; drain it externally, as is done with static and\n"
     "privileged programs, in which liblastcall.so cannot live",
     NULL, cli_take_switch, offsetof(struct run_options, external)},
    {0},
};

static const char about[] = "One option for each variable of lastcall(7), and:\n";

static const char help[] =
    "Exit status: the command's, 128+n if signal n has ended it; 127 not found, 126 cannot be executed,\n"
    "2 a bad option or variable, or no liblastcall.so.\n";

const struct command command_run = {
    .name = "run",
    .words = "[--] COMMAND [ARGUMENT...]",
    .summary = "start a server with lastcall in it, also as a container's entrypoint",
    .about = about,
    .help = help,
    .options = own_options,
    .settings = &given,
    .words_are_command = true,
    .has_variables = true,
    .variables = offsetof(struct run_options, value),
    .run = run,
};
