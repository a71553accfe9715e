/* group_shared_memory.c: the memory that the processes of a group share: its descriptor in the program's hands, memory
 * that cannot be had, an environment that names something else, and more processes than there is room for. */
#include "forbid.h"
#include "workers.h"

#include "core/group_table.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* ---- its descriptor ---- */

static bool is_kept(int fd)
{
    return is_group_memory(fd) && fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

/* What programs do to descriptors that they do not know. */
static void close_all(const char *how, int memory)
{
    if (strcmp(how, "close") == 0) {
        errno = 0;
        CHECK(close(memory) == -1 && errno == EBADF);
    } else if (strcmp(how, "loop") == 0) {
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    } else if (strcmp(how, "closefrom") == 0) {
        closefrom(3);
    } else if (strcmp(how, "close_range") == 0) {
        CHECK(close_range(3, ~0u, 0) == 0);
    } else if (strcmp(how, "syscall") == 0) {
        CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    } else {
        CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
    }
}

static const char *const closings[] = {"close", "loop", "closefrom", "close_range", "syscall", "cloexec"};

/* closes HOW WHERE: in a child of fork or vfork, or by itself. */
static int closes(char **args)
{
    int status = -1, l = role_listen(), memory = find_group_memory();
    bool here = strcmp(args[1], "here") == 0;
    pid_t pid = 0;
    if (!here)
        pid = strcmp(args[1], "fork") == 0 ? fork() : vfork(); /* NOLINT: what is tested */
    if (pid == 0) {
        close_all(args[0], memory);
        close_all("close", memory); /* what has survived one way survives the next */
        bool well = is_kept(memory);
        if (!here)
            _exit(well ? 0 : 1);
        say("kept %d", well);
        return 0;
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    say("kept %d", status == 0 && is_kept(memory) && fcntl(l, F_GETFD) == FD_CLOEXEC);
    return 0;
}

static void survives(void)
{
    static const char *const places[] = {"here", "fork", "vfork"};
    for (unsigned i = 0; i < 18; i++) {
        struct child c;
        child_start(&c, NULL, "closes", closings[i / 3], places[i % 3], NULL);
        CHECK(child_says_number(&c, "kept") == 1, "%s %s", closings[i / 3], places[i % 3]);
        child_exits(&c, 0);
    }
}

/* As far up as the limit allows. */
static int numbered(char **args)
{
    (void)args;
    role_listen();
    say("memory %d", find_group_memory());
    return 0;
}

static void limit_descriptors(void *limit)
{
    struct rlimit r = {*(rlim_t *)limit, *(rlim_t *)limit};
    setrlimit(RLIMIT_NOFILE, &r);
}

static void number_is_high(void)
{
    static const struct {
        rlim_t limit;
        long least;
    } cases[] = {{1024, 500}, {501, 500}, {500, 200}, {150, 100}, {40, 3}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct child c;
        rlim_t limit = cases[i].limit;
        struct setup s = {.prepare = limit_descriptors, .arg = &limit};
        child_start(&c, &s, "numbered", NULL);
        long memory = child_says_number(&c, "memory");
        CHECK(memory >= cases[i].least, "%ld with a limit of %lu", memory, (unsigned long)limit);
        child_exits(&c, 0);
    }
}

/* replaces HOW: the program puts a descriptor of its own there, uses it, and closes it. */
static int replaces(char **args)
{
    int l = role_listen(), memory = find_group_memory();
    start_worker(l, 0);
    CHECK(memory >= 0 && dup2(1, memory) == memory && !is_group_memory(memory));
    CHECK(write(memory, "through\n", 8) == 8);
    if (strcmp(args[0], "close") == 0)
        CHECK(close(memory) == 0);
    else
        CHECK(close_range((unsigned)memory, strcmp(args[0], "range") == 0 ? ~0u : (unsigned)memory, 0) == 0);
    CHECK(fcntl(memory, F_GETFD) == -1 && errno == EBADF, "%s", args[0]);
    be_the_master();
}

static void may_be_replaced(void)
{
    static const char *const hows[] = {"close", "one", "range"};
    static const struct setup talking = {.env = {"LASTCALL_LOG=debug"}};
    for (unsigned i = 0; i < sizeof hows / sizeof *hows; i++) {
        struct child c;
        pid_t holder;
        child_start(&c, &talking, "replaces", hows[i], NULL);
        long port = child_says_number(&c, "port");
        child_says(&c, "through");
        child_says(&c, "ready");
        int fd = hold_one(&c, port, &holder);
        child_signal(&c, SIGTERM);
        drains_too(&c, holder);
        finish(fd, holder, true);
        all_drained(&c, 2, 1);
    }
}

/* ---- a server in one process, or with a worker, that must drain whatever is said of its group ---- */

static int server(char **args)
{
    int l = role_listen();
    if (args[0]) {
        start_worker(l, 0);
        be_the_master();
    }
    be_a_worker();
    role_serve_threads_ignoring(l);
    role_pause();
}

/* Serves, drains in a group of `processes`, and says `what` so many times. */
static void serves_and_drains(struct setup *s, int processes, const char *what, int so_many_times)
{
    struct child c;
    pid_t holder;
    s->env[0] = "LASTCALL_LOG=debug";
    child_start(&c, s, "server", processes > 1 ? "worker" : NULL, NULL);
    long port = child_says_number(&c, "port");
    if (processes > 1)
        child_says(&c, "ready");
    int fd = hold_one(&c, port, &holder);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    if (processes > 1)
        drains_too(&c, holder);
    finish(fd, holder, true);
    all_drained(&c, processes, 1);
    CHECK(times(child_errors(&c), what) == so_many_times, "%s: not %d times '%s': %s", s->env[1] ? s->env[1] : "",
          so_many_times, what, child_errors(&c));
    CHECK(times(child_errors(&c), "lastcall: ") == so_many_times + processes + (processes > 1), "%s", child_errors(&c));
}

#define NO_GROUP  "names no group that can be joined"
#define NO_MEMORY "no memory that processes could share"

/* ---- memory that cannot be had ---- */

static void refuse_memfd(void *unused)
{
    (void)unused;
    forbid_call(SYS_memfd_create, 0, ~0u);
}

static void refuse_memory(void *unused)
{
    refuse_memfd(unused);
    forbid_call(SYS_mmap, 3, MAP_SHARED);
}

/* Forked workers need no descriptor. */
static void without_memfd(void)
{
    struct setup s = {.prepare = refuse_memfd};
    serves_and_drains(&s, 2, NO_MEMORY, 0);
}

static void without_shared_memory(void)
{
    struct setup s = {.prepare = refuse_memory};
    serves_and_drains(&s, 1, NO_MEMORY, 1);
}

/* Each of them alone: what the worker holds is its own affair. */
static void worker_without_shared_memory(void)
{
    struct child c;
    pid_t holder;
    struct setup s = {.prepare = refuse_memory};
    child_start(&c, &s, "server", "worker", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    int fd = hold_one(&c, port, &holder);
    CHECK(kill(holder, SIGTERM) == 0);
    child_drains(&c);
    finish(fd, holder, true);
    gone_by(&c, holder, SIGTERM);
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(times(child_errors(&c), NO_MEMORY) == 1, "%s", child_errors(&c));
}

/* short KILOBYTES: so much memory is left when it begins to serve; later there is enough. */
static int short_of_memory(char **args)
{
    unsigned long pages = 0;
    struct rlimit now, limit;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    getrlimit(RLIMIT_AS, &now);
    limit = now;
    limit.rlim_cur = pages * 4096 + strtoul(args[0], NULL, 10) * 1024;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    int l = role_listen();
    CHECK(setrlimit(RLIMIT_AS, &now) == 0);
    role_serve_threads_ignoring(l);
    role_pause();
}

/* Without memory for what a drain needs there is none: then it is as without us. */
static void short_of_address_space(void)
{
    static const char *const kilobytes[] = {"0",    "4000", "4160", "4250", "4300",
                                            "4400", "4500", "4600", "4800", "9000"};
    int complaints = 0;
    for (unsigned i = 0; i < sizeof kilobytes / sizeof *kilobytes; i++) {
        struct child c;
        child_start(&c, NULL, "short", kilobytes[i], NULL);
        long port = child_says_number(&c, "port");
        goes_on(port, 2);
        double at = now_s();
        child_signal(&c, SIGTERM);
        child_dies(&c, SIGTERM);
        took(kilobytes[i], at);
        int said = times(child_errors(&c), NO_MEMORY);
        CHECK(said <= 1, "%s KiB: %s", kilobytes[i], child_errors(&c));
        complaints += said;
    }
    CHECK(complaints > 0, "memory was never short");
}

/* ---- an environment that names something else ---- */

enum { GIVEN = 600 };
#define COOKIE      0x0123456789abcdefull
#define COOKIE_TEXT "0123456789abcdef"

struct given {
    const char *name;
    void (*damage)(struct group_table *m); /* a table that was good */
    long size;                             /* instead of the right one */
    bool unsealed;
};

static void wrong_magic(struct group_table *m)
{
    m->magic[0] = 'L';
}

static void wrong_version(struct group_table *m)
{
    m->version++;
}

static void wrong_size(struct group_table *m)
{
    m->size--;
}

static void wrong_cookie(struct group_table *m)
{
    m->cookie ^= 1;
}

static void random_words(void *at, size_t size)
{
    uint32_t x = 12345;
    for (uint32_t *word = at; (char *)(word + 1) <= (char *)at + size; word++)
        *word = x = x * 1664525 + 1013904223;
}

static void random_all(struct group_table *m)
{
    random_words(m, sizeof *m);
}

/* A header that is right, and a table of nonsense. */
static void random_table(struct group_table *m)
{
    random_words(&m->next_serial, sizeof *m - offsetof(struct group_table, next_serial));
}

/* Free slots, and others whose parents form a circle; no number is a process's. */
static void knotted_table(struct group_table *m)
{
    m->top = ~0u;
    for (unsigned i = 0; i < GROUP_TABLE_MAX; i++) {
        struct member *who = &m->member[i];
        who->state = i % 6;
        who->serial = i + 1;
        who->parent_at = i % 7 == 0 ? 70000 + i : (i * 31 + 1) % GROUP_TABLE_MAX;
        who->parent = who->parent_at + 1;
        who->pid = who->own_pid = 0x7f000000 + (int)i;
        who->phase = i % 5;
    }
}

static void give_memory(void *arg)
{
    const struct given *g = arg;
    struct group_table *m = calloc(1, sizeof *m);
    int fd = memfd_create("lastcall", MFD_ALLOW_SEALING);
    if (!m || fd < 0)
        _exit(110);
    memcpy(m->magic, "lastcall", sizeof m->magic);
    m->version = GROUP_TABLE_VERSION;
    m->size = sizeof *m;
    m->cookie = COOKIE;
    if (g->damage)
        g->damage(m);
    if (write(fd, m, sizeof *m) != sizeof *m || (g->size && ftruncate(fd, g->size) != 0) ||
        (!g->unsealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) ||
        dup2(fd, GIVEN) != GIVEN)
        _exit(111);
    close(fd);
}

static void give_file(void *path)
{
    int fd = open(path, O_RDWR);
    if (fd < 0)
        fd = open(path, O_RDONLY);
    if (dup2(fd, GIVEN) != GIVEN)
        _exit(112);
}

static void nonsense(void)
{
    static const char *const values[] = {"",
                                         "nonsense",
                                         "500",
                                         ":",
                                         "600:",
                                         "600:xyz",
                                         "600:" COOKIE_TEXT "0",
                                         "-1:" COOKIE_TEXT,
                                         "99999999999999999999:" COOKIE_TEXT};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        char pair[128];
        snprintf(pair, sizeof pair, "_LASTCALL_GROUP=%s", values[i]);
        struct setup s = {.env = {NULL, pair}};
        serves_and_drains(&s, 1, NO_GROUP, 1);
    }
}

static void a_closed_number(void)
{
    struct setup s = {.env = {NULL, "_LASTCALL_GROUP=777:" COOKIE_TEXT}};
    serves_and_drains(&s, 1, NO_GROUP, 0);
}

static void another_file(void)
{
    static const char *const paths[] = {"/dev/null", "/tmp", "/proc/self/exe"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct setup s = {
            .env = {NULL, "_LASTCALL_GROUP=600:" COOKIE_TEXT}, .prepare = give_file, .arg = (void *)paths[i]};
        serves_and_drains(&s, 1, NO_GROUP, 1);
    }
}

static void other_memory(void)
{
    static struct given given[] = {
        {"too small", NULL, sizeof(struct group_table) - 1, false},
        {"too large", NULL, sizeof(struct group_table) + 1, false},
        {"no seals", NULL, 0, true},
        {"magic", wrong_magic, 0, false},
        {"version", wrong_version, 0, false},
        {"size", wrong_size, 0, false},
        {"cookie", wrong_cookie, 0, false},
        {"random", random_all, 0, false},
    };
    for (unsigned i = 0; i < sizeof given / sizeof *given; i++) {
        struct setup s = {.env = {NULL, "_LASTCALL_GROUP=600:" COOKIE_TEXT}, .prepare = give_memory, .arg = &given[i]};
        serves_and_drains(&s, 2, NO_GROUP, 1);
    }
}

/* Such a table cannot be told from a good one: but nothing in it is believed. */
static void damaged_memory(void)
{
    static struct given given[] = {{"random", random_table, 0, false}, {"knotted", knotted_table, 0, false}};
    struct setup s = {.env = {NULL, "_LASTCALL_GROUP=600:" COOKIE_TEXT}, .prepare = give_memory};
    s.arg = &given[0];
    serves_and_drains(&s, 1, "the group is full", 1);
    s.arg = &given[1];
    serves_and_drains(&s, 1, NO_GROUP, 0);
    serves_and_drains(&s, 2, NO_GROUP, 0);
}

/* A good one works in the same way: the tests above would say so of a bad one. */
static void good_memory(void)
{
    static struct given given = {"good", NULL, 0, false};
    struct setup s = {.env = {NULL, "_LASTCALL_GROUP=600:" COOKIE_TEXT}, .prepare = give_memory, .arg = &given};
    serves_and_drains(&s, 2, NO_GROUP, 0);
}

/* ---- more processes than there is room for ---- */

enum { CROWD = GROUP_TABLE_MAX - 1 };

static void fork_crowd(int l, int count)
{
    int ready[2];
    char byte;
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    for (int i = 0; i < count; i++)
        if (fork_worker(0) == 0) {
            close(l);
            CHECK(write(ready[1], "x", 1) == 1);
            role_pause();
        }
    for (int i = 0; i < count; i++) {
        CHECK(read(ready[0], &byte, 1) == 1);
        if (i % 32 == 0)
            say("%d", i); /* it goes ahead */
    }
    close(ready[0]);
    close(ready[1]);
    say("forked");
}

static void kill_crowd(void)
{
    for (int i = 0; i < workers.count; i++)
        kill(workers.pid[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    workers.count = 0;
    say("killed");
}

/* crowd: a master that makes "worker"s, and idle ones by the "hundreds", and can "kill" them. */
static int crowd(char **args)
{
    char line[16];
    int l = role_listen();
    (void)args;
    while (hear(line, sizeof line))
        if (strcmp(line, "worker") == 0)
            start_worker(l, 0);
        else if (strcmp(line, "kill") == 0)
            kill_crowd();
        else
            fork_crowd(l, CROWD);
    return 0;
}

/* The report is longer than most. */
static int processes_reported(struct child *c, const char *word)
{
    static char text[512 * 1024];
    char path[128];
    snprintf(path, sizeof path, "%s/report", c->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n, len = 0;
    while (fd >= 0 && (n = read(fd, text + len, sizeof text - 1 - (size_t)len)) > 0)
        len += n;
    close(fd);
    text[len] = '\0';
    return times(text, word);
}

static void full_table(void)
{
    struct child c;
    pid_t holder;
    child_start(&c, NULL, "crowd", NULL);
    long port = child_says_number(&c, "port");
    child_tell(&c, "hundreds");
    child_says(&c, "forked");
    CHECK(!strstr(child_errors(&c), "the group is full"), "%s", child_errors(&c));
    for (int i = 0; i < 2; i++) {
        child_tell(&c, "worker");
        next_worker(&c);
    }
    CHECK(times(child_errors(&c), "the group is full") == 1, "%s", child_errors(&c));
    int fd = hold_one(&c, port, &holder);
    CHECK(kill(holder, SIGTERM) == 0);
    child_drains(&c);
    given_time(holder, 150);
    finish(fd, holder, true);
    child_logs(&c, "report", "\"end\":\"drained\"");
    CHECK(report_number(&c, "in_flight") == 1 && !strstr(child_file(&c, "report"), "\"processes\""), "%s",
          child_file(&c, "report"));
    /* The slots of those who were killed are used again. */
    child_tell(&c, "kill");
    child_says(&c, "killed");
    child_tell(&c, "hundreds");
    child_says(&c, "forked");
    double at = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took("the end of all", at);
    CHECK(times(child_errors(&c), "the group is full") == 1, "%s", child_errors(&c));
    CHECK(processes_reported(&c, "\"end\":\"drained\",\"in_flight\"") == GROUP_TABLE_MAX, "%d",
          processes_reported(&c, "\"end\":\"drained\",\"in_flight\""));
    CHECK(processes_reported(&c, "\"end\":") == GROUP_TABLE_MAX + processes_reported(&c, "\"event\":\"drain\""));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"group/memory/number", number_is_high},
        {"group/memory/survives", survives},
        {"group/memory/replaced", may_be_replaced},
        {"group/memory/no-memfd", without_memfd},
        {"group/memory/none", without_shared_memory},
        {"group/memory/none-for-a-worker", worker_without_shared_memory},
        {"group/memory/short", short_of_address_space},
        {"group/environment/nonsense", nonsense},
        {"group/environment/closed-number", a_closed_number},
        {"group/environment/another-file", another_file},
        {"group/environment/other-memory", other_memory},
        {"group/environment/damaged-memory", damaged_memory},
        {"group/environment/good-memory", good_memory},
        {"group/full", full_table},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"closes", closes}, {"numbered", numbered},     {"replaces", replaces},
                                              {"server", server}, {"short", short_of_memory}, {"crowd", crowd},
                                              {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
