/* unix_paths.c: see unix_paths.h. */
#include "drain/unix_paths.h"

#include "drain/drain.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PATHS = 16 };

static struct {
    char path[sizeof((struct sock_address *)0)->path + 1];
    dev_t device;
    ino_t inode;
} noted[PATHS];
static unsigned count; /* of them, set after the last is whole */

static bool look(int dir, const char *path, struct stat *st)
{
    return sys4(SYS_newfstatat, dir, path, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st->st_mode);
}

void unix_paths_note(const struct sock_address *name)
{
    struct stat st;
    unsigned n = count;
    if (n >= PATHS || name->path_len == 0 || name->path[0] == '\0')
        return; /* an abstract name lies nowhere */
    memset(noted[n].path, 0, sizeof noted[n].path);
    memcpy(noted[n].path, name->path, name->path_len);
    if (!look(AT_FDCWD, noted[n].path, &st))
        return;
    noted[n].device = st.st_dev;
    noted[n].inode = st.st_ino;
    __atomic_store_n(&count, n + 1, __ATOMIC_RELEASE);
}

static bool is_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* The path as it was bound: a program keeps that text. By any other one it means it too only if it leads there, which
 * is not known any more. */
bool drain_is_successors_path(int dir, const char *path)
{
    struct stat st;
    for (unsigned i = 0, n = __atomic_load_n(&count, __ATOMIC_ACQUIRE); i < n && path; i++)
        if ((dir == AT_FDCWD || path[0] == '/') && is_same(path, noted[i].path))
            return look(dir, path, &st) && (st.st_dev != noted[i].device || st.st_ino != noted[i].inode);
    return false;
}
