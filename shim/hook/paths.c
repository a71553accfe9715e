/* paths.c: hooks of the calls that remove a path. A stopped server's own socket may have given way to a successor's:
 * then it is gone already, and the successor's stays. */
#include "hook/hook_call.h"

#include <fcntl.h>

int hook_unlink(const char *path)
{
    if (UNLIKELY(deferred_draining()) && drain_is_successors_path(AT_FDCWD, path))
        return 0;
    return real.unlink(path);
}

int hook_unlinkat(int dir, const char *path, int flags)
{
    if (UNLIKELY(deferred_draining()) && flags == 0 && drain_is_successors_path(dir, path))
        return 0;
    return real.unlinkat(dir, path, flags);
}

int hook_remove(const char *path)
{
    if (UNLIKELY(deferred_draining()) && drain_is_successors_path(AT_FDCWD, path))
        return 0;
    return real.remove(path);
}
