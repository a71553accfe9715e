/* self.h: what this process knows of itself. Written by self.c alone. Any thread, any signal handler. */
#ifndef LASTCALL_PROCESS_SELF_H
#define LASTCALL_PROCESS_SELF_H

#include "base.h"

struct self {
    bool off;      /* LASTCALL_DISABLE, or nothing to work with */
    bool armed;    /* this process serves */
    bool go;       /* a Go program with system calls that lastcall sees */
    bool injected; /* a static program: the programs that it starts do not get the library */
    bool pre_exec; /* forked, has not served yet. Drain signals pass through, since exec would forget a deferred one */
    int pid;
    uint64_t *fork_page; /* MADV_WIPEONFORK: 0 in a child */
    uint32_t forks_begun, forks_done;
    void (*on_unseen_fork)(void); /* upcalls: see self_serve */
    void (*on_first_use)(void);
};
extern HIDDEN struct self self_state;

static INLINE bool self_off(void)
{
    return self_state.off;
}

static INLINE bool self_armed(void)
{
    return self_state.armed;
}

static INLINE bool self_is_go(void)
{
    return self_state.go;
}

static INLINE bool self_is_injected(void)
{
    return self_state.injected;
}

static INLINE bool self_is_pre_exec(void)
{
    return self_state.pre_exec;
}

static INLINE int self_pid(void)
{
    return self_state.pid;
}

/* The constructor, step by step: find out what the program is; then the hooks may work. */
void self_set_go(void);
void self_set_injected(bool injected);
void self_switch_on(void);

/* A sandbox would end the process for our calls: the hooks pass everything through from now on. */
void self_switch_off(void);

/* Note the process's number, before it serves. */
void self_note_pid(void);

/* The process begins to serve. on_unseen_fork is called in a child of a fork that did not come through a hook (raw
 * clone), on_first_use when a pre-exec child serves or waits after all. self_armed() is true only after self_arm. */
void self_serve(void (*on_unseen_fork)(void), void (*on_first_use)(void));
void self_arm(void);

/* Does this state describe the calling process? False in a vfork child, which runs in its parent's memory; a fork's
 * child first gets a state of its own. */
bool self_is_our_process(void);

/* In a fork's child: has the fork been noticed already? The pid does not tell: parent and child may both be 1, in two
 * PID namespaces (pid_namespaces(7)). */
bool self_has_noticed_fork(void);

/* A pre-exec child serves, or waits for something: it will not exec. */
void self_settled(void);
static INLINE void self_settle(void)
{
    if (UNLIKELY(self_state.pre_exec))
        self_state.on_first_use();
}

/* Forks of this process: a fork is counted before it is made, and after, so that a look at other processes can tell
 * whether one was under way. */
void self_fork_begins(void);
void self_fork_ends(void);
static inline uint32_t self_forks_begun(void)
{
    return __atomic_load_n(&self_state.forks_begun, __ATOMIC_SEQ_CST);
}
static inline uint32_t self_forks_done(void)
{
    return __atomic_load_n(&self_state.forks_done, __ATOMIC_SEQ_CST);
}

void self_after_fork(void);

#endif
