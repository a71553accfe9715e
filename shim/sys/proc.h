/* proc.h: what /proc tells of other processes. Raw system calls; drain thread only (a walk takes milliseconds). */
#ifndef LASTCALL_PROC_H
#define LASTCALL_PROC_H

#include "base.h"

struct proc_unseen { /* processes that could not be looked into */
    bool members, external /* of our session */, ancestors, helpers;
};

/* What the caller knows of such a process: nothing; a member of our drain; one that holds no listener of ours. */
enum proc_membership { PROC_EXTERNAL, PROC_MEMBER, PROC_HELPER };

/* Call f for the inode of every socket that some other process, pid, has open. membership: what is a process that
 * cannot be looked into? False: an external process could not be looked into, or there is no /proc: then there may be
 * more sockets. */
bool proc_other_sockets(enum proc_membership (*membership)(uint64_t pid),
                        void (*f)(uint64_t inode, uint64_t pid, void *arg), void *arg, struct proc_unseen *unseen);

/* Call f for every number in a directory of a process ("/fd", "/task"), with a descriptor of that directory. */
void proc_each(int pid, const char *directory, void (*f)(int dir, const char *name, uint64_t number, void *arg),
               void *arg);

/* The same for a directory ("/proc" itself: every process). 0, or -errno: it cannot be opened. */
int proc_each_number(const char *path, void (*f)(int dir, const char *name, uint64_t number, void *arg), void *arg);

/* "/proc/<pid>/fd/<fd>"; out holds 64 bytes. Any thread. */
const char *proc_fd_path(char *out, int pid, int fd);

/* The inode in a descriptor's link of n bytes: "socket:[123]"; 0: it is no socket. */
uint64_t proc_link_inode(const char *link, size_t n);

/* The text of /proc/PID/stat after the name, which may hold any character: "S ppid ...". NULL: it cannot be read. */
const char *proc_stat(int pid, char *buf, size_t size);

/* When a process was started, CLOCK_BOOTTIME, to 10 ms. False: it cannot be known. */
bool proc_started(int pid, nsec_t *at);

/* The parent of the process; 0: none here, or it cannot be known. */
int proc_parent(int pid);

/* Has the process a controlling terminal? True also if that cannot be known. */
bool proc_has_terminal(int pid);

/* Has the process ended, or begun to? It has begun before its first descriptor is closed. True also if that cannot
 * be known. */
bool proc_is_ending(int pid);

struct proc_mapping {
    uint64_t inode;
    const char *name; /* not terminated */
    size_t length;
};
/* Call f for each mapping of a process until it returns false. 0; -errno: they cannot be read; -ESRCH: not to their
 * end. */
long proc_each_mapping(int pid, bool (*f)(const struct proc_mapping *m, void *arg), void *arg);

/* Has the process mapped a file with this inode? True also if that cannot be known. */
bool proc_maps_inode(int pid, uint64_t inode);

/* Is the signal in this set of a thread's ("SigBlk", "SigIgn", "ShdPnd")? False if that cannot be known. */
bool proc_status_has(int pid, const char *set, int sig);

/* Does this thread block the signal? False if that cannot be known. */
bool proc_blocks(int tid, int sig);

/* Call f for every descriptor of this process. False: there is no /proc. */
bool proc_own_descriptors(void (*f)(int fd, void *arg), void *arg);

/* Does this process's first thread sleep in the kernel, and not only for a moment? True also if it cannot be known. */
bool proc_main_sleeps(void);

/* Nanoseconds of a processor that this process's first thread has had; 0 if it cannot be known. */
nsec_t proc_main_spent(void);

/* Threads of this process; 1 if it cannot be known. */
unsigned proc_threads(void);

#endif
