/* program_environment.c: the environment and the descriptors of a program that serves, and of the programs that it
 * starts. Those find the group by a variable that is theirs alone; the server's own environment is not touched. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define VARIABLE "_LASTCALL_GROUP"

static const char *own_path(void)
{
    return "/proc/self/exe";
}

/* ---- the server's own environment ---- */

/* A program that frees what it takes for its own memory: each string, and the array. */
static void free_environment(void)
{
    for (char **at = environ; *at; at++)
        free(*at);
    free(environ);
    environ = NULL;
}

/* An environment that is wholly the program's, like perl's and php-fpm's. */
static void own_environment(void)
{
    size_t n = 0;
    char **copy;
    while (environ[n])
        n++;
    copy = malloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i <= n; i++)
        copy[i] = environ[i] ? strdup(environ[i]) : NULL;
    environ = copy;
}

static int owner(char **args)
{
    char **before, *first;
    (void)args;
    own_environment();
    before = environ;
    first = environ[0];
    role_listen();
    say("untouched %d", environ == before && environ[0] == first && !getenv(VARIABLE));
    free_environment();
    return 0;
}

static void is_not_touched(void)
{
    struct child c;
    struct setup named = {.env = {VARIABLE "=nonsense"}};
    child_start(&c, NULL, "owner", NULL);
    CHECK(child_says_number(&c, "untouched") == 1);
    child_exits(&c, 0);
    child_start(&c, &named, "owner", NULL); /* as under `lastcall run`: there is such a variable already */
    CHECK(child_says_number(&c, "untouched") == 0);
    child_exits(&c, 0);
}

/* ---- what a program that is started finds ---- */

static void say_descriptors(void)
{
    char line[512] = "";
    for (int fd = 0, n = 0; fd < 1024 && n < 480; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            n += snprintf(line + n, sizeof line - (size_t)n, " %d", fd);
    say("descriptors%s", line);
}

static unsigned long memory_inode(void)
{
    struct stat s;
    CHECK(fstat(find_group_memory(), &s) == 0);
    return s.st_ino;
}

/* started MARK: what its environment and its descriptors are; "serve": is it in the server's group? */
static int started(char **args)
{
    const char *mark = getenv("MARK");
    say_descriptors();
    say("started %s %s %s", args[0], mark ? mark : "none", getenv(VARIABLE) ? "named" : "unnamed");
    if (strcmp(args[0], "serve") == 0) {
        role_listen();
        say("joined %lu", memory_inode());
    }
    return 0;
}

static char *words[] = {"child", "started", "quiet", NULL};
static char mark[] = "MARK=given", *bare_environment[] = {mark, NULL};

static char **with_library(void)
{
    static char *list[8];
    int n = 0;
    list[n++] = mark;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "LD_PRELOAD=", 11) == 0)
            list[n++] = *at;
    list[n] = NULL;
    return list;
}

static void start_by(const char *way, char **env)
{
    pid_t pid;
    const char *path = own_path();
    if (strcmp(way, "posix_spawn") == 0 || strcmp(way, "posix_spawnp") == 0) {
        int err = (way[11] ? posix_spawnp : posix_spawn)(&pid, path, NULL, NULL, words, env);
        CHECK(err == 0 && waitpid(pid, NULL, 0) == pid);
        return;
    }
    pid = strncmp(way, "vfork", 5) == 0 ? vfork() : fork(); /* NOLINT: what is tested */
    if (pid == 0) {
        if (strstr(way, "execvp"))
            execvpe(path, words, env);
        else if (strstr(way, "execle"))
            execle(path, words[0], words[1], words[2], (char *)NULL, env);
        else if (strstr(way, "number"))
            syscall(SYS_execve, path, words, env);
        else
            execve(path, words, env);
        _exit(1);
    }
    CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

/* starter WAY ENVIRONMENT WORD: a server that starts the program so. */
static int starter(char **args)
{
    role_listen();
    words[2] = args[2];
    start_by(args[0], strcmp(args[1], "library") == 0 ? with_library() : bare_environment);
    return 0;
}

static const char *const ways[] = {"fork-execve",  "fork-execvp",  "fork-execle", "fork-number",  "vfork-execve",
                                   "vfork-execvp", "vfork-number", "posix_spawn", "posix_spawnp", NULL};

/* The same descriptors as without the library, and the environment that it was given; with the library in it, and one
 * variable more. */
static void descriptors_are_those_of_the_bare(void)
{
    struct setup none = {.bare = true};
    for (const char *const *way = ways; *way; way++) {
        struct child c;
        char bare[512];
        child_start(&c, &none, "starter", *way, "bare", "quiet", NULL);
        snprintf(bare, sizeof bare, "%s", child_says(&c, "descriptors"));
        child_exits(&c, 0);
        for (int library = 0; library < 2; library++) {
            child_start(&c, NULL, "starter", *way, library ? "library" : "bare", "quiet", NULL);
            const char *got = child_says(&c, "descriptors");
            CHECK(strcmp(got, bare) == 0, "%s: '%s', bare '%s'", *way, got, bare);
            got = child_says(&c, "started");
            CHECK(strcmp(got, library ? "quiet given named" : "quiet given unnamed") == 0, "%s: '%s'", *way, got);
            child_exits(&c, 0);
        }
    }
}

/* A server's child that serves, too, has opened the group's memory at the server: it is the same. */
static int parent_of_server(char **args)
{
    role_listen();
    words[2] = "serve";
    say("group %lu", memory_inode());
    start_by(args[0], with_library());
    return 0;
}

static void a_server_finds_the_group(void)
{
    for (const char *const *way = ways; *way; way++) {
        struct child c;
        child_start(&c, NULL, "parent", *way, NULL);
        long group = child_says_number(&c, "group");
        child_says(&c, "started");
        CHECK(child_says_number(&c, "joined") == group, "%s", *way);
        child_exits(&c, 0);
    }
}

/* ---- threads that start programs at the same time, from one memory ---- */

static void *start_many(void *arg)
{
    char own[32], number[16], *env[3] = {own, NULL, NULL}, *argv[] = {"child", "marked", number, NULL};
    long me = (long)arg;
    int times = repeats(40);
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "LD_PRELOAD=", 11) == 0)
            env[1] = *at;
    for (int i = 0; i < times; i++) {
        int status = -1;
        snprintf(own, sizeof own, "MARK=%ld", me);
        snprintf(number, sizeof number, "%ld", me);
        pid_t pid = vfork(); /* NOLINT: as python's subprocess does */
        if (pid == 0) {
            execve(own_path(), argv, env);
            _exit(1); /* NOLINT */
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0, "%x", status);
    }
    return NULL;
}

static int marked(char **args)
{
    const char *is = getenv("MARK"), *group = getenv(VARIABLE);
    char holder[16];
    snprintf(holder, sizeof holder, ":%d", (int)getppid());
    return !is || strcmp(is, args[0]) != 0 || !group || !strstr(group, holder);
}

static int threads(char **args)
{
    enum { THREADS = 4 };
    pthread_t t[THREADS];
    (void)args;
    role_listen();
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, start_many, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    return 0;
}

static void each_gets_its_own(void)
{
    struct child c;
    child_start(&c, NULL, "threads", NULL);
    child_exits(&c, 0);
}

/* ---- where the group's memory cannot be opened at the server ---- */

/* become USER|self: the child of another user, and the program that takes the server's place, inherit the
 * descriptor. */
static int become(char **args)
{
    role_listen();
    words[2] = "quiet";
    if (strcmp(args[0], "user") == 0 && fork() != 0) {
        wait(NULL);
        return 0;
    }
    if (strcmp(args[0], "user") == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 1;
    for (int i = 0; i < 2; i++) /* a failed exec lends nothing */
        CHECK(execve("/nonexistent/program", words, with_library()) == -1 && errno == ENOENT);
    CHECK(fcntl(find_group_memory(), F_GETFD) == FD_CLOEXEC);
    execve(own_path(), words, with_library());
    return 1;
}

static void inherits_where_it_must(void)
{
    static const char *const whom[] = {"self", "user"};
    for (unsigned i = geteuid() == 0 ? 2 : 1; i-- > 0;) {
        struct child c;
        child_start(&c, NULL, "become", whom[i], NULL);
        CHECK(strstr(child_says(&c, "descriptors"), " 500"), "%s", whom[i]);
        CHECK(strcmp(child_says(&c, "started"), "quiet given named") == 0);
        child_exits(&c, 0);
    }
}

/* ---- an environment too long for the stack ---- */

static int longest(char **args)
{
    enum { MANY = 5000 };
    static char *env[MANY + 2], text[] = "A=b";
    char **given = with_library();
    int n = 0;
    (void)args;
    while (given[n])
        env[n] = given[n], n++;
    while (n < MANY)
        env[n++] = text;
    role_listen();
    start_by("vfork-execve", env);
    return 0;
}

static void a_long_one_stays(void)
{
    struct child c;
    child_start(&c, NULL, "longest", NULL);
    CHECK(strcmp(child_says(&c, "started"), "quiet given unnamed") == 0);
    child_exits(&c, 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"environment/not-touched", is_not_touched},
        {"environment/as-bare", descriptors_are_those_of_the_bare},
        {"environment/finds-the-group", a_server_finds_the_group},
        {"environment/threads", each_gets_its_own},
        {"environment/inherits", inherits_where_it_must},
        {"environment/long", a_long_one_stays},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"owner", owner},     {"started", started}, {"starter", starter}, {"parent", parent_of_server},
        {"threads", threads}, {"marked", marked},   {"become", become},   {"longest", longest},
        {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
