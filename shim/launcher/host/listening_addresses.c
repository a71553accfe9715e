/* listening_addresses.c: see listening_addresses.h. The inodes of the sockets that they hold, found again in /proc/PID/net. */
#include "launcher/host/listening_addresses.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INODES_MAX = 4096 };

struct inodes {
    unsigned count;
    unsigned long at[INODES_MAX];
};

static bool holds(const struct inodes *held, unsigned long inode)
{
    for (unsigned i = 0; i < held->count; i++)
        if (held->at[i] == inode)
            return true;
    return false;
}

static void add_inodes(struct inodes *held, pid_t pid)
{
    char path[64], name[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    for (struct dirent *e; fds && (e = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), e->d_name, name, sizeof name - 1);
        unsigned long inode = 0;
        name[n > 0 ? n : 0] = 0;
        if (!strncmp(name, "socket:[", 8))
            inode = strtoul(name + 8, NULL, 10);
        if (inode && held->count < INODES_MAX && !holds(held, inode))
            held->at[held->count++] = inode;
    }
    if (fds)
        closedir(fds);
}

static unsigned add(struct listener out[LISTENERS_MAX], unsigned count, const struct listener *one)
{
    for (unsigned i = 0; i < count && i < LISTENERS_MAX; i++)
        if (!strcmp(out[i].address, one->address))
            return count;
    if (count < LISTENERS_MAX)
        out[count] = *one;
    return count + 1;
}

/* In /proc/net/tcp an address is 32-bit words as this machine has them in memory. */
static bool parse_hex(const char *hex, unsigned char *bytes, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        char digits[9] = "";
        memcpy(digits, hex + 8 * i, 8);
        uint32_t word = (uint32_t)strtoul(digits, NULL, 16);
        memcpy(bytes + 4 * i, &word, 4);
    }
    return hex[8 * words] == 0;
}

static bool name_ipv4(struct listener *l, const char *hex, unsigned port)
{
    unsigned char a[4];
    char text[INET_ADDRSTRLEN];
    if (strlen(hex) != 8 || !parse_hex(hex, a, 1))
        return false;
    bool any = !(a[0] | a[1] | a[2] | a[3]);
    l->elsewhere = !any && a[0] != 127;
    snprintf(l->address, sizeof l->address, "%s:%u", any ? "127.0.0.1" : inet_ntop(AF_INET, a, text, sizeof text),
             port);
    return true;
}

static bool name_ipv6(struct listener *l, const char *hex, unsigned port)
{
    struct in6_addr a;
    char text[INET6_ADDRSTRLEN];
    if (strlen(hex) != 32 || !parse_hex(hex, a.s6_addr, 4))
        return false;
    bool any = IN6_IS_ADDR_UNSPECIFIED(&a);
    l->elsewhere = !any && !IN6_IS_ADDR_LOOPBACK(&a);
    snprintf(l->address, sizeof l->address, "[%s]:%u", any ? "::1" : inet_ntop(AF_INET6, &a, text, sizeof text), port);
    return true;
}

static unsigned read_tcp(pid_t pid, bool v6, const struct inodes *held, struct listener out[LISTENERS_MAX],
                         unsigned count)
{
    char path[64], line[512], local[64];
    unsigned port, state;
    unsigned long inode;
    snprintf(path, sizeof path, "/proc/%d/net/tcp%s", (int)pid, v6 ? "6" : "");
    FILE *f = fopen(path, "re");
    if (!f)
        return count;
    while (fgets(line, sizeof line, f)) {
        struct listener one = {0};
        if (sscanf(line, " %*[^:]: %63[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", local, &port, &state, &inode) != 4)
            continue;
        if (state != 10) /* TCP_LISTEN; they come first, before perhaps many thousand connections */
            break;
        if (holds(held, inode) && (v6 ? name_ipv6 : name_ipv4)(&one, local, port))
            count = add(out, count, &one);
    }
    fclose(f);
    return count;
}

static unsigned read_unix(pid_t pid, const struct inodes *held, struct listener out[LISTENERS_MAX], unsigned count)
{
    enum { ACCEPTS = 1 << 16, STREAM = 1 };
    char path[64], line[512], name[108];
    unsigned flags, type;
    unsigned long inode;
    snprintf(path, sizeof path, "/proc/%d/net/unix", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return count;
    while (fgets(line, sizeof line, f)) {
        struct listener one = {0};
        if (sscanf(line, "%*x: %*x %*x %x %x %*x %lu %107s", &flags, &type, &inode, name) != 4)
            continue;
        snprintf(one.address, sizeof one.address, "unix:%s", name);
        if ((flags & ACCEPTS) && type == STREAM && holds(held, inode))
            count = add(out, count, &one);
    }
    fclose(f);
    return count;
}

unsigned listeners_read(const struct tree *t, struct listener out[LISTENERS_MAX])
{
    static struct inodes held;
    unsigned count = 0;
    held.count = 0;
    for (unsigned i = 0; i < t->count; i++)
        add_inodes(&held, t->pid[i]);
    if (!t->count)
        return 0;
    count = read_tcp(t->pid[0], false, &held, out, count);
    count = read_tcp(t->pid[0], true, &held, out, count);
    return read_unix(t->pid[0], &held, out, count);
}
