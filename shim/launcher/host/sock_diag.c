/* sock_diag.c: see sock_diag.h. Source: sock_diag(7), linux/inet_diag.h. */
#include "launcher/host/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LISTENING = 1 << DIAG_LISTEN,
    /* Connections: all but TIME_WAIT, NEW_SYN_RECV and such, which no process holds. */
    CONNECTED = 1 << DIAG_ESTABLISHED | 1 << DIAG_FIN_WAIT1 | 1 << DIAG_FIN_WAIT2 | 1 << DIAG_CLOSE_WAIT |
                1 << DIAG_LAST_ACK | 1 << DIAG_CLOSING,
};

struct query {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
    struct rtattr protocol_is; /* sdiag_protocol has eight bits, MPTCP's number nine */
    uint32_t protocol;
};

static void take_tcp_info(struct diag_socket *s, const struct rtattr *a)
{
    struct tcp_info info;
    size_t n = RTA_PAYLOAD(a) < sizeof info ? RTA_PAYLOAD(a) : sizeof info;
    memset(&info, 0, sizeof info); /* an older kernel has less to say */
    memcpy(&info, RTA_DATA(a), n);
    s->aged = n >= offsetof(struct tcp_info, tcpi_segs_in);
    s->quiet_ms = info.tcpi_last_data_recv;
    s->quiet_out_ms = info.tcpi_last_data_sent;
    s->received = info.tcpi_bytes_received;
    s->acked = info.tcpi_bytes_acked;
    s->segments_in = info.tcpi_segs_in;
    s->bare_acks = info.tcpi_segs_out - info.tcpi_data_segs_out;
}

static void take_info(struct diag_socket *s, const struct nlmsghdr *h)
{
    const char *at = (const char *)h + NLMSG_LENGTH(sizeof(struct inet_diag_msg));
    const char *end = (const char *)h + h->nlmsg_len;
    while (end - at >= (long)sizeof(struct rtattr)) {
        const struct rtattr *a = (const void *)at;
        if (a->rta_len < sizeof *a || a->rta_len > end - at)
            return;
        if (a->rta_type == INET_DIAG_INFO)
            take_tcp_info(s, a);
        at += RTA_ALIGN(a->rta_len);
    }
}

static void take(const struct nlmsghdr *h, void (*f)(const struct diag_socket *s, void *arg), void *arg)
{
    struct inet_diag_msg m;
    struct diag_socket s = {0};
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof m))
        return;
    memcpy(&m, NLMSG_DATA(h), sizeof m);
    s.inode = m.idiag_inode;
    s.cookie = (uint64_t)m.id.idiag_cookie[1] << 32 | m.id.idiag_cookie[0];
    s.state = m.idiag_state;
    s.listening = m.idiag_state == DIAG_LISTEN;
    s.unread = m.idiag_rqueue;
    s.unsent = m.idiag_wqueue;
    s.family = m.idiag_family == AF_INET6 ? 6 : 4;
    memcpy(s.local, m.id.idiag_src, sizeof s.local);
    memcpy(s.peer, m.id.idiag_dst, sizeof s.peer);
    s.local_port = ntohs(m.id.idiag_sport);
    s.peer_port = ntohs(m.id.idiag_dport);
    if (!s.listening)
        take_info(&s, h);
    f(&s, arg);
}

/* One answer of the kernel. 1: more will come, 0: that was all, -1: it has refused. */
static int take_all(const char *buf, size_t len, void (*f)(const struct diag_socket *s, void *arg), void *arg)
{
    size_t at = 0;
    while (len - at >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *h = (const void *)(buf + at);
        if (h->nlmsg_len < sizeof *h || h->nlmsg_len > len - at || h->nlmsg_type == NLMSG_ERROR)
            return -1;
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        take(h, f, arg);
        size_t step = NLMSG_ALIGN(h->nlmsg_len);
        if (step > len - at)
            break;
        at += step;
    }
    return 1;
}

static bool ask(int nl, int family, const struct diag_wish *wish, void (*f)(const struct diag_socket *s, void *arg),
                void *arg)
{
    char buf[32768] __attribute__((aligned(8)));
    struct query q = {
        .head = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_ext = 1 << (INET_DIAG_INFO - 1),
                 .idiag_states = wish->states,
                 .id = {.idiag_sport = htons(wish->port)}},
        .protocol_is = {RTA_LENGTH(sizeof(uint32_t)), INET_DIAG_REQ_PROTOCOL},
        .protocol = IPPROTO_MPTCP};
    if (!wish->mptcp)
        q.head.nlmsg_len = offsetof(struct query, protocol_is);
    int more = send(nl, &q, q.head.nlmsg_len, 0) == (ssize_t)q.head.nlmsg_len ? 1 : -1;
    while (more > 0) {
        ssize_t n = recv(nl, buf, sizeof buf, 0);
        more = n <= 0 ? -1 : take_all(buf, (size_t)n, f, arg);
    }
    return more == 0;
}

/* A netlink socket stays in the namespace that it was made in. */
static int netlink_in(int network)
{
    const struct timeval patience = {2, 0};
    int home = network < 0 ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (network >= 0 && (home < 0 || setns(network, CLONE_NEWNET) != 0)) {
        if (home >= 0)
            close(home);
        return -1;
    }
    int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (nl >= 0)
        setsockopt(nl, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (home >= 0) {
        if (setns(home, CLONE_NEWNET) != 0 && nl >= 0) { /* the same query succeeded a moment ago */
            close(nl);
            nl = -1;
        }
        close(home);
    }
    return nl;
}

static bool ask_all(int network, const struct diag_wish *wish, void (*f)(const struct diag_socket *s, void *arg),
                    void *arg)
{
    int nl = netlink_in(network);
    if (nl < 0)
        return false;
    bool known = wish->family != 6 && ask(nl, AF_INET, wish, f, arg);
    known = (wish->family != 4 && ask(nl, AF_INET6, wish, f, arg)) || known;
    close(nl);
    return known;
}

bool sock_diag_each(int network, bool listeners, uint16_t port, void (*f)(const struct diag_socket *s, void *arg),
                    void *arg)
{
    const struct diag_wish wish = {.states = listeners ? LISTENING : CONNECTED, .port = port};
    return ask_all(network, &wish, f, arg);
}

bool sock_diag_ask(const struct diag_wish *wish, void (*f)(const struct diag_socket *s, void *arg), void *arg)
{
    return ask_all(-1, wish, f, arg);
}

/* Anyone may be told (NL_CFG_F_NONROOT_RECV). */
int sock_diag_endings(void)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK,
                             .nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1)};
    int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (nl < 0)
        return -errno;
    if (bind(nl, (const struct sockaddr *)&to, sizeof to) == 0)
        return nl;
    int failed = errno;
    close(nl);
    return -failed;
}

bool sock_diag_read_endings(int endings, void (*f)(const struct diag_socket *s, void *arg), void *arg)
{
    char buf[4096] __attribute__((aligned(8)));
    bool lost = false;
    for (;;) {
        ssize_t n = recv(endings, buf, sizeof buf, 0);
        if (n < 0 && errno == ENOBUFS)
            lost = true;
        else if (n <= 0)
            return lost;
        else
            take_all(buf, (size_t)n, f, arg);
    }
}

void sock_diag_text(uint8_t family, const uint8_t *address, uint16_t port, char *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN] = "?";
    bool four = family == 4 || memcmp(address, mapped, sizeof mapped) == 0;
    inet_ntop(four ? AF_INET : AF_INET6, family == 4 || !four ? address : address + 12, text, sizeof text);
    snprintf(out, 64, four ? "%s:%u" : "[%s]:%u", text, port);
}
