/* sock_diag.h: the kernel's data of sockets, by their inodes: sock_diag(7). A query costs the process that holds the
 * sockets nothing, and makes no second descriptor. For `lastcall status`, and for an external drain. */
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
    uint64_t inode;  /* 0: no process holds the socket: the connection is in an accept queue, or was closed */
    uint64_t cookie; /* unique while the socket exists, from the handshake to TIME_WAIT (sk_cookie) */
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
    uint32_t segments_in, bare_acks; /* all segments that came; acknowledgements sent without data */
};

/* Call f for each TCP socket in the network namespace (a descriptor; -1: the launcher's own): the listeners, or the
 * connections, if port is not 0 with this local port only. False: the sockets cannot be listed. */
bool sock_diag_each(int network, bool listeners, uint16_t port, void (*f)(const struct diag_socket *s, void *arg),
                    void *arg);

struct diag_wish {
    uint32_t states; /* a bit for each diag_state */
    uint8_t family;  /* 4 or 6; 0: both */
    bool mptcp;      /* MPTCP's sockets instead of TCP's own */
    uint16_t port;   /* 0: any */
};
/* The same for the sockets that match the wish, in the launcher's network namespace. */
bool sock_diag_ask(const struct diag_wish *wish, void (*f)(const struct diag_socket *s, void *arg), void *arg);

/* A descriptor that is readable when a TCP socket of the launcher's network namespace has ended, or -errno. */
int sock_diag_endings(void);

/* Reads the messages of sock_diag_endings' descriptor: f is called for each socket that has ended, with its final
 * counts. Returns whether messages of other sockets may have been lost. */
bool sock_diag_read_endings(int endings, void (*f)(const struct diag_socket *s, void *arg), void *arg);

/* "127.0.0.1:80", "[::1]:80". out holds 64 bytes. */
void sock_diag_text(uint8_t family, const uint8_t *address, uint16_t port, char *out);

#endif
