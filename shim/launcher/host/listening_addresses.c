/* listening_addresses.c: see listening_addresses.h. The inodes of the sockets that the processes hold, found again in
 * /proc/PID/net. */
#include "launcher/host/listening_addresses.h"

#include "launcher/host/process.h"
#include "launcher/host/process_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INODES_MAX = 4096 };

struct inodes {
    unsigned count;
    uint64_t at[INODES_MAX];
};

static bool holds(const struct inodes *held, uint64_t inode)
{
    for (unsigned i = 0; i < held->count; i++)
        if (held->at[i] == inode)
            return true;
    return false;
}

static void add_inode(const struct process_socket *s, void *arg)
{
    struct inodes *held = arg;
    if (held->count < INODES_MAX && !holds(held, s->inode))
        held->at[held->count++] = s->inode;
}

static unsigned add(struct listening_address out[LISTENING_ADDRESSES_MAX], unsigned count,
                    const struct listening_address *one)
{
    for (unsigned i = 0; i < count && i < LISTENING_ADDRESSES_MAX; i++)
        if (!strcmp(out[i].text, one->text))
            return count;
    if (count < LISTENING_ADDRESSES_MAX)
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

static bool name_ipv4(struct listening_address *l, const char *hex, unsigned port)
{
    unsigned char a[4];
    char text[INET_ADDRSTRLEN];
    if (strlen(hex) != 8 || !parse_hex(hex, a, 1))
        return false;
    bool any = !(a[0] | a[1] | a[2] | a[3]);
    l->elsewhere = !any && a[0] != 127;
    snprintf(l->text, sizeof l->text, "%s:%u", any ? "127.0.0.1" : inet_ntop(AF_INET, a, text, sizeof text), port);
    return true;
}

static bool name_ipv6(struct listening_address *l, const char *hex, unsigned port)
{
    struct in6_addr a;
    char text[INET6_ADDRSTRLEN];
    if (strlen(hex) != 32 || !parse_hex(hex, a.s6_addr, 4))
        return false;
    bool any = IN6_IS_ADDR_UNSPECIFIED(&a);
    l->elsewhere = !any && !IN6_IS_ADDR_LOOPBACK(&a);
    snprintf(l->text, sizeof l->text, "[%s]:%u", any ? "::1" : inet_ntop(AF_INET6, &a, text, sizeof text), port);
    return true;
}

static unsigned read_tcp(int pid, bool v6, const struct inodes *held,
                         struct listening_address out[LISTENING_ADDRESSES_MAX], unsigned count)
{
    char path[PROCESS_PATH], line[512], local[64];
    unsigned port, state;
    unsigned long inode;
    FILE *f = fopen(process_path(path, pid, v6 ? "net/tcp6" : "net/tcp"), "re");
    if (!f)
        return count;
    while (fgets(line, sizeof line, f)) {
        struct listening_address one = {0};
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

static unsigned read_unix(int pid, const struct inodes *held, struct listening_address out[LISTENING_ADDRESSES_MAX],
                          unsigned count)
{
    enum { ACCEPTS = 1 << 16, STREAM = 1 };
    char path[PROCESS_PATH], line[512], name[108];
    unsigned flags, type;
    unsigned long inode;
    FILE *f = fopen(process_path(path, pid, "net/unix"), "re");
    if (!f)
        return count;
    while (fgets(line, sizeof line, f)) {
        struct listening_address one = {0};
        if (sscanf(line, "%*x: %*x %*x %x %x %*x %lu %107s", &flags, &type, &inode, name) != 4)
            continue;
        snprintf(one.text, sizeof one.text, "unix:%s", name);
        if ((flags & ACCEPTS) && type == STREAM && holds(held, inode))
            count = add(out, count, &one);
    }
    fclose(f);
    return count;
}

unsigned listening_addresses_read(const struct process_tree *t, struct listening_address out[LISTENING_ADDRESSES_MAX])
{
    static struct inodes held;
    unsigned count = 0;
    held.count = 0;
    for (unsigned i = 0; i < t->count; i++)
        process_sockets_each(t->pid[i], add_inode, &held);
    if (!t->count)
        return 0;
    count = read_tcp(t->pid[0], false, &held, out, count);
    count = read_tcp(t->pid[0], true, &held, out, count);
    return read_unix(t->pid[0], &held, out, count);
}
