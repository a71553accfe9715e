/* process_tree.c: see process_tree.h. /proc is read whole: the kernel's own list of children is not in every kernel. */
#include "launcher/host/process_tree.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    char state;
    bool ours;
};

void tree_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static bool read_stat(const char *pid, struct process *p)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = 0;
    char *name_end = strrchr(line, ')'); /* the name may hold anything */
    int parent;
    if (!name_end || sscanf(name_end + 1, " %c %d", &p->state, &parent) != 2)
        return false;
    p->pid = atoi(pid);
    p->parent = parent;
    p->ours = false;
    return true;
}

static struct process *read_all(unsigned *count)
{
    struct process *all = NULL;
    unsigned n = 0, room = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && (e = readdir(proc));) {
        if (*e->d_name < '1' || *e->d_name > '9')
            continue;
        if (n == room) {
            struct process *more = realloc(all, (room += 512) * sizeof *all);
            if (!more)
                break;
            all = more;
        }
        n += read_stat(e->d_name, &all[n]);
    }
    if (proc)
        closedir(proc);
    *count = n;
    return all;
}

/* One generation more. */
static bool mark_children(struct process *all, unsigned n, pid_t root)
{
    bool more = false;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; !all[i].ours && k < n; k++)
            if (all[i].parent == root || (all[k].ours && all[i].parent == all[k].pid))
                all[i].ours = more = true;
    return more;
}

void tree_read(struct tree *t)
{
    unsigned n;
    struct process *all = read_all(&n);
    while (mark_children(all, n, getpid()))
        ;
    t->count = 0;
    for (unsigned i = 0; i < n && t->count < TREE_MAX; i++)
        if (all[i].ours && all[i].state != 'Z' && all[i].state != 'X')
            t->pid[t->count++] = all[i].pid;
    free(all);
}

static bool contains(const struct tree *t, pid_t pid)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->pid[i] == pid)
            return true;
    return false;
}

void tree_signal(int signo, pid_t but)
{
    static struct tree now, again;
    static int held[TREE_MAX];
    tree_read(&now);
    for (unsigned i = 0; i < now.count; i++)
        held[i] = (int)syscall(SYS_pidfd_open, now.pid[i], 0);
    tree_read(&again);
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

static bool all_stopped(pid_t but)
{
    unsigned n;
    bool stopped = true;
    struct process *all = read_all(&n);
    while (mark_children(all, n, getpid()))
        ;
    for (unsigned i = 0; i < n; i++)
        stopped &= !all[i].ours || all[i].pid == but || strchr("TZX", all[i].state) != NULL;
    free(all);
    return stopped;
}

void tree_stop(pid_t but)
{
    tree_signal(SIGSTOP, but);
    for (int i = 0; i < 500 && !all_stopped(but); i++)
        pause_ms(2);
}

static bool is_pending(pid_t pid, int signo)
{
    char path[64], line[256];
    bool pending = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && !pending && fgets(line, sizeof line, f))
        if (!strncmp(line, "ShdPnd:", 7))
            pending = strtoull(line + 7, NULL, 16) >> (signo - 1) & 1;
    if (f)
        fclose(f);
    return pending;
}

bool tree_is_pending(int signo, pid_t but)
{
    static struct tree now;
    bool pending = false;
    tree_read(&now);
    for (unsigned i = 0; i < now.count && !pending; i++)
        pending = now.pid[i] != but && is_pending(now.pid[i], signo);
    return pending;
}

bool tree_end(void)
{
    static struct tree left;
    for (int i = 0; i < 1000; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        tree_read(&left);
        if (!left.count)
            return true;
        tree_signal(SIGKILL, 0);
        pause_ms(5);
    }
    return false;
}
