/* deliver.c: see deliver.h. */
#include "launcher/external/deliver.h"

#include "core/known_program.h"
#include "launcher/host/process.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

/* The graceful signal of a program that is known, and lets its requests end by it; 0: the program is not known. */
static int graceful_signal(int pid)
{
    char path[PROCESS_PATH], exe[PATH_MAX], args[1024];
    long n = readlink(process_path(path, pid, "exe"), exe, sizeof exe);
    long args_len = process_file(process_path(path, pid, "cmdline"), args, sizeof args);
    int graceful = n > 0 ? known_program_signal(exe, (size_t)n, args, args_len > 0 ? (size_t)args_len : 0) : 0;
    return n > 0 && known_program_waits(exe, (size_t)n, graceful) ? graceful : 0;
}

int deliver_which(const struct observer *o, int signo, const struct options *options, bool shuts_down)
{
    if (options->forward)
        return options->forward;
    int graceful = shuts_down ? graceful_signal(o->root) : 0;
    return graceful ? graceful : signo;
}

struct question {
    int signo;
    bool asked;
    enum program_answer answer;
};

/* Go's runtime has a handler for every signal, which ends the process where the program has asked for nothing else. */
static bool has_all_handlers(int pid)
{
    return process_catches(pid, SIGRTMIN + 1) && process_catches(pid, SIGRTMAX);
}

static enum program_answer answer_of(int pid, int signo)
{
    if (!process_catches(pid, signo))
        return PROGRAM_DIES;
    return has_all_handlers(pid) ? PROGRAM_MAY_DIE : PROGRAM_SHUTS_DOWN;
}

/* Of several servers the one that does least for its requests counts. */
static void ask(int pid, void *arg)
{
    struct question *q = arg;
    enum program_answer answer = answer_of(pid, q->signo);
    if (!q->asked || answer < q->answer)
        q->answer = answer;
    q->asked = true;
}

enum program_answer deliver_answer(struct observer *o, int signo, const struct options *options)
{
    struct question q = {.signo = deliver_which(o, signo, options, true)};
    if (observe_sockets(o))
        listeners_each_server(&o->listeners, &o->sockets, ask, &q);
    if (!q.asked) /* which processes serve may not be looked at */
        ask(o->root, &q);
    bool is_asked_for = options->deliver_first && q.answer == PROGRAM_MAY_DIE;
    return is_asked_for ? PROGRAM_SHUTS_DOWN : q.answer;
}

struct ignorance {
    int signo;
    bool asked, by_all;
};

static void ask_whether_ignored(int pid, void *arg)
{
    struct ignorance *i = arg;
    i->by_all = (!i->asked || i->by_all) && process_ignores(pid, i->signo);
    i->asked = true;
}

bool deliver_is_ignored(struct observer *o, int signo, const struct options *options)
{
    struct ignorance i = {.signo = deliver_which(o, signo, options, true)};
    if (observe_sockets(o))
        listeners_each_server(&o->listeners, &o->sockets, ask_whether_ignored, &i);
    return i.asked && i.by_all;
}

struct order {
    int root, signo;
};

static void send_to(int pid, void *arg)
{
    const struct order *order = arg;
    if (pid != order->root)
        kill(pid, order->signo);
}

void deliver_signal(struct observer *o, int signo)
{
    struct order order = {o->root, signo};
    if (observe_sockets(o))
        listeners_each_server(&o->listeners, &o->sockets, send_to, &order);
    kill(o->root, signo);
}

static bool is_connection(const struct observer *o, uint64_t inode)
{
    for (unsigned i = 0; i < o->here.count; i++)
        if (o->here.at[i].activity.now.inode == inode)
            return true;
    return false;
}

static bool is_listener(const struct observer *o, uint64_t inode)
{
    for (unsigned i = 0; i < o->listeners.count; i++)
        if (o->listeners.at[i].ours && o->listeners.at[i].diag.inode == inode)
            return true;
    return false;
}

void deliver_kill(struct observer *o)
{
    kill(o->root, SIGKILL); /* before its workers: it would start others */
    if (!observe_sockets(o))
        return;
    for (unsigned i = 0; i < o->sockets.count; i++) {
        const struct process_socket *s = &o->sockets.at[i];
        if (is_listener(o, s->inode) || is_connection(o, s->inode))
            kill(s->pid, SIGKILL);
    }
}
