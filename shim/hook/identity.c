/* identity.c: hooks of the calls after which the process may not open the files that it may open now. */
#include "hook/hook_call.h"

int hook_setuid(unsigned uid)
{
    shim_leaves_root();
    return real.setuid(uid);
}

int hook_seteuid(unsigned uid)
{
    shim_leaves_root();
    return real.seteuid(uid);
}

int hook_setreuid(unsigned uid, unsigned effective)
{
    shim_leaves_root();
    return real.setreuid(uid, effective);
}

int hook_setresuid(unsigned uid, unsigned effective, unsigned saved)
{
    shim_leaves_root();
    return real.setresuid(uid, effective, saved);
}

int hook_chroot(const char *path)
{
    shim_leaves_root();
    return real.chroot(path);
}
