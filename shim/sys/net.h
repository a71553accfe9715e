/* net.h: what the kernel knows of a socket, and what it is asked to do. Raw system calls; any thread, any signal
 * handler. Errors are -errno. The kernel facts behind them: DESIGN section 5. */
#ifndef LASTCALL_NET_H
#define LASTCALL_NET_H

#include "base.h"

struct sock_address {
    uint8_t family;   /* 4, 6, 1 = unix, 0 = other */
    uint16_t port;    /* host order */
    uint8_t addr[16]; /* network order */
    char path[108];   /* unix */
    uint8_t path_len;
    uint32_t flow, scope; /* IPv6: as in sockaddr_in6 */
};

struct sock_counts {                    /* from TCP_INFO */
    uint64_t received;                  /* bytes that the peer has sent and we have acknowledged (+1 for its FIN) */
    uint64_t acked;                     /* bytes that the peer has acknowledged (+1 for a FIN) */
    uint32_t unacked;                   /* segments in flight; of a listener: its accept queue */
    uint32_t quiet_in_ms, quiet_out_ms; /* since data came, went */
    uint8_t state;                      /* TCP_ESTABLISHED ...; 0: not known */
    bool timed;                         /* quiet_* are known */
};

/* tcp_states.h: from TIME_WAIT on (6 to 9, 11; 10 is LISTEN) the peer's FIN is here. */
enum { SOCK_TIME_WAIT = 6, SOCK_CLOSED_STATE = 7, SOCK_CLOSE_WAIT = 8 };

static inline bool sock_fin_came(const struct sock_counts *k)
{
    return k->state >= SOCK_TIME_WAIT && k->state != SOCK_CLOSED_STATE;
}

/* Of a struct sockaddr of len bytes; family 0: of another family, or too short. */
void sock_address_of(const void *raw, unsigned len, struct sock_address *a);
bool sock_local(int fd, struct sock_address *a);
bool sock_peer(int fd, struct sock_address *a);
/* Back to a struct sockaddr: fills out (at least 128 bytes), returns its length. */
unsigned sock_raw_address(const struct sock_address *a, unsigned char *out);
/* "127.0.0.1:80", "[::1]:80", "unix"; NUL-terminated. out holds at least SOCK_TEXT bytes. */
enum { SOCK_TEXT = 64 };
void sock_text(const struct sock_address *a, char *out);

/* Is fd a stream socket (TCP, MPTCP or AF_UNIX)? *unix_, *listening set. */
bool sock_is_stream(int fd, bool *unix_, bool *listening);
bool sock_reuseport(int fd);
/* False: the kernel refuses the question about this socket (seccomp). */
bool sock_answers(int fd);

/* Where the kernel answers less (before 4.1; qemu-user), the bytes are what no hook can have counted: opaque. */
int sock_counts(int fd, struct sock_counts *out);
/* Does this error mean that the descriptor is closed, or something else by now? Any other error says nothing of the
 * descriptor: the question is forbidden (a filter's EPERM), or cannot be answered just now. */
bool sock_is_other(long err);
/* Bytes received that the program has not read; bytes written that are not acknowledged (+1 for a FIN). */
long sock_unread(int fd);
long sock_unsent(int fd);

/* Is the program's own SO_LINGER on? */
bool sock_lingers(int fd);

/* Refuse new connections; queue and handshakes under way live on. 0 or -errno. */
int sock_hide(int fd);
int sock_drop_syns(int fd);

/* One question to sock_diag(7) about a family's TCP sockets. It walks the kernel's whole table: 1 to 5 ms. */
struct sock_query {
    uint8_t family;        /* 4 or 6: a listener's handshakes are of its own family */
    const uint16_t *ports; /* local ports that count, host order */
    unsigned port_count;
    const uint64_t *inodes; /* sockets that do not count */
    unsigned inode_count;
    unsigned *latest_ms; /* raised: when the kernel's timer of the last of them runs out (of a handshake: the SYN-ACK is
                            sent again); NULL: of no interest */
};
/* Handshakes under way (SYN_RECV entries), listeners; -1: cannot be known here. */
int sock_half_open(const struct sock_query *q);
int sock_listeners(const struct sock_query *q);
/* Has this listener ever dropped what came for it, as it does while its accept queue is full? Where the listener is
 * told to wait for clients to speak (TCP_DEFER_ACCEPT), which is such a drop each time, a client in its queue must
 * stand for the answer. */
bool sock_has_dropped(int fd);
/* Have clients of this network been given SYN cookies? Of their handshakes the kernel keeps nothing (tcp(7),
 * tcp_syncookies). True also if that cannot be known. */
bool sock_gave_cookies(void);
/* From now on the accept queue of this TCP listener holds as many as the kernel allows. */
void sock_raise_backlog(int fd);
uint64_t sock_inode(int fd);
/* Is a client in the accept queue of this listener? (poll(2); also true of a listener that is shut down.) */
bool sock_acceptable(int fd);
/* Connections in the accept queue of the AF_UNIX listener with this inode; -1: cannot be known. */
int sock_unix_queue(uint32_t inode);

/* Read and throw away what has come, at most 1 MiB a call. Returns bytes; *ended: end of file or error. */
uint64_t sock_discard(int fd, bool *ended);

/* A listener that no client can ever connect to: -errno or a descriptor (see DESIGN section 5, placeholder). */
int sock_placeholder(bool nonblocking);

#endif
