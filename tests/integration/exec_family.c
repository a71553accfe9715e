/* exec_family.c: the program becomes another one, by each function of the exec family and by number; and does not. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
/* Not in musl, nor in glibc before 2.34. */
extern int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags) __attribute__((weak));

enum { MANY = 1000, TOO_LONG = 200000 /* MAX_ARG_STRLEN is 128 KiB */ };

/* ---- the other program: says what it got ---- */

static int target(int argc, char **argv)
{
    const char *mark = getenv("EXEC_TARGET");
    bool right = true;
    for (int i = 1; i < argc; i++)
        right = right && atoi(argv[i]) == i;
    say("got %d %s %s '%s'", argc, right ? "right" : "wrong",
        mark                    ? mark
        : environ && environ[0] ? "none"
                                : "empty",
        argc > 0 ? argv[0] : "");
    return 0;
}

/* ---- the ways ---- */

static char *words[MANY + 1], digits[MANY][8], too_long[TOO_LONG];
static char *given[] = {"EXEC_TARGET=given", NULL}, *no_environment[] = {NULL}, **given_env = given;

#define TEN(a, i) a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4], a[i + 5], a[i + 6], a[i + 7], a[i + 8], a[i + 9]
#define HUNDRED(a, i)                                                                                          \
    TEN(a, i), TEN(a, i + 10), TEN(a, i + 20), TEN(a, i + 30), TEN(a, i + 40), TEN(a, i + 50), TEN(a, i + 60), \
        TEN(a, i + 70), TEN(a, i + 80), TEN(a, i + 90)
#define THOUSAND(a)                                                                                     \
    HUNDRED(a, 0), HUNDRED(a, 100), HUNDRED(a, 200), HUNDRED(a, 300), HUNDRED(a, 400), HUNDRED(a, 500), \
        HUNDRED(a, 600), HUNDRED(a, 700), HUNDRED(a, 800), HUNDRED(a, 900)
#define END (char *)NULL
/* words[0] may be NULL: no argument at all. Behind the words: the end, and what follows it. */
#define LISTED(call, count, ...)                                   \
    ((count) == MANY ? call(path, THOUSAND(words), __VA_ARGS__)    \
     : (count) == 2  ? call(path, words[0], words[1], __VA_ARGS__) \
                     : call(path, words[0], __VA_ARGS__))

static int by_execve(const char *path, int count)
{
    (void)count;
    return execve(path, words, given_env);
}

static int by_execv(const char *path, int count)
{
    (void)count;
    return execv(path, words);
}

static int by_execvp(const char *path, int count)
{
    (void)count;
    return execvp(path, words);
}

static int by_execvpe(const char *path, int count)
{
    (void)count;
    return execvpe(path, words, given_env);
}

static int by_fexecve(const char *path, int count)
{
    (void)count;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fexecve(fd, words, given_env);
}

static int by_execveat(const char *path, int count)
{
    (void)count;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return execveat ? execveat(fd, "", words, given_env, AT_EMPTY_PATH)
                    : (int)syscall(SYS_execveat, fd, "", words, given_env, AT_EMPTY_PATH);
}

static int by_execl(const char *path, int count)
{
    return LISTED(execl, count, END);
}

static int by_execlp(const char *path, int count)
{
    return LISTED(execlp, count, END);
}

static int by_execle(const char *path, int count)
{
    return LISTED(execle, count, END, given_env);
}

static int by_number(const char *path, int count)
{
    (void)count;
    return (int)syscall(SYS_execve, path, words, given_env);
}

static int by_number_at(const char *path, int count)
{
    (void)count;
    int fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? -1 : (int)syscall(SYS_execveat, fd, "", words, given_env, AT_EMPTY_PATH);
}

static const struct way {
    const char *name;
    int (*exec)(const char *path, int count);
    bool environment; /* it is given one */
    bool searches;    /* PATH */
} ways[] = {
    {"execve", by_execve, true, false},
    {"execv", by_execv, false, false},
    {"execvp", by_execvp, false, true},
    {"execvpe", by_execvpe, true, true},
    {"fexecve", by_fexecve, true, false},
    {"execveat", by_execveat, true, false},
    {"execl", by_execl, false, false},
    {"execlp", by_execlp, false, true},
    {"execle", by_execle, true, false},
    {"syscall-execve", by_number, true, false},
    {"syscall-execveat", by_number_at, true, false},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const struct way *way_named(const char *name)
{
    for (int i = 0; i < WAYS; i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    _exit(120);
}

/* count arguments: "target", 1, 2, ...; the last of two is too long for the kernel. */
static void set_words(int count)
{
    for (int i = 1; i < count; i++) {
        snprintf(digits[i], sizeof digits[i], "%d", i);
        words[i] = digits[i];
    }
    memset(too_long, 'x', sizeof too_long - 1);
    words[0] = count > 0 ? "target" : NULL;
    if (count == 2)
        words[1] = too_long;
    words[count] = NULL;
}

/* ---- where from ---- */

struct attempt {
    const struct way *way;
    const char *path;
    int count;
};

/* Its errno, if it comes back. */
static int attempt(const struct attempt *a)
{
    errno = 0;
    int ret = a->way->exec(a->path, a->count);
    return ret == -1 ? errno : -1;
}

static void *attempt_in_thread(void *arg)
{
    say("failed %d", attempt(arg));
    return NULL;
}

static __attribute__((noinline)) pid_t child_of_vfork(const struct attempt *a)
{
    pid_t pid = vfork(); /* NOLINT: what is tested */
    if (pid == 0)
        _exit(attempt(a)); /* NOLINT */
    return pid;
}

static __attribute__((noinline)) pid_t child_of_fork(const struct attempt *a)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(attempt(a));
    return pid;
}

static void say_outcome(pid_t pid)
{
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status), "status %x", status);
    if (WEXITSTATUS(status) != 0)
        say("failed %d", WEXITSTATUS(status));
}

/* try WAY WHERE COUNT ENVIRONMENT: its input says what program, and the PATH. */
static int try_role(char **args)
{
    char path[PATH_MAX], search[PATH_MAX];
    struct attempt a = {way_named(args[0]), path, atoi(args[2])};
    const char *where = args[1];
    pthread_t t;
    set_words(a.count);
    CHECK(hear(path, sizeof path) && hear(search, sizeof search));
    setenv("EXEC_TARGET", "inherited", 1);
    setenv("PATH", search, 1);
    if (strcmp(args[3], "empty") == 0) {
        environ = NULL;
        given_env = no_environment;
    }
    if (strcmp(args[4], "serves") == 0)
        role_listen();
    if (strcmp(where, "fork") == 0) {
        say_outcome(child_of_fork(&a));
    } else if (strcmp(where, "vfork") == 0) {
        say_outcome(child_of_vfork(&a));
    } else if (strcmp(where, "thread") == 0) {
        CHECK(pthread_create(&t, NULL, attempt_in_thread, &a) == 0);
        pthread_join(t, NULL);
    } else {
        say("failed %d", attempt(&a));
    }
    return 0;
}

static const char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(n > 0);
    path[n] = '\0';
    return path;
}

struct wanted {
    const char *where, *environment, *serves;
    int count;
};

static void start_try(struct child *c, const struct way *w, const struct wanted *x)
{
    char count[16];
    snprintf(count, sizeof count, "%d", x->count);
    child_start(c, NULL, "try", w->name, x->where, count, x->environment, x->serves, NULL);
}

/* It became the other program, which got all that it was given. */
static void becomes(const struct way *w, const struct wanted *x, bool by_search)
{
    struct child c;
    char line[256], link[128];
    start_try(&c, w, x);
    snprintf(link, sizeof link, "%s/exec-target", c.dir);
    CHECK(symlink(own_path(), link) == 0, "%s", strerror(errno));
    child_tell(&c, by_search ? "exec-target" : own_path());
    snprintf(line, sizeof line, "/nonexistent:%s", c.dir);
    child_tell(&c, line);
    const char *mark = strcmp(x->environment, "empty") == 0 ? "empty" : w->environment ? "given" : "inherited";
    /* An empty argv is given an empty argv[0] by Linux from 5.18 on. */
    snprintf(line, sizeof line, "%d right %s '%s'", x->count > 0 ? x->count : 1, mark, x->count > 0 ? "target" : "");
    const char *got = child_says(&c, "got");
    CHECK(strcmp(got, line) == 0 || (x->count == 0 && strncmp(got, "0 right", 7) == 0),
          "%s from %s, %s: '%s', not '%s'", w->name, x->where, x->serves, got, line);
    child_exits(&c, 0);
    unlink(link);
}

static void becomes_from(const char *where)
{
    static const int counts[] = {0, 1, MANY};
    for (int i = 0; i < WAYS * 3; i++) {
        /* A program that does not serve yet: each way with one of the counts. */
        if (i / 3 % 3 == i % 3 || repeats(1) > 1)
            becomes(&ways[i / 3], &(struct wanted){where, "full", "idle", counts[i % 3]}, false);
        becomes(&ways[i / 3], &(struct wanted){where, "full", "serves", counts[i % 3]}, false);
    }
}

#define FROM(where)                \
    static void from_##where(void) \
    {                              \
        becomes_from(#where);      \
    }
FROM(self)
FROM(thread)
FROM(fork)
FROM(vfork)

static void empty_environment(void)
{
    for (int i = 0; i < WAYS; i++) {
        becomes(&ways[i], &(struct wanted){"self", "empty", "idle", 1}, false);
        becomes(&ways[i], &(struct wanted){"vfork", "empty", "serves", 1}, false);
    }
}

static void by_search(void)
{
    for (int i = 0; i < WAYS; i++)
        if (ways[i].searches) {
            becomes(&ways[i], &(struct wanted){"self", "full", "serves", MANY}, true);
            becomes(&ways[i], &(struct wanted){"vfork", "full", "serves", 1}, true);
        }
}

/* ---- it does not become another ---- */

static void fails(const struct way *w, const struct wanted *x, const char *path, int err)
{
    struct child c;
    start_try(&c, w, x);
    child_tell(&c, path);
    child_tell(&c, "/nonexistent");
    long got = child_says_number(&c, "failed");
    CHECK(got == err, "%s of %s from %s, %s: %s, not %s", w->name, path, x->where, x->serves, strerror((int)got),
          strerror(err));
    child_exits(&c, 0);
}

/* In a program that does not serve yet, with ENOENT only: what comes after the call is the same for each error. */
static void fails_everywhere(const struct way *w, int count, const char *path, int err)
{
    static const char *const places[] = {"self", "thread", "fork", "vfork"};
    for (int i = 0; i < 4; i++) {
        if (err == ENOENT || repeats(1) > 1)
            fails(w, &(struct wanted){places[i], "full", "idle", count}, path, err);
        fails(w, &(struct wanted){places[i], "full", "serves", count}, path, err);
    }
}

static void not_there(void)
{
    for (int i = 0; i < WAYS; i++)
        fails_everywhere(&ways[i], 1, ways[i].searches ? "exec-no-such-name" : "/nonexistent/program", ENOENT);
}

static void not_executable(void)
{
    for (int i = 0; i < WAYS; i++)
        fails_everywhere(&ways[i], 1, "/etc/passwd", EACCES);
}

static void argument_too_long(void)
{
    for (int i = 0; i < WAYS; i++)
        fails_everywhere(&ways[i], 2, own_path(), E2BIG);
}

/* A script without #!: glibc's searching functions give it to sh. */
static void no_format(void)
{
    static const char text[] = "echo script \"$EXEC_TARGET\"\n";
    for (int i = 0; i < WAYS; i++) {
        struct child c;
        char path[128];
        start_try(&c, &ways[i], &(struct wanted){i % 2 ? "self" : "vfork", "full", "serves", 1});
        snprintf(path, sizeof path, "%s/script", c.dir);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1 && close(fd) == 0);
        child_tell(&c, path);
        child_tell(&c, "/bin");
#ifdef __GLIBC__
        if (ways[i].searches) {
            const char *mark = child_says(&c, "script");
            CHECK(strcmp(mark, ways[i].environment ? "given" : "inherited") == 0, "%s: '%s'", ways[i].name, mark);
            child_exits(&c, 0);
            continue;
        }
#endif
        long got = child_says_number(&c, "failed");
        CHECK(got == ENOEXEC, "%s: %s", ways[i].name, strerror((int)got));
        child_exits(&c, 0);
    }
}

/* ---- a process that serves goes on as if nothing had been tried ---- */

/* What can be written of the object, as it is. */
static size_t copy_object(char *to, size_t size)
{
    char line[512];
    size_t n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL);
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, end;
        if (!strstr(line, "liblastcall") || !strstr(line, " rw") || sscanf(line, "%lx-%lx", &from, &end) != 2)
            continue;
        CHECK(end - from <= size - n);
        memcpy(to + n, (void *)from, end - from);
        n += end - from;
    }
    if (maps)
        fclose(maps);
    return n;
}

static int fail_all_ways(char **args)
{
    static char before[1 << 20], after[1 << 20];
    bool of_vfork = strcmp(args[0], "vfork") == 0;
    set_words(1);
    role_listen();
    size_t n = copy_object(before, sizeof before);
    CHECK(n > 0, "the object is not there");
    for (int i = 0; i < WAYS; i++) {
        struct attempt a = {&ways[i], "/etc/passwd", 1};
        int status = EACCES << 8;
        pid_t pid = of_vfork ? child_of_vfork(&a) : 0;
        CHECK(of_vfork ? waitpid(pid, &status, 0) == pid : attempt(&a) == EACCES);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EACCES);
    }
    CHECK(copy_object(after, sizeof after) == n);
    CHECK(!of_vfork || memcmp(before, after, n) == 0, "a child of vfork has changed its parent's memory");
    say("failed");
    role_pause();
}

static void serves_on(const char *where)
{
    struct child c;
    child_start(&c, NULL, "fail", where, NULL);
    child_says(&c, "failed");
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(strstr(child_errors(&c), "deferred") != NULL, "it has not drained: %s", child_errors(&c));
}

static void serves_on_itself(void)
{
    serves_on("self");
}

static void serves_on_vfork(void)
{
    serves_on("vfork");
}

/* ---- libc's own ways to start a program, by vfork or clone ---- */

typedef int spawner(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,
                    char *const *);

static void spawns(spawner *spawn)
{
    pid_t pid;
    int err = spawn(&pid, own_path(), NULL, NULL, words, given);
    CHECK(err == 0, "%s", strerror(err));
    say_outcome(pid);
    CHECK(spawn(&pid, "/etc/passwd", NULL, NULL, words, given) == EACCES);
    CHECK(spawn(&pid, "/nonexistent/program", NULL, NULL, words, given) == ENOENT);
}

static int starter(char **args)
{
    char line[64] = "";
    (void)args;
    set_words(1);
    role_listen();
    spawns(posix_spawn);
    spawns(posix_spawnp);
    int status = system("exit 3");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "%x", status);
    FILE *f = popen("echo popped", "re");
    CHECK(f && fgets(line, sizeof line, f) && strcmp(line, "popped\n") == 0, "'%s'", line);
    CHECK(pclose(f) == 0);
    say("started");
    return 0;
}

static void by_libc(void)
{
    struct child c;
    child_start(&c, NULL, "starter", NULL);
    for (int i = 0; i < 2; i++) {
        const char *got = child_says(&c, "got");
        CHECK(strcmp(got, "1 right given 'target'") == 0, "'%s'", got);
    }
    child_says(&c, "started");
    child_exits(&c, 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"exec/itself", from_self},
        {"exec/thread", from_thread},
        {"exec/child-of-fork", from_fork},
        {"exec/child-of-vfork", from_vfork},
        {"exec/empty-environment", empty_environment},
        {"exec/searched", by_search},
        {"exec/fails/ENOENT", not_there},
        {"exec/fails/EACCES", not_executable},
        {"exec/fails/E2BIG", argument_too_long},
        {"exec/fails/ENOEXEC", no_format},
        {"exec/serves-on", serves_on_itself},
        {"exec/serves-on/vfork", serves_on_vfork},
        {"exec/spawn-system-popen", by_libc},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {
        {"try", try_role}, {"fail", fail_all_ways}, {"starter", starter}, {NULL, NULL}};
    if (getenv("EXEC_TARGET") || (argc == 1 && strcmp(argv[0], "target") == 0))
        return target(argc, argv);
    return check_main(argc, argv, tests, roles);
}
