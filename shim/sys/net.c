/* net.c: see net.h. */
#include "sys/net.h"

#include "sys/fd.h"
#include "sys/syscall.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/in.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { SIOCINQ_ = 0x541B, SIOCOUTQ_ = 0x5411, SO_BINDTOIFINDEX_ = 62 };
/* No device has it: indices are positive ints handed out from 1 upwards (dev_new_index). */
enum { NO_DEVICE = 0x7ffffff0 };
enum { STATE_SYN_RECV = 3, STATE_LISTEN = 10 };

static int get_int(int fd, int level, int name, int fallback)
{
    int value = 0;
    unsigned len = sizeof value;
    return sys5(SYS_getsockopt, fd, level, name, &value, &len) == 0 ? value : fallback;
}

struct sockaddr_any {
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        unsigned char raw[128];
    } u;
};

static void read_address(const struct sockaddr_any *any, unsigned len, struct sock_address *a)
{
    const unsigned char *raw = any->u.raw;
    memset(a, 0, sizeof *a);
    if (len >= 8 && any->u.sa.sa_family == AF_INET) {
        a->family = 4;
        a->port = (uint16_t)(raw[2] << 8 | raw[3]);
        memcpy(a->addr, raw + 4, 4);
    } else if (len >= 24 && any->u.sa.sa_family == AF_INET6) {
        a->family = 6;
        a->port = (uint16_t)(raw[2] << 8 | raw[3]);
        memcpy(&a->flow, raw + 4, 4);
        memcpy(a->addr, raw + 8, 16);
        if (len >= 28)
            memcpy(&a->scope, raw + 24, 4);
    } else if (len >= 2 && any->u.sa.sa_family == AF_UNIX) {
        a->family = 1;
        a->path_len = (uint8_t)(len - 2 > sizeof a->path ? sizeof a->path : len - 2);
        memcpy(a->path, any->u.un.sun_path, a->path_len);
    }
}

void sock_address_of(const void *raw, unsigned len, struct sock_address *a)
{
    struct sockaddr_any any;
    unsigned taken = len < sizeof any ? len : sizeof any;
    memset(&any, 0, sizeof any);
    memcpy(&any, raw, taken);
    read_address(&any, taken, a);
}

unsigned sock_raw_address(const struct sock_address *a, unsigned char *out)
{
    sa_family_t family = a->family == 4 ? AF_INET : a->family == 6 ? AF_INET6 : AF_UNIX;
    memset(out, 0, 128);
    memcpy(out, &family, sizeof family);
    if (a->family == 1) {
        memcpy(out + 2, a->path, a->path_len);
        return 2u + a->path_len;
    }
    out[2] = (unsigned char)(a->port >> 8);
    out[3] = (unsigned char)a->port;
    if (a->family == 4) {
        memcpy(out + 4, a->addr, 4);
        return 16;
    }
    memcpy(out + 4, &a->flow, 4);
    memcpy(out + 8, a->addr, 16);
    memcpy(out + 24, &a->scope, 4);
    return 28;
}

static bool take_address(long err, const struct sockaddr_any *any, unsigned len, struct sock_address *a)
{
    if (err != 0)
        return false;
    read_address(any, len, a);
    return a->family != 0;
}

bool sock_local(int fd, struct sock_address *a)
{
    struct sockaddr_any any;
    unsigned len = sizeof any;
    long err = sys3(SYS_getsockname, fd, &any, &len);
    return take_address(err, &any, len, a);
}

bool sock_peer(int fd, struct sock_address *a)
{
    struct sockaddr_any any;
    unsigned len = sizeof any;
    long err = sys3(SYS_getpeername, fd, &any, &len);
    return take_address(err, &any, len, a);
}

static char *put_number(char *to, unsigned value, unsigned base)
{
    char digits[12];
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

void sock_text(const struct sock_address *a, char *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *v4 = a->addr;
    if (a->family == 6 && memcmp(a->addr, mapped, sizeof mapped) == 0)
        v4 = a->addr + 12;
    if (a->family == 4 || v4 != a->addr) {
        for (int i = 0; i < 4; i++) {
            out = put_number(out, v4[i], 10);
            *out++ = i < 3 ? '.' : ':';
        }
        out = put_number(out, a->port, 10);
    } else if (a->family == 6) {
        *out++ = '[';
        for (int i = 0; i < 16; i += 2) {
            out = put_number(out, (unsigned)(a->addr[i] << 8 | a->addr[i + 1]), 16);
            if (i < 14)
                *out++ = ':';
        }
        *out++ = ']';
        *out++ = ':';
        out = put_number(out, a->port, 10);
    } else {
        const char *name = a->family == 1 ? "unix" : "unknown";
        while (*name)
            *out++ = *name++;
    }
    *out = '\0';
}

bool sock_is_stream(int fd, bool *unix_, bool *listening)
{
    if (get_int(fd, SOL_SOCKET, SO_TYPE, -1) != SOCK_STREAM)
        return false;
    int domain = get_int(fd, SOL_SOCKET, SO_DOMAIN, -1);
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return false;
    *unix_ = domain == AF_UNIX;
    *listening = get_int(fd, SOL_SOCKET, SO_ACCEPTCONN, 0) == 1;
    return true;
}

bool sock_answers(int fd)
{
    int type = 0;
    unsigned len = sizeof type;
    long err = sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return err == 0 || err == -ENOTSOCK || err == -EBADF;
}

bool sock_reuseport(int fd)
{
    return get_int(fd, SOL_SOCKET, SO_REUSEPORT, 0) == 1;
}

int sock_counts(int fd, struct sock_counts *out)
{
    struct tcp_info info;
    unsigned len = sizeof info;
    memset(&info, 0, sizeof info);
    long err = sys5(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    if (err != 0)
        return (int)err;
    bool counted = len >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
    out->received = counted ? info.tcpi_bytes_received : UINT64_MAX;
    out->acked = counted ? info.tcpi_bytes_acked : UINT64_MAX;
    out->timed = len >= offsetof(struct tcp_info, tcpi_last_data_recv) + sizeof info.tcpi_last_data_recv;
    out->unacked = info.tcpi_unacked;
    out->quiet_in_ms = info.tcpi_last_data_recv;
    out->quiet_out_ms = info.tcpi_last_data_sent;
    out->state = info.tcpi_state;
    return 0;
}

bool sock_is_other(long err)
{
    return err == -EBADF || err == -ENOTSOCK || err == -EOPNOTSUPP || err == -ENOPROTOOPT || err == -ENOTTY ||
           err == -EINVAL;
}

bool sock_acceptable(int fd)
{
    struct pollfd listener = {fd, POLLIN, 0};
    const struct timespec now = {0, 0};
    return sys6(SYS_ppoll, &listener, 1, &now, 0, 8, 0) > 0;
}

static long ask_queue(int fd, unsigned long what)
{
    int value = 0;
    long err = sys3(SYS_ioctl, fd, what, &value);
    return err != 0 ? err : value;
}

long sock_unread(int fd)
{
    return ask_queue(fd, SIOCINQ_);
}

long sock_unsent(int fd)
{
    return ask_queue(fd, SIOCOUTQ_);
}

bool sock_lingers(int fd)
{
    struct linger value = {0, 0};
    unsigned len = sizeof value;
    return sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, &value, &len) == 0 && value.l_onoff != 0;
}

/* Another process that shares the socket may have done it, and a second time wants CAP_NET_RAW (sock_bindtoindex). */
int sock_hide(int fd)
{
    int index = 0;
    unsigned len = sizeof index;
    if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_BINDTOIFINDEX_, &index, &len) == 0 && index == NO_DEVICE)
        return 0;
    index = NO_DEVICE;
    return (int)sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_BINDTOIFINDEX_, &index, sizeof index);
}

int sock_drop_syns(int fd)
{
    /* The filter of a TCP socket sees the segment from its TCP header on (tcp_filter): byte 13 holds
     * the flags. A SYN without ACK is dropped, everything else passes whole. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {COUNT(code), code};
    unsigned len = 0; /* asks for the length of the filter that is there (sk_get_filter) */
    long ret = sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    if (ret != 0 && sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, 0, &len) == 0 && len == COUNT(code))
        return 0; /* as above */
    return (int)ret;
}

struct diag_query {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static int diag_entry(const struct inet_diag_msg *m, const struct sock_query *want)
{
    bool port = false;
    for (unsigned i = 0; i < want->port_count; i++)
        port = port || m->id.idiag_sport == __builtin_bswap16(want->ports[i]);
    for (unsigned i = 0; i < want->inode_count; i++)
        if (want->inodes[i] == m->idiag_inode)
            return 0;
    if (port && want->latest_ms && m->idiag_expires > *want->latest_ms)
        *want->latest_ms = m->idiag_expires;
    return port;
}

/* One answer buffer. 1: go on reading, 0: the dump is complete, -1: failed. */
static int diag_read(const char *buf, long len, const struct sock_query *want, int *found)
{
    long at = 0;
    while (len - at >= (long)sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *h = (const void *)(buf + at);
        if (h->nlmsg_len < sizeof *h || (long)h->nlmsg_len > len - at)
            return -1;
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return -1;
        if (h->nlmsg_len >= sizeof *h + sizeof(struct inet_diag_msg))
            *found += diag_entry((const void *)(buf + at + sizeof *h), want);
        at += (h->nlmsg_len + 3) & ~3u;
    }
    return 1;
}

static int diag_ask(int nl, uint32_t states, const struct sock_query *want)
{
    struct diag_query q;
    char buf[8192] __attribute__((aligned(8)));
    int found = 0, more = 1;
    memset(&q, 0, sizeof q);
    q.head.nlmsg_len = sizeof q;
    q.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    q.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    q.body.sdiag_family = want->family == 6 ? AF_INET6 : AF_INET;
    q.body.sdiag_protocol = IPPROTO_TCP;
    q.body.idiag_states = states;
    if (want->port_count == 1)
        q.body.id.idiag_sport = __builtin_bswap16(want->ports[0]);
    if (sys6(SYS_sendto, nl, &q, sizeof q, 0, 0, 0) < 0)
        return -1;
    while (more > 0) {
        long n = sys6(SYS_recvfrom, nl, buf, sizeof buf, 0, 0, 0);
        more = n <= 0 ? -1 : diag_read(buf, n, want, &found);
    }
    return more < 0 ? -1 : found;
}

static int diag_dump(uint32_t states, const struct sock_query *want)
{
    int nl = fd_move_high((int)sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (nl < 0)
        return -1;
    int found = diag_ask(nl, states, want);
    sys1(SYS_close, nl);
    return found;
}

int sock_half_open(const struct sock_query *q)
{
    return diag_dump(1u << STATE_SYN_RECV, q);
}

int sock_listeners(const struct sock_query *q)
{
    return diag_dump(1u << STATE_LISTEN, q);
}

bool sock_has_dropped(int fd)
{
    enum { SO_MEMINFO_ = 55 };
    uint32_t info[SK_MEMINFO_VARS] = {0};
    unsigned len = sizeof info;
    if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_MEMINFO_, info, &len) != 0 || info[SK_MEMINFO_DROPS] == 0)
        return false;
    return get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0) == 0 || sock_acceptable(fd);
}

/* The first of the numbers of TcpExt, which stand in the second line (snmp4_net_list). */
bool sock_gave_cookies(void)
{
    static const char before[] = "\nTcpExt: ";
    char buf[4096];
    int fd = (int)sys4(SYS_openat, AT_FDCWD, "/proc/self/net/netstat", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true;
    long n = sys3(SYS_read, fd, buf, sizeof buf);
    sys1(SYS_close, fd);
    for (long at = 0; at + (long)sizeof before <= n; at++)
        if (memcmp(buf + at, before, sizeof before - 1) == 0)
            return buf[at + (long)sizeof before - 1] != '0';
    return true;
}

void sock_raise_backlog(int fd)
{
    enum { MOST = 4096 }; /* SOMAXCONN of today's kernels, which net.core.somaxconn may lower */
    struct tcp_info info;
    unsigned len = sizeof info;
    memset(&info, 0, sizeof info);
    /* Of a listener, tcpi_sacked is the backlog (tcp_get_info). */
    if (sys5(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_sacked < MOST)
        sys2(SYS_listen, fd, MOST);
}

/* The UNIX_DIAG_RQLEN attribute of one answer, or -1. Of a listener, rqueue is its accept queue. */
static int diag_rqueue(const char *buf, long len)
{
    const struct nlmsghdr *h = (const void *)buf;
    long at = (long)(sizeof *h + sizeof(struct unix_diag_msg));
    if (len < at || h->nlmsg_type == NLMSG_ERROR || (long)h->nlmsg_len > len)
        return -1;
    while ((long)h->nlmsg_len - at >= (long)(sizeof(struct nlattr) + sizeof(struct unix_diag_rqlen))) {
        const struct nlattr *a = (const void *)(buf + at);
        if (a->nla_len < sizeof *a)
            return -1;
        if (a->nla_type == UNIX_DIAG_RQLEN)
            return (int)((const struct unix_diag_rqlen *)(a + 1))->udiag_rqueue;
        at += (a->nla_len + 3) & ~3;
    }
    return -1;
}

int sock_unix_queue(uint32_t inode)
{
    struct {
        struct nlmsghdr head;
        struct unix_diag_req body;
    } q;
    char buf[1024] __attribute__((aligned(8)));
    memset(&q, 0, sizeof q);
    q.head.nlmsg_len = sizeof q;
    q.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    q.head.nlmsg_flags = NLM_F_REQUEST;
    q.body.sdiag_family = AF_UNIX;
    q.body.udiag_ino = inode;
    q.body.udiag_cookie[0] = q.body.udiag_cookie[1] = ~0u;
    q.body.udiag_show = UDIAG_SHOW_RQLEN;
    int nl = fd_move_high((int)sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (nl < 0)
        return -1;
    long n = sys6(SYS_sendto, nl, &q, sizeof q, 0, 0, 0);
    if (n >= 0)
        n = sys6(SYS_recvfrom, nl, buf, sizeof buf, 0, 0, 0);
    sys1(SYS_close, nl);
    return n > 0 ? diag_rqueue(buf, n) : -1;
}

uint64_t sock_inode(int fd)
{
    struct stat st;
    return sys2(SYS_fstat, fd, &st) == 0 ? st.st_ino : 0;
}

uint64_t sock_discard(int fd, bool *ended)
{
    enum { STEP = 1 << 16, STEPS = 16 };
    uint64_t total = 0;
    *ended = false;
    for (int i = 0; i < STEPS; i++) {
        /* MSG_TRUNC on TCP throws away without copying (tcp(7)); AF_UNIX copies, hence the buffer. */
        char sink[1024];
        long n = sys6(SYS_recvfrom, fd, sink, sizeof sink, MSG_DONTWAIT, 0, 0);
        if (n == (long)sizeof sink) {
            total += (uint64_t)n;
            n = sys6(SYS_recvfrom, fd, 0, STEP, MSG_DONTWAIT | MSG_TRUNC, 0, 0);
            if (n == -EFAULT)
                continue;
        }
        if (n == -EAGAIN || n == -EINTR)
            return total;
        if (n <= 0) {
            *ended = true;
            return total;
        }
        total += (uint64_t)n;
    }
    return total;
}

int sock_placeholder(bool nonblocking)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    int fd = (int)sys3(SYS_socket, AF_UNIX, type, 0);
    if (fd < 0)
        return fd;
    /* unix(7), autobind: an address of the family alone makes the kernel choose an abstract name. */
    sa_family_t family = AF_UNIX;
    long err = sys3(SYS_bind, fd, &family, sizeof family);
    if (err == 0)
        err = sys2(SYS_listen, fd, 0);
    if (err != 0) {
        sys1(SYS_close, fd);
        return (int)err;
    }
    return fd;
}
