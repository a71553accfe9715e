/* sandbox.c: see sandbox.h. */
#include "process/sandbox.h"

#include "core/seccomp_filter.h"
#include "sys/map.h"
#include "sys/syscall.h"

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
    SYS_getpeername,
    SYS_getpid,
    SYS_getppid,
    SYS_getrandom,
    SYS_getsid,
    SYS_getsockname,
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

bool sandbox_spares(const struct sock_fprog *filter)
{
    struct seccomp_state *states = map_zeroed(SECCOMP_FILTER_MAX * sizeof *states);
    bool spares = states != NULL;
    for (unsigned i = 0; i < COUNT(calls) && spares; i++)
        spares = seccomp_filter_spares((const void *)filter->filter, filter->len, ARCH_AUDIT, calls[i], states);
    if (states)
        map_free(states, SECCOMP_FILTER_MAX * sizeof *states);
    return spares;
}
