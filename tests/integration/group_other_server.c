/* group_other_server.c: a server that another one has only started, behind shells, in a session of its own, by a double
 * fork: its listener is its own, and so is its signal. Each test runs without the library too: nothing else happens
 * there. */
#include "workers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const char self[] = "/proc/self/exe";

/* other LISTENER: serves on that descriptor, or (0) on a listener of its own. */
static int other(char **args)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int l = atoi(args[0]);
    if (l == 0) {
        l = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(bind(l, (struct sockaddr *)&at, size) == 0 && listen(l, 16) == 0);
    }
    CHECK(getsockname(l, (struct sockaddr *)&at, &size) == 0);
    say("other %d", (int)getpid());
    say("serves %d", ntohs(at.sin_port));
    serve_all(l);
    return 0;
}

static void shell(const char *script, const char *program, const char *listener)
{
    execl("/bin/sh", "sh", "-c", script, program, "other", listener, (char *)NULL);
    _exit(1);
}

/* How a server starts another. The script's $0 is this program, its $1 and $2 the words. */
static const char *script_of(const char *way)
{
    if (strcmp(way, "shell") == 0)
        return "\"$0\" $1 $2 & wait";
    if (strcmp(way, "exec-in-shell") == 0)
        return "exec \"$0\" $1 $2";
    if (strcmp(way, "shell-in-shell") == 0)
        return "sh -c '\"$0\" $1 $2 & wait' \"$0\" $1 $2 & wait";
    if (strcmp(way, "setsid") == 0)
        return "setsid sh -c '\"$0\" $1 $2; true' \"$0\" $1 $2 & wait";
    if (strcmp(way, "nohup") == 0)
        return "nohup \"$0\" $1 $2 2>/dev/null & wait";
    return NULL;
}

static void start_other(const char *way, const char *program, int l)
{
    char listener[16];
    snprintf(listener, sizeof listener, "%d", l);
    pid_t pid = strcmp(way, "vfork") == 0 ? vfork() : fork(); /* NOLINT: what is tested */
    if (pid != 0)
        return;
    if (script_of(way)) {
        setsid();
        shell(script_of(way), program, listener);
    }
    if (strcmp(way, "double-fork") == 0 && fork() != 0)
        _exit(0);
    execl(program, program, "other", listener, (char *)NULL);
    _exit(1);
}

/* first WAY own|same accepts|waits: starts another server, and accepts, or has a worker that does. */
static int first(char **args)
{
    static char path[4096];
    CHECK(readlink(self, path, sizeof path - 1) > 0);
    int l = role_listen(), same = strcmp(args[1], "same") == 0 ? l : 0;
    CHECK(fcntl(l, F_SETFD, same ? 0 : FD_CLOEXEC) == 0);
    if (strcmp(args[2], "waits") == 0)
        start_worker(l, 0);
    else
        role_serve_threads_ignoring(l);
    start_other(args[0], path, same);
    role_pause();
}

/* Its parent may be a shell, or this process. */
static bool is_gone(void *arg)
{
    const pid_t *pid = arg;
    return waitpid(*pid, NULL, WNOHANG) == *pid || kill(*pid, 0) != 0;
}

static void goes_on_alone(bool bare, const char *way, const char *listener, const char *role)
{
    struct child c;
    struct setup s = {.bare = bare};
    adopt_orphans();
    child_start(&c, &s, "first", way, listener, role, NULL);
    child_says(&c, "port");
    pid_t pid = (pid_t)child_says_number(&c, "other");
    long port = child_says_number(&c, "serves");
    goes_on(port, 1);
    if (strcmp(listener, "same") == 0) { /* one of them has answered: that both wait in accept is what tells */
        given_time(pid, 0);
        given_time(c.pid, 0);
    }
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    goes_on(port, 2);
    kill(pid, SIGTERM);
    CHECK(await(is_gone, &pid), "%s, %s, %s: the other server has not ended", way, listener, role);
}

static void its_own(const char *const *args)
{
    goes_on_alone(true, args[0], "own", args[1]);
    goes_on_alone(false, args[0], "own", args[1]);
}

/* A successor, which a wrapper starts, accepts on the same listener beside the old one. */
static void beside(const char *const *args)
{
    goes_on_alone(true, args[0], "same", "accepts");
    goes_on_alone(false, args[0], "same", "accepts");
}

int main(int argc, char **argv)
{
    static const struct check_row rows[] = {
        {"other-server/shell", its_own, {"shell", "accepts"}},
        {"other-server/shell/of-a-master", its_own, {"shell", "waits"}},
        {"other-server/exec-in-shell", its_own, {"exec-in-shell", "accepts"}},
        {"other-server/exec-in-shell/of-a-master", its_own, {"exec-in-shell", "waits"}},
        {"other-server/shell-in-shell", its_own, {"shell-in-shell", "accepts"}},
        {"other-server/setsid", its_own, {"setsid", "accepts"}},
        {"other-server/nohup", its_own, {"nohup", "accepts"}},
        {"other-server/double-fork", its_own, {"double-fork", "accepts"}},
        {"other-server/exec/of-a-master", its_own, {"exec", "waits"}},
        {"other-server/vfork/of-a-master", its_own, {"vfork", "waits"}},
        {"other-server/successor/shell", beside, {"shell"}},
        {"other-server/successor/exec-in-shell", beside, {"exec-in-shell"}},
        {"other-server/successor/shell-in-shell", beside, {"shell-in-shell"}},
        {"other-server/successor/setsid", beside, {"setsid"}},
        {"other-server/successor/exec", beside, {"exec"}},
        {NULL, NULL, {NULL}},
    };
    static const struct check_test tests[] = {{NULL, NULL}};
    static const struct check_role roles[] = {{"first", first}, {"other", other}, {NULL, NULL}};
    return check_main_rows(argc, argv, rows, tests, roles);
}
