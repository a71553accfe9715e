/* process_tree.c: see process_tree.h. /proc is read whole: the kernel's own list of children is not in every kernel. */
#include "launcher/host/process_tree.h"

#include "launcher/host/array.h"
#include "launcher/host/process.h"
#include "sys/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void process_tree_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct listing {
    struct processes *all;
    bool whole;
};

static void add_process(int dir, const char *name, uint64_t pid, void *arg)
{
    struct listing *l = arg;
    struct processes *all = l->all;
    struct process p = {.pid = (int)pid};
    (void)dir;
    (void)name;
    if (!process_life(p.pid, &p.state, &p.parent))
        return;
    l->whole = l->whole && array_grow(&all->at, all->count, &all->room, sizeof p);
    if (l->whole)
        all->at[all->count++] = p;
}

static int by_pid(const void *a, const void *b)
{
    const struct process *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool is_descendant(const struct processes *all, int pid)
{
    enum { DEEP = 256 }; /* the list is not of one moment: a pid that was given out anew could make a ring */
    int self = (int)getpid();
    for (int i = 0; i < DEEP && pid > 0 && pid != self; i++) {
        const struct process key = {.pid = pid};
        const struct process *p = bsearch(&key, all->at, all->count, sizeof key, by_pid);
        if (!p)
            return false;
        if (p->parent == self)
            return true;
        pid = p->parent;
    }
    return false;
}

bool process_tree_read_all(struct processes *all)
{
    struct listing l = {all, true};
    all->count = 0;
    if (proc_each_number("/proc", add_process, &l) != 0)
        return false;
    if (all->count > 0)
        qsort(all->at, all->count, sizeof *all->at, by_pid);
    for (unsigned i = 0; i < all->count; i++)
        all->at[i].descendant = is_descendant(all, all->at[i].pid);
    return l.whole;
}

void process_tree_free(struct processes *all)
{
    free(all->at);
    memset(all, 0, sizeof *all);
}

void process_tree_read(struct process_tree *t)
{
    struct processes all = {0};
    process_tree_read_all(&all);
    t->count = 0;
    for (unsigned i = 0; i < all.count && t->count < PROCESS_TREE_MAX; i++)
        if (all.at[i].descendant && all.at[i].state != 'Z' && all.at[i].state != 'X')
            t->pid[t->count++] = all.at[i].pid;
    process_tree_free(&all);
}

/* ---- acting ------------------------------------------------------------------------------------------------------ */

static bool contains(const struct process_tree *t, int pid)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->pid[i] == pid)
            return true;
    return false;
}

void process_tree_signal(int signo, int but)
{
    static struct process_tree now, again;
    static int held[PROCESS_TREE_MAX];
    process_tree_read(&now);
    for (unsigned i = 0; i < now.count; i++)
        held[i] = (int)syscall(SYS_pidfd_open, now.pid[i], 0);
    process_tree_read(&again);
    for (unsigned i = 0; i < now.count; i++) {
        if (held[i] < 0)
            continue;
        if (now.pid[i] != but && contains(&again, now.pid[i]))
            syscall(SYS_pidfd_send_signal, held[i], signo, NULL, 0);
        close(held[i]);
    }
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static bool all_stopped(int but)
{
    struct processes all = {0};
    bool stopped = true;
    process_tree_read_all(&all);
    for (unsigned i = 0; i < all.count; i++)
        stopped &= !all.at[i].descendant || all.at[i].pid == but || strchr("TZX", all.at[i].state) != NULL;
    process_tree_free(&all);
    return stopped;
}

void process_tree_stop(int but)
{
    process_tree_signal(SIGSTOP, but);
    for (int i = 0; i < 500 && !all_stopped(but); i++)
        pause_ms(2);
}

bool process_tree_has_pending(int signo, int but)
{
    static struct process_tree now;
    bool pending = false;
    process_tree_read(&now);
    for (unsigned i = 0; i < now.count && !pending; i++)
        pending = now.pid[i] != but && process_has_pending(now.pid[i], signo);
    return pending;
}

bool process_tree_end(void)
{
    static struct process_tree left;
    for (int i = 0; i < 1000; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        process_tree_read(&left);
        if (!left.count)
            return true;
        process_tree_signal(SIGKILL, 0);
        pause_ms(5);
    }
    return false;
}
