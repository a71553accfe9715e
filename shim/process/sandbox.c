/* shim_sandbox.c: the program locks itself into a seccomp filter. A filter that would end the process for a call that
 * lastcall makes, and the program does not, leaves one way: lastcall makes no call any more, and everything passes
 * through as without it. */
#include "shim.h"

#include "core/seccomp_filter.h"
#include "group/environment.h"
#include "group/member.h"
#include "sys/map.h"

#include <linux/filter.h>

_Static_assert(sizeof(struct seccomp_instruction) == sizeof(struct sock_filter), "the kernel's layout");
_Static_assert(offsetof(struct seccomp_instruction, k) == offsetof(struct sock_filter, k), "the kernel's layout");

/* All that lastcall calls on its own account (tests/guard/sandbox_calls.sh). */
static const uint16_t calls[] = {
    SYS_bind,
    SYS_clock_gettime,
    SYS_clone,
    SYS_close,
    SYS_close_range,
    SYS_dup3,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_exit,
    SYS_exit_group,
    SYS_faccessat,
    SYS_fcntl,
    SYS_flock,
    SYS_fstat,
    SYS_ftruncate,
    SYS_futex,
    SYS_getcwd,
    SYS_getdents64,
    SYS_geteuid,
    SYS_getpid,
    SYS_getppid,
    SYS_getrandom,
    SYS_getsid,
    SYS_getsockopt,
    SYS_gettid,
    SYS_ioctl,
    SYS_kill,
    SYS_listen,
    SYS_lseek,
    SYS_madvise,
    SYS_memfd_create,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_nanosleep,
    SYS_newfstatat,
    SYS_openat,
    SYS_pidfd_open,
    SYS_ppoll,
    SYS_pidfd_send_signal,
    SYS_prlimit64,
    SYS_read,
    SYS_readlinkat,
    SYS_recvfrom,
    SYS_rt_sigaction,
    SYS_rt_sigpending,
    SYS_rt_sigprocmask,
    SYS_rt_sigqueueinfo,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_rt_tgsigqueueinfo,
    SYS_sched_yield,
    SYS_sendto,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_socket,
    SYS_tgkill,
    SYS_timer_create,
    SYS_timer_delete,
    SYS_timer_settime,
    SYS_tkill,
    SYS_waitid,
    SYS_write,
};

static bool spares_all(const struct sock_fprog *p)
{
    struct seccomp_state *states = map_zeroed(SECCOMP_FILTER_MAX * sizeof *states);
    bool spares = states != NULL;
    for (unsigned i = 0; i < COUNT(calls) && spares; i++)
        spares = seccomp_filter_spares((const void *)p->filter, p->len, ARCH_AUDIT, calls[i], states);
    if (states)
        map_free(states, SECCOMP_FILTER_MAX * sizeof *states);
    return spares;
}

bool shim_sandbox_begin(const struct sock_fprog *filter)
{
    static uint8_t said;
    if (self_off() || deferred_draining() || (self_armed() && !self_is_our_process()) || (filter && spares_all(filter)))
        return false;
    log_cannot_watch("the program installs a seccomp filter that ends it at calls of lastcall: from then on everything "
                     "passes through, and nothing is drained",
                     &said);
    dispositions_give_back();
    dispositions_refuse_commands();
    return true;
}

void shim_sandbox_end(bool installed)
{
    if (!installed) {
        if (self_armed())
            shim_hold_signals();
        return;
    }
    member_leave();
    self_switch_off();
    slots_drop();
    environment_switch_off();
}
