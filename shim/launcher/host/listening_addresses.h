/* listening_addresses.h: where processes listen, as /proc tells it. */
#ifndef LASTCALL_LAUNCHER_HOST_LISTENING_ADDRESSES_H
#define LASTCALL_LAUNCHER_HOST_LISTENING_ADDRESSES_H

#include "launcher/host/process_tree.h"

enum { LISTENERS_MAX = 16 };

struct listener {
    char address
        [128]; /* as load/url.h writes it: "127.0.0.1:80", "[::1]:80", "unix:/path"; for any address the loopback */
    bool elsewhere; /* bound to an address that the loopback does not reach */
};

/* Of these processes, in the network namespace of the first; each address once. Returns how many there are, of which
 * LISTENERS_MAX are stored. What may not be read has none. */
unsigned listeners_read(const struct tree *t, struct listener out[LISTENERS_MAX]);

#endif
