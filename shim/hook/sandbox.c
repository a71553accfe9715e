/* sandbox.c: hooks of the calls by which a program shuts itself into a seccomp sandbox. */
#include "hook/hook_call.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* False: the kernel refuses such a filter, or the program only asks whether there are filters (with NULL). */
static bool is_filter(const struct sock_fprog *p)
{
    return p && p->filter && p->len > 0;
}

int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    const struct sock_fprog *filter = (const void *)b;
    bool begun = false;
    if (UNLIKELY(option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT))
        begun = shim_sandbox_begin(NULL);
    if (UNLIKELY(option == PR_SET_SECCOMP && a == SECCOMP_MODE_FILTER && is_filter(filter)))
        begun = shim_sandbox_begin(filter);
    int ret = real.prctl(option, a, b, c, d);
    if (begun)
        shim_sandbox_end(ret == 0);
    return ret;
}

/* With a listener a descriptor is returned; else a number above 0 is a thread that could not be taken along, and there
 * is no filter. */
long hook_seccomp(long operation, long flags, const void *args)
{
    bool begun = false;
    if (operation == SECCOMP_SET_MODE_STRICT && flags == 0 && !args)
        begun = shim_sandbox_begin(NULL);
    if (operation == SECCOMP_SET_MODE_FILTER && is_filter(args))
        begun = shim_sandbox_begin(args);
    long ret = real.syscall(SYS_seccomp, operation, flags, (long)args, 0, 0, 0);
    if (begun)
        shim_sandbox_end(ret == 0 || (ret > 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0));
    return ret;
}
