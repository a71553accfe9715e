/* process.c: see process.h. Source: proc(5), pid_namespaces(7). */
#include "launcher/host/process.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

long process_file(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    long n = read(fd, to, size - 1);
    int failed = errno;
    close(fd);
    if (n < 0)
        return -failed;
    to[n] = '\0';
    return n;
}

const char *process_path(char path[static PROCESS_PATH], int pid, const char *name)
{
    snprintf(path, PROCESS_PATH, "/proc/%d/%s", pid, name);
    return path;
}

const char *process_fd_path(char path[static PROCESS_PATH], int pid, const char *directory, int fd)
{
    snprintf(path, PROCESS_PATH, "/proc/%d/%s/%d", pid, directory, fd);
    return path;
}

bool process_life(int pid, char *state, int *parent)
{
    char buf[1024];
    const char *at = proc_stat(pid, buf, sizeof buf);
    if (!at || at[1] != ' ')
        return false;
    *state = *at;
    *parent = atoi(at + 2);
    return true;
}

size_t process_name(int pid, char *to, size_t size)
{
    char path[PROCESS_PATH];
    long n = process_file(process_path(path, pid, "comm"), to, size);
    return n > 0 ? (size_t)n : 0;
}

/* What follows a field's name in /proc/PID/status, or NULL. *there: the file could be read. */
static char *status_field(int pid, const char *name, char *text, size_t size, bool *there)
{
    char path[PROCESS_PATH];
    *there = process_file(process_path(path, pid, "status"), text, size) > 0;
    char *at = *there ? strstr(text, name) : NULL;
    return at ? at + strlen(name) : NULL;
}

int process_of_thread(int pid)
{
    char text[4096];
    bool there;
    const char *at = status_field(pid, "\nTgid:", text, sizeof text, &there);
    int process = at ? (int)strtol(at, NULL, 10) : 0;
    return process > 0 ? process : pid;
}

unsigned process_numbers(int pid, int *number, unsigned max)
{
    char text[4096];
    bool there;
    unsigned count = 0;
    char *at = status_field(pid, "\nNSpid:", text, sizeof text, &there);
    if (there && !at) /* a kernel without namespaces */
        number[count++] = pid;
    while (at && count < max && *at == '\t')
        number[count++] = (int)strtol(at, &at, 10);
    return count;
}

bool process_ignores(int pid, int signo)
{
    return proc_status_has(pid, "SigIgn", signo);
}

bool process_catches(int pid, int signo)
{
    return proc_status_has(pid, "SigCgt", signo);
}

bool process_has_pending(int pid, int signo)
{
    return proc_status_has(pid, "ShdPnd", signo);
}

int process_memory(int pid)
{
    char path[PROCESS_PATH];
    int fd = open(process_path(path, pid, "mem"), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool process_peek(int mem, uint64_t address, void *to, size_t size)
{
    return address <= INT64_MAX - size && pread(mem, to, size, (off_t)address) == (ssize_t)size;
}

int process_network(int pid, bool *unreadable)
{
    char path[PROCESS_PATH];
    struct stat ours, theirs;
    *unreadable = false;
    int fd = open(process_path(path, pid, "ns/net"), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &theirs) != 0 || stat("/proc/self/ns/net", &ours) != 0)
        *unreadable = true;
    else if (theirs.st_ino != ours.st_ino)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
