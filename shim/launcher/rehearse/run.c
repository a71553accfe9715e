/* run.c: one run: the server, the clients in a second thread, TERM in the middle, and the end of both. */
#include "launcher/rehearse/rehearse.h"
#include "launcher/host/clock.h"
#include "launcher/host/process_tree.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct loading {
    struct load_config config;
    struct load_request request;
    struct load_result *result;
    pthread_t thread;
    int ready, done, stop; /* eventfds */
    int error;
};

static void say_ready(void *arg)
{
    eventfd_write(*(int *)arg, 1);
}

static void *load_thread(void *arg)
{
    struct loading *l = arg;
    l->error = load_run(&l->config, l->result);
    eventfd_write(l->ready, 1);
    eventfd_write(l->done, 1);
    return NULL;
}

unsigned rehearse_clients(const struct rehearsal *r, const struct scenario *s)
{
    return r->clients && !s->one ? r->clients : s->clients;
}

static void configure(struct loading *l, const struct rehearsal *r, const struct scenario *s)
{
    const struct page *page = s->slow ? &r->slow : &r->page;
    unsigned clients = rehearse_clients(r, s);
    l->request = (struct load_request){.method = "GET", .path = page->path, .status = page->status};
    if (page->fixed)
        l->request.body = (struct load_body){.kind = LOAD_BODY_TEXT, .length = page->length, .text = page->body};
    l->config = s->load;
    l->config.address = r->url.address;
    l->config.host = r->url.host;
    l->config.requests = &l->request;
    l->config.request_count = 1;
    l->config.clients = clients;
    l->config.timeout = r->patience;
    l->config.stop_fd = l->stop;
    l->config.ready = say_ready;
    l->config.arg = &l->ready;
    l->config.ready_ok = (uint64_t)clients * s->ready_each;
    l->config.ready_sent = s->ready_each ? 0 : clients;
}

static int begin_load(struct loading *l, struct rehearsal *r, const struct scenario *s, struct load_result *result)
{
    l->result = result;
    l->ready = eventfd(0, EFD_CLOEXEC);
    l->done = eventfd(0, EFD_CLOEXEC);
    l->stop = eventfd(0, EFD_CLOEXEC);
    configure(l, r, s);
    r->watched = result;
    r->doing = "loading";
    int error = pthread_create(&l->thread, NULL, load_thread, l);
    return error ? rehearse_fail(CLI_USAGE, "no thread for the clients: %s", strerror(error)) : 0;
}

static void finish_load(struct loading *l, struct rehearsal *r)
{
    pthread_join(l->thread, NULL);
    r->watched = NULL;
    close(l->ready);
    close(l->done);
    close(l->stop);
}

static const char *side_words(const struct rehearsal *r)
{
    return r->side == SIDE_WITH ? "with lastcall" : "without lastcall";
}

static int ended_by_itself(struct rehearsal *r, const struct scenario *s)
{
    /* if the server ends so only with lastcall, lastcall is to blame */
    int status = r->side == SIDE_WITH ? 1 : CLI_USAGE;
    rehearse_fail(status, "%s, %s: %s ended with %d under load, before any signal", s->name, side_words(r),
                  r->command[0], r->status);
    rehearse_show_output(r);
    return status;
}

/* When this returns, the load is in the middle of the scenario. */
static int wait_middle(struct loading *l, struct rehearsal *r, const struct scenario *s)
{
    enum waited w = rehearse_wait(r, l->ready, true, clock_now() + s->ready_most);
    /* With the slow page every client has sent its request: wait some way into the response. Clients with keep-alive
     * connections are in step with the server at this moment: wait until they are out of step. */
    nsec_t some = s->slow ? r->slow.duration / 2 : s->load.fresh ? 0 : 50 * NSEC_PER_MSEC;
    if (w == WAITED_FD)
        w = rehearse_wait(r, -1, true, clock_now() + (some < NSEC_PER_SEC / 2 ? some : NSEC_PER_SEC / 2));
    if (w == WAITED_INTERRUPT)
        return 128 + r->interrupt;
    return w == WAITED_END ? ended_by_itself(r, s) : 0;
}

/* The process that must run while the server is stopped: the launcher, which forwards the signal. */
static pid_t launcher(const struct rehearsal *r)
{
    return r->side == SIDE_WITH ? r->pid : 0;
}

/* The server is continued together with the signal, not before: a wait that only a stop has interrupted fails with
 * EINTR (signal(7)), which not every program expects. A launcher that drains externally defers the signal: the wait
 * for such a launcher is short. */
static void go_on(struct rehearsal *r)
{
    for (int i = 0; launcher(r) && i < 100 && !process_tree_has_pending(SIGTERM, launcher(r)); i++)
        rehearse_wait(r, -1, true, clock_now() + NSEC_PER_MSEC);
    process_tree_signal(SIGCONT, 0);
}

static void send_term(struct rehearsal *r, const struct scenario *s, struct outcome *o)
{
    r->doing = "TERM sent";
    o->term = clock_now();
    syscall(SYS_pidfd_send_signal, r->pidfd, SIGTERM, NULL, 0);
    if (s->stopped)
        go_on(r);
}

/* Wait until the process has ended, or for r->patience. Then the clients stop before the process is killed, so that
 * the kill loses no further request. */
static int wait_gone(struct loading *l, struct rehearsal *r, struct outcome *o)
{
    enum waited w = rehearse_wait(r, -1, true, o->term + r->patience);
    o->killed = w == WAITED_TIME;
    if (o->killed) {
        eventfd_write(l->stop, 1);
        w = rehearse_wait(r, l->done, false, clock_now() + NSEC_PER_SEC);
        o->gone = clock_now();
    } else {
        o->gone = r->ended_at;
        o->status = r->status;
    }
    return w == WAITED_INTERRUPT ? 128 + r->interrupt : 0;
}

/* Some time for processes that outlive the one that was sent the signal. */
static int wait_others(struct rehearsal *r, struct outcome *o)
{
    static struct process_tree left;
    nsec_t until = clock_now() + 2 * NSEC_PER_SEC;
    process_tree_read(&left);
    while (left.count && !o->killed && clock_now() < until) {
        if (rehearse_wait(r, -1, false, clock_now() + 10 * NSEC_PER_MSEC) == WAITED_INTERRUPT)
            return 128 + r->interrupt;
        process_tree_read(&left);
    }
    o->left = o->killed ? 0 : left.count;
    return 0;
}

static bool is_report(json_t *line)
{
    const char *event = json_string_value(json_object_get(line, "event"));
    return event && strcmp(event, "drain") == 0;
}

/* The last line that is one. That of a group of many processes is long. */
static json_t *read_report(const char *path)
{
    char *line = NULL;
    size_t size = 0;
    json_t *report = NULL;
    FILE *f = fopen(path, "re");
    while (f && getline(&line, &size, f) > 0) {
        json_t *one = json_loads(line, 0, NULL);
        if (is_report(one)) {
            json_decref(report);
            report = one;
        } else {
            json_decref(one);
        }
    }
    if (f)
        fclose(f);
    free(line);
    return report;
}

static int take_report(struct rehearsal *r, struct outcome *o)
{
    if (r->side != SIDE_WITH)
        return 0;
    o->report = read_report(r->report_path);
    if (o->report || o->killed)
        return 0;
    rehearse_fail(CLI_USAGE,
                  "%s, with lastcall: %s ended with %d without a report of lastcall, which did nothing there",
                  r->scenario->name, r->command[0], o->status);
    rehearse_show_output(r);
    return CLI_USAGE;
}

static int middle_and_end(struct loading *l, struct rehearsal *r, const struct scenario *s, struct outcome *o)
{
    int status = wait_middle(l, r, s);
    if (status)
        return status;
    send_term(r, s, o);
    status = wait_gone(l, r, o);
    if (!status && !o->killed && rehearse_wait(r, l->done, false, clock_now() + r->grace) == WAITED_INTERRUPT)
        status = 128 + r->interrupt;
    if (!status)
        status = wait_others(r, o);
    return status ? status : take_report(r, o);
}

int rehearse_run(struct rehearsal *r, const struct scenario *s, struct outcome *o)
{
    struct loading l = {0};
    memset(o, 0, sizeof *o);
    if (truncate(r->report_path, 0))
        return rehearse_fail(CLI_USAGE, "%s: the report cannot be kept there", r->report_path);
    r->begun = clock_now();
    r->scenario = s;
    int status = rehearse_start(r);
    if (!status && s->stopped)
        process_tree_stop(launcher(r));
    if (status || (status = begin_load(&l, r, s, &o->load))) {
        rehearse_clear_bar();
        rehearse_end(r);
        return status;
    }
    status = middle_and_end(&l, r, s, o);
    eventfd_write(l.stop, 1); /* in a good run all clients are done, and the event has no effect */
    rehearse_end(r);
    finish_load(&l, r);
    if (!status && l.error)
        status = rehearse_fail(CLI_USAGE, "%s: the clients cannot run: %s", r->url.address, strerror(-l.error));
    return status;
}
