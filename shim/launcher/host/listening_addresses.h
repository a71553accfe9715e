/* listening_addresses.h: where processes listen, as /proc tells it. */
#ifndef LASTCALL_LAUNCHER_HOST_LISTENING_ADDRESSES_H
#define LASTCALL_LAUNCHER_HOST_LISTENING_ADDRESSES_H

#include "launcher/host/process_tree.h"

enum { LISTENING_ADDRESSES_MAX = 16 };

struct listening_address {
    char
        text[128]; /* as load/url.h writes it: "127.0.0.1:80", "[::1]:80", "unix:/path"; for any address the loopback */
    bool elsewhere; /* bound to an address that the loopback does not reach */
};

/* The addresses at which these processes listen, in the network namespace of the first process; each address once.
 * Returns how many there are, of which LISTENING_ADDRESSES_MAX are stored. A process that may not be looked into has
 * none. */
unsigned listening_addresses_read(const struct process_tree *t, struct listening_address out[LISTENING_ADDRESSES_MAX]);

#endif
