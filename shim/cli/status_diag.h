/* status_diag.h: what the kernel knows of sockets, by their inodes: sock_diag(7). It costs the process that has them
 * nothing, and there is no second descriptor of them. */
#ifndef LASTCALL_STATUS_DIAG_H
#define LASTCALL_STATUS_DIAG_H

#include "../base.h"

struct diag_socket {
    uint64_t inode;
    bool listening;
    uint8_t family; /* 4 or 6 */
    uint8_t local[16], peer[16];
    uint16_t local_port, peer_port;
    bool aged;
    uint32_t quiet_ms; /* since the last byte came (tcpi_last_data_recv) */
};

/* Call f for each TCP socket in the network namespace (a descriptor; -1: ours): the listeners, or the connections, if
 * port is not 0 with this local port only. False: they cannot be known. */
bool diag_each(int network, bool listeners, uint16_t port, void (*f)(const struct diag_socket *s, void *arg),
               void *arg);

/* "127.0.0.1:80", "[::1]:80". out holds 64 bytes. */
void diag_text(uint8_t family, const uint8_t *address, uint16_t port, char *out);

#endif
