/* sock_diag.h: what the kernel knows of sockets, by their inodes: sock_diag(7). It costs the process that has them
 * nothing, and there is no second descriptor of them. For `lastcall status`, and for an external drain. */
#ifndef LASTCALL_LAUNCHER_HOST_SOCK_DIAG_H
#define LASTCALL_LAUNCHER_HOST_SOCK_DIAG_H

#include "base.h"

enum diag_state { /* tcp_states.h */
                  DIAG_ESTABLISHED = 1,
                  DIAG_SYN_RECV = 3,
                  DIAG_FIN_WAIT1,
                  DIAG_FIN_WAIT2,
                  DIAG_TIME_WAIT,
                  DIAG_CLOSE_WAIT = 8,
                  DIAG_LAST_ACK,
                  DIAG_LISTEN,
                  DIAG_CLOSING,
};

struct diag_socket {
    uint64_t inode;  /* 0: no process holds it: it waits in an accept queue, or was closed */
    uint64_t cookie; /* its own as long as it lives, from the handshake to TIME_WAIT (sk_cookie) */
    bool listening;
    uint8_t state;  /* TCP_ESTABLISHED ... */
    uint8_t family; /* 4 or 6 */
    uint8_t local[16], peer[16];
    uint16_t local_port, peer_port;
    uint32_t unread;                 /* bytes that came and were not read; of a listener: its accept queue */
    uint32_t unsent;                 /* bytes written that are not acknowledged, and the FIN */
    bool aged;                       /* what follows is known (TCP_INFO) */
    uint32_t quiet_ms;               /* since the last byte came (tcpi_last_data_recv) */
    uint32_t quiet_out_ms;           /* since the last went; both begin with the connection */
    uint64_t received, acked;        /* bytes, of both directions; a FIN counts as one */
    uint32_t segments_in, bare_acks; /* all that came; those sent without data */
};

/* Call f for each TCP socket in the network namespace (a descriptor; -1: ours): the listeners, or the connections, if
 * port is not 0 with this local port only. False: they cannot be known. */
bool sock_diag_each(int network, bool listeners, uint16_t port, void (*f)(const struct diag_socket *s, void *arg),
                    void *arg);

struct diag_wish {
    uint32_t states; /* a bit for each diag_state */
    uint8_t family;  /* 4 or 6; 0: both */
    bool mptcp;      /* MPTCP's sockets instead of TCP's own */
    uint16_t port;   /* 0: any */
};
/* The same for the sockets that are wished for, in our network namespace. */
bool sock_diag_ask(const struct diag_wish *wish, void (*f)(const struct diag_socket *s, void *arg), void *arg);

/* A descriptor that is readable when a TCP socket of our network namespace has ended, or -errno. */
int sock_diag_endings(void);

/* Reads what it has to say: f is called for each that has ended, with its counts as they were in the end. Returns whether
 * there may be others whose word was lost. */
bool sock_diag_read_endings(int endings, void (*f)(const struct diag_socket *s, void *arg), void *arg);

/* "127.0.0.1:80", "[::1]:80". out holds 64 bytes. */
void sock_diag_text(uint8_t family, const uint8_t *address, uint16_t port, char *out);

#endif
