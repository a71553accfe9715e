/* security.c: nobody can turn what we write, or the memory that we share, against a server that has more rights than
 * they: links and locks of others at its files, words of others in its group's table, a set-user-ID program. */
#include "workers.h"

#include "core/group_table.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

/* server: holds requests until "go". */
static int server(char **args)
{
    Dl_info from = {0};
    (void)args;
    dladdr(dlsym(RTLD_DEFAULT, "accept4"), &from);
    say("secure %lu", getauxval(AT_SECURE));
    say("preload %d", from.dli_fname && strstr(from.dli_fname, "libBrokenLocale") != NULL);
    role_serve_threads(role_listen());
    role_pause();
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char dir[64], path[128], entry[160], victim[128];

/* A directory that all may write to, and the name of a report in it. (Not a sticky one: there the kernel itself may
 * refuse to follow, fs.protected_symlinks.) */
static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/lastcall-security.XXXXXX");
    CHECK(mkdtemp(dir) && chmod(dir, 0777) == 0, "%s", strerror(errno));
    snprintf(path, sizeof path, "%s/report", dir);
    snprintf(victim, sizeof victim, "%s/victim", dir);
    snprintf(entry, sizeof entry, "LASTCALL_REPORT=%s", path);
}

static void remove_dir(void)
{
    unlink(path);
    unlink(victim);
    rmdir(dir);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %s", name, strerror(errno));
}

static bool holds(const char *name, const char *text)
{
    char all[8192] = "";
    FILE *f = fopen(name, "r");
    if (!f)
        return false;
    size_t n = fread(all, 1, sizeof all - 1, f);
    fclose(f);
    return n > 0 && strstr(all, text) != NULL;
}

/* A drain with one request, which ends as it should, whatever became of the report. */
static void drains(struct child *c)
{
    struct setup s = {.env = {entry}};
    child_start(c, &s, "server", NULL);
    int fd = client_connect(child_says_number(c, "port"));
    client_get(fd, "/hold");
    child_says(c, "held");
    double at = now_s();
    child_signal(c, SIGTERM);
    child_logs(c, "stderr", "deferred");
    child_tell(c, "go");
    client_expect(fd, "done", true);
    child_dies(c, SIGTERM);
    took("from TERM to the end", at);
    close(fd);
}

static void refused(const char *errno_said)
{
    struct child c;
    drains(&c);
    CHECK(strstr(child_errors(&c), "the report file cannot be opened"), "%s", child_errors(&c));
    CHECK(strstr(child_errors(&c), errno_said), "%s", child_errors(&c));
}

static void needs_root(void)
{
    if (geteuid() != 0)
        check_skip("not root");
}

static void a_link_of_somebody_else(void)
{
    needs_root();
    make_dir();
    put(victim, "precious\n");
    CHECK(symlink(victim, path) == 0 && lchown(path, NOBODY, NOBODY) == 0);
    refused("errno=40");
    CHECK(!holds(victim, "lastcall"), "it was written to");
    unlink(path);
    unlink(victim);
    /* Nor is anything made where there was nothing. */
    CHECK(symlink(victim, path) == 0 && lchown(path, NOBODY, NOBODY) == 0);
    refused("errno=40");
    CHECK(access(victim, F_OK) != 0, "it was made");
    remove_dir();
}

static void a_link_of_ones_own(void)
{
    struct child c;
    make_dir();
    CHECK(symlink(victim, path) == 0);
    drains(&c);
    CHECK(holds(victim, "\"end\":\"drained\""), "nothing was written");
    remove_dir();
}

static void a_second_name(void)
{
    make_dir();
    put(victim, "precious\n");
    CHECK(link(victim, path) == 0);
    refused("errno=31");
    CHECK(!holds(victim, "lastcall"), "it was written to");
    remove_dir();
}

static void a_fifo(void)
{
    struct child c;
    make_dir();
    CHECK(mkfifo(path, 0666) == 0);
    refused("errno=6");
    int reader = open(path, O_RDONLY | O_NONBLOCK); /* one that never reads */
    int writer = open(path, O_WRONLY | O_NONBLOCK);
    char page[4096] = {0};
    while (write(writer, page, sizeof page) > 0)
        ;
    drains(&c);
    close(reader);
    close(writer);
    remove_dir();
}

/* Whoever may read a file may lock it. */
static void a_file_that_is_locked(void)
{
    struct child c;
    make_dir();
    put(path, "");
    int fd = open(path, O_RDONLY);
    CHECK(flock(fd, LOCK_EX) == 0);
    drains(&c);
    CHECK(holds(path, "\"end\":\"drained\""), "nothing was written");
    close(fd);
    remove_dir();
}

static void a_full_disk(void)
{
    struct child c;
    snprintf(entry, sizeof entry, "LASTCALL_REPORT=/dev/full");
    drains(&c);
    snprintf(entry, sizeof entry, "LASTCALL_LOG_FILE=/dev/full");
    struct setup s = {.env = {entry}};
    child_start(&c, &s, "server", NULL);
    child_says(&c, "port");
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

/* Room for a piece of the line only: what was there stays, and nothing half is added. */
static void a_disk_that_gets_full(void)
{
    struct child c;
    enum { PAGE = 4096, LEFT = 100 };
    char page[PAGE + 1];
    needs_root();
    make_dir();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=4k") != 0)
        check_skip("no mounts");
    memset(page, 'x', PAGE - LEFT - 1);
    strcpy(page + PAGE - LEFT - 1, "\n");
    put(path, page);
    drains(&c);
    struct stat st;
    CHECK(stat(path, &st) == 0 && st.st_size == PAGE - LEFT, "%ld bytes", (long)st.st_size);
    CHECK(strstr(child_errors(&c), "the report cannot be written whole"), "%s", child_errors(&c));
    CHECK(umount2(dir, MNT_DETACH) == 0);
    remove_dir();
}

static void is_plain(const char *what, const char *text)
{
    for (const char *at = text; *at; at++)
        CHECK(*at == '\n' || (*at >= ' ' && *at <= '~'), "%s has byte %d: %s", what, *at, text);
}

static void control_characters(void)
{
    static const char *const formats[] = {"LASTCALL_LOG_FORMAT=text", "LASTCALL_LOG_FORMAT=json"};
    for (unsigned i = 0; i < 2; i++) {
        struct child c;
        struct setup s = {.env = {formats[i], "LASTCALL_TIMEOUT=\033[31m\r\n\001soon", "LASTCALL_\033]0;x\a=\b1",
                                  "LASTCALL_LOG_FILE=/nowhere/\033[2J\n\x9b", "_LASTCALL_GROUP=\033c\n",
                                  "LASTCALL_LOG=trace"}};
        child_start(&c, &s, "server", NULL);
        long port = child_says_number(&c, "port");
        int fd = client_connect(port);
        client_send(fd, "G\033T / HTTP/1.1\r\nHost: \033[31m\r\n\r\n");
        int held = client_connect(port);
        client_get(held, "/hold");
        child_says(&c, "held");
        child_signal(&c, SIGTERM);
        child_logs(&c, "stderr", "deferred");
        poll(NULL, 0, 1100); /* a repeat within a second would be the same signal */
        child_signal(&c, SIGTERM);
        child_dies(&c, SIGTERM);
        CHECK(strstr(child_errors(&c), "soon"), "%s", child_errors(&c));
        is_plain("the standard error", child_errors(&c));
        is_plain("the report", child_file(&c, "report"));
        close(fd);
        close(held);
    }
}

/* ---- set-user-ID ------------------------------------------------------------------------------------------------- */

static char copy[160], object[160], library[128];

static void copy_file(const char *from, const char *to, mode_t mode)
{
    char buf[65536];
    ssize_t n;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    CHECK(in >= 0 && out >= 0, "%s, %s: %s", from, to, strerror(errno));
    while ((n = read(in, buf, sizeof buf)) > 0)
        CHECK(write(out, buf, (size_t)n) == n);
    close(in);
    close(out);
    CHECK(chmod(to, mode) == 0);
}

/* The loader preloads into a set-user-ID program only what lies in its own directories and is set-user-ID itself: the
 * object in the place of a library that nobody has loaded. */
static void put_object_into_library(void *unused)
{
    (void)unused;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(object, library, NULL, MS_BIND, NULL) != 0)
        _exit(99);
}

/* Returns a client with a request under way. */
static int start_privileged(struct child *c, bool set_user_id)
{
    struct setup s = {.bare = true, .path = copy, .prepare = put_object_into_library};
    s.env[0] = "LD_PRELOAD=libBrokenLocale.so.1";
    CHECK(chown(copy, NOBODY, NOBODY) == 0 && chmod(copy, set_user_id ? 04755 : 0755) == 0);
    child_start(c, &s, "server", NULL);
    CHECK(child_says_number(c, "secure") == set_user_id, "%d: is %s mounted nosuid?", set_user_id, copy);
    CHECK(child_says_number(c, "preload") == 1);
    int fd = client_connect(child_says_number(c, "port"));
    client_get(fd, "/hold");
    child_says(c, "held");
    return fd;
}

static void a_set_user_id_program(void)
{
    struct child c;
    struct answer a;
    glob_t found;
    needs_root();
    CHECK(glob("/lib/*-linux-gnu/libBrokenLocale.so.1", 0, NULL, &found) == 0);
    snprintf(library, sizeof library, "%s", found.gl_pathv[0]);
    snprintf(copy, sizeof copy, "%s/security.copy", getenv("BUILD"));
    snprintf(object, sizeof object, "%s/security.so", getenv("BUILD"));
    char original[160];
    snprintf(original, sizeof original, "%s/liblastcall.so", getenv("BUILD"));
    copy_file("/proc/self/exe", copy, 0755);
    copy_file(original, object, 04755);

    int fd = start_privileged(&c, false); /* so it drains, if it is an ordinary one */
    child_signal(&c, SIGTERM);
    child_logs(&c, "stderr", "deferred");
    child_tell(&c, "go");
    client_expect(fd, "done", true);
    child_dies(&c, SIGTERM);
    close(fd);

    fd = start_privileged(&c, true);
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM); /* at once */
    client_answer(fd, &a);
    CHECK(a.status == 0);
    CHECK(child_errors(&c)[0] == '\0' && child_file(&c, "report")[0] == '\0', "%s", child_errors(&c));
    close(fd);
    unlink(copy);
    unlink(object);
}

/* ---- the group's memory ------------------------------------------------------------------------------------------ */

static struct group_table *group_memory(void)
{
    void *m = mmap(NULL, sizeof(struct group_table), PROT_READ | PROT_WRITE, MAP_SHARED, find_group_memory(), 0);
    CHECK(m != MAP_FAILED, "%s", strerror(errno));
    return m;
}

/* As much as a hostile child knows: who is the victim, and when it was started (proc(5), field 22). */
static nsec_t started(pid_t pid)
{
    unsigned long long ticks = 0;
    const char *at = stat_of(pid);
    for (int field = 3; field < 22; field++)
        at = strchr(at, ' ') + 1;
    CHECK(sscanf(at, "%llu", &ticks) == 1);
    return ticks * 10 * NSEC_PER_MSEC;
}

static void claim_to_be(struct group_table *m, int slot, pid_t pid)
{
    struct member *who = &m->member[slot];
    who->serial = 1000 + (uint32_t)slot;
    who->parent = m->member[0].serial;
    who->parent_at = 0;
    who->pid = who->own_pid = pid;
    who->started_at = started(pid);
    who->state = MEMBER_SERVES;
    m->top = GROUP_TABLE_MAX;
}

/* master VICTIM: one child of another user, which says that these are workers: the victim, the master's parent,
 * init. */
static int misled(char **args)
{
    int l = role_listen();
    if (fork() == 0) {
        struct group_table *m = group_memory();
        if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
            _exit(1);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's is forgotten: only now */
        claim_to_be(m, 5, atoi(args[0]));
        claim_to_be(m, 6, getppid());
        m->member[6].pid = m->member[6].own_pid = 1;
        m->member[6].started_at = started(1);
        say("written %d", 1);
        role_pause();
    }
    role_serve_threads(l);
    role_pause();
}

static volatile sig_atomic_t hit;

static void note_hit(int sig)
{
    hit = sig;
}

static void numbers_of_external_processes(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_TIMEOUT=3s"}};
    char number[16];
    int up[2];
    needs_root();
    CHECK(pipe2(up, O_CLOEXEC) == 0);
    pid_t victim_pid = fork();
    if (victim_pid == 0) {
        char byte = 'x';
        signal(SIGTERM, note_hit);
        signal(SIGCONT, note_hit);
        CHECK(write(up[1], &byte, 1) == 1);
        alarm(10 * HANG_S); /* if the test forgets it */
        while (!hit)
            pause();
        _exit(77);
    }
    CHECK(read(up[0], number, 1) == 1);
    snprintf(number, sizeof number, "%d", (int)victim_pid);
    child_start(&c, &s, "misled", number, NULL);
    child_says(&c, "written");
    signal(SIGTERM, note_hit); /* the master's parent is this process */
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") || report_says(&c, "end", "deadline"), "%s", child_file(&c, "report"));
    CHECK(hit == 0, "we were signalled");
    CHECK(waitpid(victim_pid, NULL, WNOHANG) == 0, "an external process was signalled");
    kill(victim_pid, SIGKILL);
    waitpid(victim_pid, NULL, 0);
    close(up[0]);
    close(up[1]);
}

/* scribbled: a child that fills the table with anything, again and again. */
static int scribbled(char **args)
{
    int l = role_listen();
    (void)args;
    if (fork() == 0) {
        struct group_table *m = group_memory();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        say("written %d", 1);
        for (;;) {
            char noise[4096];
            size_t at = 0;
            CHECK(getrandom(&at, sizeof at, 0) == sizeof at && getrandom(noise, 256, 0) == 256);
            for (size_t i = 256; i < sizeof noise; i++)
                noise[i] = noise[i - 256];
            at %= sizeof *m - sizeof noise;
            memcpy((char *)m + at, noise, sizeof noise);
            m->top = GROUP_TABLE_MAX;
        }
    }
    role_serve_threads(l);
    role_pause();
}

static void anything_at_all(void)
{
    for (int i = 0; i < 3; i++) {
        struct child c;
        struct setup s = {.env = {"LASTCALL_TIMEOUT=1500ms"}};
        child_start(&c, &s, "scribbled", NULL);
        int fd = client_connect(child_says_number(&c, "port"));
        client_get(fd, "/hold");
        child_says(&c, "held");
        double at = now_s();
        child_signal(&c, SIGTERM);
        child_dies(&c, SIGTERM);
        took("from TERM to the end", at);
        is_plain("the standard error", child_errors(&c));
        close(fd);
    }
}

/* wanderer: a server that goes to another directory, as daemons do. */
static int wanderer(char **args)
{
    CHECK(chdir("/") == 0);
    return server(args);
}

static void go_to(void *directory)
{
    CHECK(chdir(directory) == 0, "%s", strerror(errno));
}

/* A relative path is one of the directory where the program was started. */
static void a_relative_path(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_REPORT=report", "LASTCALL_LOG_FILE=victim"}, .prepare = go_to, .arg = dir};
    make_dir();
    child_start(&c, &s, "wanderer", NULL);
    child_says_number(&c, "port");
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    CHECK(holds(path, "\"end\":\"drained\""), "no report");
    CHECK(holds(victim, "lastcall: drained"), "no log");
    CHECK(access("/report", F_OK) != 0 && access("/victim", F_OK) != 0, "they are where it has gone to");
    remove_dir();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"security_a_relative_path", a_relative_path},
        {"security_a_link_of_somebody_else", a_link_of_somebody_else},
        {"security_a_link_of_ones_own", a_link_of_ones_own},
        {"security_a_second_name", a_second_name},
        {"security_a_fifo", a_fifo},
        {"security_a_file_that_is_locked", a_file_that_is_locked},
        {"security_a_full_disk", a_full_disk},
        {"security_a_disk_that_gets_full", a_disk_that_gets_full},
        {"security_control_characters", control_characters},
        {"security_a_set_user_id_program", a_set_user_id_program},
        {"security_numbers_of_external_processes", numbers_of_external_processes},
        {"security_anything_in_the_table", anything_at_all},
        {0},
    };
    static const struct check_role roles[] = {
        {"server", server}, {"wanderer", wanderer}, {"misled", misled}, {"scribbled", scribbled}, {0},
    };
    return check_main(argc, argv, tests, roles);
}
