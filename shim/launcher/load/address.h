/* address.h: a server's address as users write it: "127.0.0.1:80", "[::1]:80", "unix:/path" ("unix:@name":
 * abstract). Numbers only, no resolver. */
#ifndef LASTCALL_LAUNCHER_LOAD_ADDRESS_H
#define LASTCALL_LAUNCHER_LOAD_ADDRESS_H

#include "base.h"

#include <sys/socket.h>

struct load_address {
    struct sockaddr_storage at;
    socklen_t len;
};

/* False: unreadable. */
bool load_address_parse(struct load_address *a, const char *text);

/* A host that is this machine's loopback, as numbers, or a socket file. */
bool load_address_is_loopback(const struct load_address *a);

#endif
