/* listener_handshake.c: a handshake that is under way when the listener is hidden is completed and served. Loopback
 * cannot show it, so the peer is made by hand, over a TUN device in a network namespace of our own. */
#include "loop_server.h"

#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/ip.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { OURS = 0x0a4d0001, PEER = 0x0a4d0002 }; /* 10.77.0.1 is the host, 10.77.0.2 is us by hand */
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static int server(char **args)
{
    (void)args;
    int l = listener_at(AF_INET, 0, true, false);
    say("port %ld", port_of(l));
    role_serve_threads(l);
    while (pause() < 0)
        ;
    return 0;
}

enum { BACKLOG = 5 };

/* Nothing is accepted before the line "accept". */
static int small_queue(char **args)
{
    (void)args;
    int l = bound_at(AF_INET, 0, true, false);
    CHECK(listen(l, BACKLOG) == 0);
    say("port %ld", port_of(l));
    loop_serve("epoll", &l, 1, false);
}

/* ---- the network ---- */

static int tun;

static void set_up(const char *name, bool address)
{
    struct ifreq r;
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&r, 0, sizeof r);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (address) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(OURS)};
        memcpy(&r.ifr_addr, &a, sizeof a);
        CHECK(ioctl(s, 0x8916 /* SIOCSIFADDR */, &r) == 0, "%s", strerror(errno));
        a.sin_addr.s_addr = htonl(0xffffff00);
        memcpy(&r.ifr_netmask, &a, sizeof a);
        CHECK(ioctl(s, 0x891c /* SIOCSIFNETMASK */, &r) == 0, "%s", strerror(errno));
    }
    CHECK(ioctl(s, 0x8913 /* SIOCGIFFLAGS */, &r) == 0);
    r.ifr_flags |= IFF_UP | IFF_RUNNING;
    CHECK(ioctl(s, 0x8914 /* SIOCSIFFLAGS */, &r) == 0, "%s", strerror(errno));
    close(s);
}

static void make_network(void)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (unshare(CLONE_NEWNET) != 0)
        check_skip("no network namespaces here");
    tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tun < 0)
        check_skip("no /dev/net/tun here");
    memcpy(r.ifr_name, "peer", 5);
    CHECK(ioctl(tun, TUNSETIFF, &r) == 0, "%s", strerror(errno));
    set_up("lo", false);
    set_up("peer", true);
}

/* ---- TCP by hand ---- */

struct segment {
    struct iphdr ip;
    struct {
        uint16_t source, dest;
        uint32_t seq, ack;
        uint8_t off, flags;
        uint16_t window, check, urgent;
    } tcp;
    char data[2048];
};

struct peer {
    uint16_t port, server;   /* network order */
    uint32_t next, expected; /* our next sequence number, theirs */
    bool ended, reset;
    size_t got;
    char text[4096];
};

static uint32_t sum(const void *data, size_t n, uint32_t from)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        from += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return from;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static void transmit(struct peer *p, int flags, const char *data)
{
    struct segment s;
    size_t n = strlen(data), tcp = sizeof s.tcp + n;
    memset(&s, 0, sizeof s);
    s.ip.version = 4;
    s.ip.ihl = 5;
    s.ip.ttl = 64;
    s.ip.protocol = IPPROTO_TCP;
    s.ip.tot_len = htons((uint16_t)(sizeof s.ip + tcp));
    s.ip.saddr = htonl(PEER);
    s.ip.daddr = htonl(OURS);
    s.ip.check = fold(sum(&s.ip, sizeof s.ip, 0));
    s.tcp.source = p->port;
    s.tcp.dest = p->server;
    s.tcp.seq = htonl(p->next);
    s.tcp.ack = htonl(flags & ACK ? p->expected : 0);
    s.tcp.off = sizeof s.tcp / 4 << 4;
    s.tcp.flags = (uint8_t)flags;
    s.tcp.window = htons(60000);
    memcpy(s.data, data, n);
    s.tcp.check = fold(sum(&s.tcp, tcp, sum(&s.ip.saddr, 8, IPPROTO_TCP + (uint32_t)tcp)));
    CHECK(write(tun, &s, sizeof s.ip + tcp) == (ssize_t)(sizeof s.ip + tcp), "%s", strerror(errno));
    p->next += (uint32_t)n + !!(flags & SYN) + !!(flags & FIN);
}

/* The next segment for this peer: its flags; 0: none came within ms. In order, text is kept and acknowledged. */
static int receive(struct peer *p, int ms)
{
    double end = now_s() + ms / 1000.0;
    struct segment s;
    while (readable(tun, now_s() < end ? (int)((end - now_s()) * 1000) + 1 : 0)) {
        ssize_t n = read(tun, &s, sizeof s);
        if (n < 40 || s.ip.version != 4 || s.ip.protocol != IPPROTO_TCP || s.tcp.dest != p->port)
            continue;
        size_t head = (size_t)s.ip.ihl * 4 + (size_t)(s.tcp.off >> 4) * 4, len = ntohs(s.ip.tot_len) - head;
        p->reset = p->reset || (s.tcp.flags & RST);
        if (s.tcp.flags & SYN) {
            p->expected = ntohl(s.tcp.seq) + 1;
        } else if (ntohl(s.tcp.seq) == p->expected && (len > 0 || (s.tcp.flags & FIN)) && !p->reset) {
            memcpy(p->text + p->got, (char *)&s + head, len);
            p->got += len;
            p->expected += (uint32_t)len + (s.tcp.flags & FIN);
            p->ended = p->ended || (s.tcp.flags & FIN);
            transmit(p, ACK, "");
        }
        return s.tcp.flags;
    }
    return 0;
}

static struct peer *begin(long server)
{
    static uint16_t port = 20000;
    struct peer *p = calloc(1, sizeof *p);
    p->port = htons(++port);
    p->server = htons((uint16_t)server);
    p->next = 1000000u * port;
    transmit(p, SYN, "");
    return p;
}

/* Would a new client be refused? Who is not sends a reset at once. */
static bool is_refused(void *server)
{
    struct peer *p = begin(*(long *)server);
    int flags = receive(p, HANG_MS);
    if (flags == (SYN | ACK))
        transmit(p, RST, "");
    return (flags & RST) != 0;
}

static void served(struct peer *p)
{
    transmit(p, ACK, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    while (!p->ended && !p->reset)
        CHECK(receive(p, HANG_MS) != 0, "no answer; so far: %s", p->text);
    CHECK(!p->reset, "reset; so far: %s", p->text);
    CHECK(strncmp(p->text, "HTTP/1.1 200", 12) == 0 && strstr(p->text, "hello"), "%s", p->text);
    CHECK(strcasestr(p->text, "connection: close"), "%s", p->text);
    transmit(p, FIN | ACK, "");
}

enum { PEERS = 5 };

/* What becomes of handshakes that were under way: `ms` after the listener was hidden their last ACK arrives. */
static void completes_after(int ms, const char *idle)
{
    struct child c;
    struct peer *peer[PEERS];
    struct setup s = {.env = {idle}};
    make_network();
    child_start(&c, &s, "server", NULL);
    long port = child_says_number(&c, "port");
    for (int i = 0; i < PEERS; i++) {
        peer[i] = begin(port);
        CHECK(receive(peer[i], HANG_MS) == (SYN | ACK));
    }
    child_signal(&c, SIGTERM);
    child_drains(&c);
    CHECK(await(is_refused, &port));
    poll(NULL, 0, ms); /* a slow network */
    for (int i = 0; i < PEERS; i++) {
        transmit(peer[i], ACK, "");
        served(peer[i]);
    }
    CHECK(is_refused(&port));
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "accept_stop", "so_bindtoifindex") && report_says(&c, "end", "drained"));
    CHECK(report_number(&c, "served_after_signal") == PEERS, "%s", child_file(&c, "report"));
}

static void at_once(void)
{
    completes_after(0, "LASTCALL_IDLE=60s");
}

static void later(void)
{
    completes_after(500, "LASTCALL_IDLE=60s");
}

/* A handshake that is never completed holds nothing up for longer than an idle client would. */
static void never(void)
{
    struct child c;
    struct setup s = {.env = {"LASTCALL_IDLE=300ms"}};
    make_network();
    child_start(&c, &s, "server", NULL);
    struct peer *p = begin(child_says_number(&c, "port"));
    CHECK(receive(p, HANG_MS) == (SYN | ACK));
    double start = now_s();
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    took_at_least("from TERM to the end", start, 0.3);
    CHECK(report_says(&c, "end", "drained"), "%s", child_file(&c, "report"));
}

/* ---- a queue that has overflowed ---- */

/* The kernel's own count of this network, from /proc/net/netstat. */
static long counted(const char *name)
{
    char names[8192], values[8192];
    FILE *f = fopen("/proc/net/netstat", "r");
    long value = -1;
    CHECK(f != NULL);
    while (value < 0 && fgets(names, sizeof names, f) && fgets(values, sizeof values, f)) {
        char *at_name, *at_value, *n = strtok_r(names, " \n", &at_name), *v = strtok_r(values, " \n", &at_value);
        for (; n && v; n = strtok_r(NULL, " \n", &at_name), v = strtok_r(NULL, " \n", &at_value))
            if (strcmp(n, name) == 0)
                value = atol(v);
    }
    fclose(f);
    return value;
}

enum { CROWD = 24, FIT = BACKLOG + 1 }; /* sk_acceptq_is_full: one more than the backlog */

/* As one segment, for the first time or once more. */
static void speak(struct peer *p)
{
    uint32_t before = p->next;
    transmit(p, ACK, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    p->next = before;
}

/* All have their SYN-ACK (most of them with a cookie) before the first completes its handshake: the queue takes the
 * first few. */
static void crowd_comes(struct peer **peer, long port)
{
    for (int i = 0; i < CROWD; i++) {
        peer[i] = begin(port);
        CHECK(receive(peer[i], HANG_MS) == (SYN | ACK));
    }
    for (int i = 0; i < CROWD; i++)
        speak(peer[i]);
    CHECK(counted("SyncookiesSent") > 0 && counted("ListenOverflows") >= CROWD - FIT, "%ld, %ld",
          counted("SyncookiesSent"), counted("ListenOverflows"));
}

/* The peer sends its first segment again, like every TCP, until it is answered or reset. */
static bool gets_in(struct peer *p)
{
    double end = now_s() + HANG_S;
    while (p->got == 0 && !p->reset && now_s() < end) {
        speak(p);
        receive(p, 200);
    }
    return p->got > 0;
}

static void completed(struct peer *p)
{
    CHECK(gets_in(p), "reset");
    p->next += (uint32_t)strlen("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    while (!p->ended && !p->reset)
        CHECK(receive(p, HANG_MS) != 0, "no answer; so far: %s", p->text);
    CHECK(!p->reset && strstr(p->text, "hello"), "reset; so far: %s", p->text);
    transmit(p, FIN | ACK, "");
}

/* Each comes `ms` after the one before: as long as the queue moves the others are waited for. */
static void overflowed(int ms, const char *idle)
{
    struct child c;
    struct peer *peer[CROWD];
    struct setup s = {.env = {idle}};
    make_network();
    child_start(&c, &s, "small", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    crowd_comes(peer, port);
    child_signal(&c, SIGTERM);
    child_drains(&c);
    child_tell(&c, "accept");
    double start = now_s();
    for (int i = 0; i < CROWD; i++) {
        if (i >= FIT)
            poll(NULL, 0, ms);
        in_time(start, ms == 0 ? HANG_S : (i + 1) * ms / 1000.0 + 1);
        completed(peer[i]);
    }
    child_dies(&c, SIGTERM);
    CHECK(report_says(&c, "end", "drained") && report_number(&c, "aborted") == 0, "%s", child_file(&c, "report"));
    CHECK(report_number(&c, "served_after_signal") == CROWD, "%s", child_file(&c, "report"));
}

static void overflowed_at_once(void)
{
    overflowed(0, "LASTCALL_IDLE=4s");
}

static void overflowed_one_by_one(void)
{
    overflowed(200, "LASTCALL_IDLE=2s");
}

/* Without lastcall: not one of them is served. */
static void overflowed_bare(void)
{
    struct child c;
    struct peer *peer[CROWD];
    struct setup s = {.bare = true};
    make_network();
    child_start(&c, &s, "small", NULL);
    long port = child_says_number(&c, "port");
    child_says(&c, "ready");
    crowd_comes(peer, port);
    child_signal(&c, SIGTERM);
    child_dies(&c, SIGTERM);
    for (int i = 0; i < CROWD; i++)
        CHECK(!gets_in(peer[i]), "client %d is served", i);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"listener/handshake/completed-on-a-hidden-listener", at_once},
        {"listener/handshake/completed-later", later},
        {"listener/handshake/never-completed", never},
        {"listener/handshake/overflowed", overflowed_at_once},
        {"listener/handshake/overflowed/one-by-one", overflowed_one_by_one},
        {"listener/handshake/overflowed/bare", overflowed_bare},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"server", server}, {"small", small_queue}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
