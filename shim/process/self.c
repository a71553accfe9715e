/* self.c: see self.h. */
#include "process/self.h"

#include "sys/map.h"
#include "sys/syscall.h"

#include <sys/mman.h>

enum { FORK_PAGE = 4096 };

HIDDEN struct self self_state = {.off = true};

void self_set_go(void)
{
    self_state.go = true;
}

void self_set_injected(bool injected)
{
    self_state.injected = injected;
}

void self_switch_on(void)
{
    __atomic_store_n(&self_state.off, false, __ATOMIC_RELEASE);
}

void self_switch_off(void)
{
    __atomic_store_n(&self_state.off, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&self_state.armed, false, __ATOMIC_SEQ_CST);
    self_state.pre_exec = false;
}

void self_note_pid(void)
{
    self_state.pid = (int)sys0(SYS_getpid);
}

void self_serve(void (*on_unseen_fork)(void), void (*on_first_use)(void))
{
    self_state.on_unseen_fork = on_unseen_fork;
    self_state.on_first_use = on_first_use;
    self_note_pid();
    self_state.fork_page = map_zeroed(FORK_PAGE);
    if (self_state.fork_page && sys3(SYS_madvise, self_state.fork_page, FORK_PAGE, MADV_WIPEONFORK) == 0)
        *self_state.fork_page = 1;
    else
        self_state.fork_page = NULL;
}

void self_arm(void)
{
    __atomic_store_n(&self_state.armed, true, __ATOMIC_RELEASE);
}

bool self_is_our_process(void)
{
    if ((int)sys0(SYS_getpid) == self_state.pid)
        return true;
    if (self_state.fork_page && *self_state.fork_page == 0)
        self_state.on_unseen_fork();
    return (int)sys0(SYS_getpid) == self_state.pid;
}

bool self_has_noticed_fork(void)
{
    return self_state.armed && self_state.fork_page && *self_state.fork_page != 0;
}

void self_settled(void)
{
    self_state.pre_exec = false;
}

void self_fork_begins(void)
{
    __atomic_add_fetch(&self_state.forks_begun, 1, __ATOMIC_SEQ_CST);
}

void self_fork_ends(void)
{
    __atomic_add_fetch(&self_state.forks_done, 1, __ATOMIC_SEQ_CST);
}

void self_after_fork(void)
{
    self_state.forks_begun = self_state.forks_done = 0;
    if (!self_state.armed)
        return;
    self_note_pid();
    if (self_state.fork_page)
        *self_state.fork_page = 1;
    self_state.pre_exec = true;
}
