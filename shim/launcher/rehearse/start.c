/* start.c: the server as a child process: start the server, wait until it serves, end it. See rehearse.h. */
#include "launcher/rehearse/rehearse.h"
#include "launcher/host/clock.h"
#include "launcher/host/listening_addresses.h"
#include "launcher/load/address.h"
#include "launcher/load/probe.h"
#include "launcher/host/process_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- waiting ---------------------------------------------------------------------------------------- */

static void note_end(struct rehearsal *r)
{
    siginfo_t info = {0};
    if (r->ended || waitid(P_PIDFD, (id_t)r->pidfd, &info, WEXITED | WNOHANG) || !info.si_pid)
        return;
    r->ended = true;
    r->ended_at = clock_now();
    r->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static bool interrupted(struct rehearsal *r)
{
    struct signalfd_siginfo s;
    if (!r->interrupt && read(r->signals, &s, sizeof s) == sizeof s)
        r->interrupt = (int)s.ssi_signo;
    return r->interrupt != 0;
}

enum waited rehearse_wait(struct rehearsal *r, int fd, bool end, nsec_t until)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = r->signals, .events = POLLIN},
                               {.fd = end && !r->ended ? r->pidfd : -1, .events = POLLIN},
                               {.fd = fd, .events = POLLIN}};
        nsec_t now = clock_now(), next = until;
        if (r->terminal && next > now + 100 * NSEC_PER_MSEC)
            next = now + 100 * NSEC_PER_MSEC;
        int ms = next > now ? (int)((next - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC) : 0;
        int n = poll(fds, COUNT(fds), ms);
        if (n > 0 && fds[1].revents)
            note_end(r);
        if (interrupted(r))
            return WAITED_INTERRUPT;
        if (end && r->ended)
            return WAITED_END;
        if (n > 0 && fds[2].revents)
            return WAITED_FD;
        rehearse_draw(r);
        if (clock_now() >= until)
            return WAITED_TIME;
    }
}

/* ---- its output ------------------------------------------------------------------------------------- */

enum { OUTPUT_SHOWN = 4096, OUTPUT_LINES = 12 };

static const char *output_end(const struct rehearsal *r)
{
    static char shown[OUTPUT_SHOWN + 1];
    off_t size = lseek(r->output, 0, SEEK_END), from = size > OUTPUT_SHOWN ? size - OUTPUT_SHOWN : 0;
    ssize_t n = pread(r->output, shown, OUTPUT_SHOWN, from);
    shown[n > 0 ? n : 0] = 0;
    char *at = shown + strlen(shown);
    while (at > shown && at[-1] == '\n')
        *--at = 0;
    for (int lines = 0; at > shown; at--)
        if (at[-1] == '\n' && ++lines == OUTPUT_LINES)
            break;
    return at;
}

void rehearse_show_output(const struct rehearsal *r)
{
    const char *end = output_end(r);
    if (*end)
        fprintf(stderr, "its last output:\n%s\n", end);
    else
        fprintf(stderr, "it wrote nothing\n");
}

/* ---- starting --------------------------------------------------------------------------------------- */

/* What the user would start: the command itself, or `lastcall run` before it. Returns if it cannot be executed. */
static void execute(const struct rehearsal *r, char **env)
{
    const char *const before[] = {"lastcall", "run", r->preload_given ? "--preload" : NULL, r->preload_given, "--"};
    unsigned count = 0, n = 0;
    if (r->side == SIDE_BARE) {
        execvpe(r->command[0], r->command, env);
        return;
    }
    while (r->command[count])
        count++;
    const char **words = calloc(COUNT(before) + count + 1, sizeof *words);
    for (unsigned i = 0; words && i < COUNT(before); i++)
        if (before[i])
            words[n++] = before[i];
    for (unsigned i = 0; words && i < count; i++)
        words[n++] = r->command[i];
    if (words)
        execve("/proc/self/exe", (char **)words, env);
}

static void become_server(const struct rehearsal *r, char **env)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* if rehearse is killed, the server is killed too */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &r->limit);
    dup2(null, STDIN_FILENO);
    dup2(r->output, STDOUT_FILENO);
    dup2(r->output, STDERR_FILENO);
    execute(r, env);
}

static int cannot_start(const struct rehearsal *r, int error)
{
    if (error == ENOENT)
        return rehearse_fail(127, "%s: not found", r->command[0]);
    return rehearse_fail(126, "%s: cannot be started: %s", r->command[0], strerror(error));
}

static int spawn(struct rehearsal *r)
{
    int report[2], error = 0;
    char **env;
    int status = rehearse_environment(r, &env);
    if (status)
        return status;
    r->output = memfd_create("output", MFD_CLOEXEC);
    fcntl(r->output, F_SETFL, O_APPEND);
    if (r->output < 0 || pipe2(report, O_CLOEXEC))
        return rehearse_fail(CLI_USAGE, "cannot start %s: %s", r->command[0], strerror(errno));
    r->ended = false;
    r->pid = fork();
    if (!r->pid) {
        become_server(r, env);
        error = errno;
        _exit(write(report[1], &error, sizeof error) > 0);
    }
    free(env);
    close(report[1]);
    if (r->pid < 0)
        error = errno;
    else if (read(report[0], &error, sizeof error) != sizeof error)
        error = 0;
    close(report[0]);
    if (r->pid > 0)
        r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    return error ? cannot_start(r, error) : 0;
}

void rehearse_end(struct rehearsal *r)
{
    if (!process_tree_end())
        rehearse_fail(0, "some processes of %s do not end though they were killed", r->command[0]);
    if (r->pidfd >= 0)
        close(r->pidfd);
    if (r->output >= 0)
        close(r->output);
    r->pid = 0;
    r->pidfd = r->output = -1;
}

enum { AGAIN = -1 }; /* instead of a status: start it once more */

/* ---- is it there? ----------------------------------------------------------------------------------- */

static int interrupt_status(const struct rehearsal *r)
{
    return 128 + r->interrupt;
}

/* A server that does not set SO_REUSEADDR cannot bind while connections of the run before are in TIME_WAIT. */
static bool port_lingers(const struct rehearsal *r)
{
    struct load_address a;
    if (!r->known || !load_address_parse(&a, r->url.address) || a.at.ss_family == AF_UNIX)
        return false;
    int fd = socket(a.at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool in_use = bind(fd, (struct sockaddr *)&a.at, a.len) && errno == EADDRINUSE;
    close(fd);
    return in_use && !probe_listens(&r->url);
}

static int ended_early(struct rehearsal *r)
{
    static struct process_tree left;
    const char *said = output_end(r), *with = r->side == SIDE_WITH ? " with lastcall" : "";
    bool in_use = strcasestr(said, "already in use") || strstr(said, "EADDRINUSE");
    process_tree_read(&left);
    if (in_use && port_lingers(r))
        return AGAIN;
    if (!r->status && left.count)
        return rehearse_fail(
            CLI_USAGE,
            "%s put itself into the background (process %d goes on), where nobody can wait for it: start it in the "
            "foreground",
            r->command[0], (int)left.pid[0]);
    if (in_use)
        rehearse_fail(CLI_USAGE, "%s ended with %d before it served%s: its port is in use", r->command[0], r->status,
                      with);
    else
        rehearse_fail(CLI_USAGE, "%s ended with %d before it served%s", r->command[0], r->status, with);
    rehearse_show_output(r);
    return CLI_USAGE;
}

static void list_addresses(char *out, size_t size, const struct listening_address *l, unsigned n)
{
    size_t at = 0;
    for (unsigned i = 0; i < n && i < LISTENING_ADDRESSES_MAX && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", l[i].text);
}

/* The URL of the only place where it listens; 0 with an empty address: of none yet. */
static int find_url(struct rehearsal *r)
{
    static struct process_tree tree;
    static struct listening_address found[LISTENING_ADDRESSES_MAX];
    char all[1024] = "", text[160];
    process_tree_read(&tree);
    unsigned n = listening_addresses_read(&tree, found);
    *r->url.address = 0;
    if (!n)
        return 0;
    list_addresses(all, sizeof all, found, n);
    if (n > 1)
        return rehearse_fail(CLI_USAGE, "%s listens in %u places (%s): say which with --url", r->command[0], n, all);
    if (found[0].elsewhere)
        return rehearse_fail(
            CLI_USAGE,
            "%s listens on %s only, which the loopback does not reach: a rehearsal needs it on 127.0.0.1 or [::1]",
            r->command[0], all);
    bool unix_socket = !strncmp(all, "unix:", 5);
    snprintf(text, sizeof text, "%s%s%s", unix_socket ? "" : "http://", found[0].text, unix_socket ? "" : "/");
    const char *wrong = url_parse(&r->url, text);
    return wrong ? rehearse_fail(CLI_USAGE, "%s listens on %s, which %s", r->command[0], all, wrong) : 0;
}

static const char *error_words(int error)
{
    switch (-error) {
    case ECONNREFUSED:
    case ENOENT: return "nobody listens there";
    case ETIMEDOUT: return "it takes connections and does not answer";
    case ECONNRESET: return "the connection ends without a whole answer";
    case EPROTO: return "what it answers is not HTTP/1";
    default: return strerror(-error);
    }
}

static int never_ready(struct rehearsal *r, int error, const struct probe *p)
{
    char url[URL_TEXT], why[128];
    url_text(url, &r->url);
    double seconds = (double)r->ready_timeout / 1e9;
    if (!*r->url.address)
        rehearse_fail(CLI_USAGE, "%s listens nowhere that can be seen after %g s (--ready-timeout): name its --url",
                      r->command[0], seconds);
    else {
        snprintf(why, sizeof why, "status %d", p->status);
        rehearse_fail(CLI_USAGE, "%s did not become ready within %g s (--ready-timeout): %s: %s", r->command[0],
                      seconds, url, error ? error_words(error) : why);
    }
    rehearse_show_output(r);
    return CLI_USAGE;
}

static int bad_page(const struct rehearsal *r, const char *path, int status)
{
    struct url u = r->url;
    char url[URL_TEXT];
    snprintf(u.path, sizeof u.path, "%s", path);
    url_text(url, &u);
    return rehearse_fail(CLI_USAGE, "%s answers %d: name a page that it serves with %s", url, status,
                         path == r->url.path ? "--url" : "--slow");
}

/* One try: 0 with *error and p->status telling how it went, as before if there was none. */
static int look(struct rehearsal *r, struct probe *p, int *error, nsec_t until)
{
    int status = r->known || r->url_given ? 0 : find_url(r);
    nsec_t now = clock_now();
    if (status || !*r->url.address || now >= until)
        return status;
    nsec_t least = 300 * NSEC_PER_MSEC; /* the last probe must have time for a response */
    *error = probe_get(p, &r->url, r->url.path, until - now > least ? until - now : least, r->signals);
    if (!*error && p->status >= 400 && p->status < 500)
        return bad_page(r, r->url.path, p->status);
    return 0;
}

static bool is_served(const struct rehearsal *r, int error, const struct probe *p)
{
    return !error && (r->known ? p->status == r->page.status : p->status < 400);
}

/* Workers that are still being started are waited for, a second at most. */
static enum waited settle(struct rehearsal *r)
{
    static struct process_tree tree;
    unsigned before = 0;
    enum waited w = WAITED_TIME;
    process_tree_read(&tree);
    for (int i = 0; i < 10 && w == WAITED_TIME && before != tree.count; i++) {
        before = tree.count;
        w = rehearse_wait(r, -1, true, clock_now() + 100 * NSEC_PER_MSEC);
        process_tree_read(&tree);
    }
    return w;
}

static int wait_serving(struct rehearsal *r, struct probe *p)
{
    nsec_t until = clock_now() + r->ready_timeout, patience = NSEC_PER_SEC;
    int error = -ECONNREFUSED, status;
    enum waited w = WAITED_TIME;
    do {
        /* What was found and does not answer may be the first of several places where it will listen: look again. */
        nsec_t once = clock_now() + patience;
        status = look(r, p, &error, r->known || r->url_given || once > until ? until : once);
        if (error == -ETIMEDOUT && patience < r->ready_timeout)
            patience *= 2; /* or it takes its time; without a new try the error is the last one's */
        if (status)
            return status;
        if (is_served(r, error, p))
            w = settle(r);
        else
            w = rehearse_wait(r, -1, true, clock_now() + 10 * NSEC_PER_MSEC);
        if (w == WAITED_INTERRUPT)
            return interrupt_status(r);
        if (w == WAITED_END)
            return ended_early(r);
        if (is_served(r, error, p))
            return 0;
    } while (clock_now() < until);
    return never_ready(r, error, p);
}

/* ---- what a good response is ------------------------------------------------------------------------- */

enum { PAGE_MAX = 8 << 20 };

static int get_again(struct rehearsal *r, const char *path, struct probe *p)
{
    int error = probe_get(p, &r->url, path, r->ready_timeout, r->signals);
    if (error == -EINTR && rehearse_wait(r, -1, false, 0) == WAITED_INTERRUPT)
        return interrupt_status(r);
    if (error)
        return rehearse_fail(CLI_USAGE, "%s: no good answer to GET %s: %s", r->command[0], path, error_words(error));
    if (p->status >= 400)
        return bad_page(r, path, p->status);
    return 0;
}

static bool same_body(const struct page *page, const struct probe *p)
{
    return p->length == page->length && page->length <= PAGE_MAX && !memcmp(p->body, page->body, p->length);
}

/* When the wall clock's next second has begun: until then a body that tells the time would look the same. */
static nsec_t next_second(void)
{
    return clock_now() + NSEC_PER_SEC - clock_read(CLOCK_REALTIME) % NSEC_PER_SEC + 20 * NSEC_PER_MSEC;
}

/* p is the first answer; a second one, in another second, tells whether the body stays. */
static int learn(struct rehearsal *r, struct page *page, const char *path, struct probe *p)
{
    size_t kept = p->length < PAGE_MAX ? (size_t)p->length : PAGE_MAX;
    struct probe again = {.body = malloc(PAGE_MAX), .room = PAGE_MAX};
    *page = (struct page){
        .path = path, .status = p->status, .length = p->length, .duration = p->duration, .body = malloc(kept + 1)};
    if (!again.body || !page->body)
        return rehearse_fail(CLI_USAGE, "no memory");
    memcpy(page->body, p->body, kept);
    if (rehearse_wait(r, -1, true, next_second()) == WAITED_INTERRUPT)
        return interrupt_status(r);
    int status = get_again(r, path, &again);
    if (!status && again.status != page->status)
        status = rehearse_fail(CLI_USAGE, "GET %s is answered %d, then %d: name a page that stays", path, page->status,
                               again.status);
    page->fixed = same_body(page, &again);
    free(again.body);
    return status;
}

static int learn_all(struct rehearsal *r, struct probe *first)
{
    static char body[PAGE_MAX];
    struct probe slow = {.body = body, .room = PAGE_MAX};
    int status = 0;
    if (r->slow_given)
        status = get_again(r, r->slow_given, &slow);
    if (!status && r->slow_given)
        status = learn(r, &r->slow, r->slow_given, &slow);
    if (!status)
        status = learn(r, &r->page, r->url.path, first);
    r->known = !status;
    return status;
}

/* ---- the port ----------------------------------------------------------------------------------------- */

static int port_is_free(const struct rehearsal *r)
{
    if (!*r->url.address || !probe_listens(&r->url))
        return 0;
    return rehearse_fail(CLI_USAGE, "port in use: somebody else listens on %s already; end that first", r->url.address);
}

static int wait_for_port(struct rehearsal *r)
{
    nsec_t until = clock_now() + 70 * NSEC_PER_SEC; /* TIME_WAIT takes 60 s */
    rehearse_end(r);
    r->doing = "waiting for its port";
    while (port_lingers(r) && clock_now() < until)
        if (rehearse_wait(r, -1, false, clock_now() + 200 * NSEC_PER_MSEC) == WAITED_INTERRUPT)
            return interrupt_status(r);
    return 0;
}

/* A killed server leaves its socket file; some servers do not remove the file before bind, which then fails
 * (EADDRINUSE). */
static void remove_socket(const struct rehearsal *r)
{
    struct stat found;
    const char *path = r->url.address + strlen("unix:");
    if (r->known && !strncmp(r->url.address, "unix:/", 6) && !stat(path, &found) && S_ISSOCK(found.st_mode))
        unlink(path);
}

static int start_once(struct rehearsal *r, struct probe *p)
{
    r->doing = "starting";
    int status = port_is_free(r);
    if (status)
        return status;
    remove_socket(r);
    status = spawn(r);
    return status ? status : wait_serving(r, p);
}

int rehearse_start(struct rehearsal *r)
{
    static char body[PAGE_MAX];
    struct probe p = {.body = body, .room = PAGE_MAX};
    int status;
    while ((status = start_once(r, &p)) == AGAIN) {
        status = wait_for_port(r);
        if (status)
            return status;
    }
    if (status)
        return status;
    if (!r->known)
        return learn_all(r, &p);
    r->page.fixed = r->page.fixed && same_body(&r->page, &p);
    return 0;
}
