/* address.c: see address.h. */
#include "launcher/load/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool parse_unix(struct load_address *a, const char *path)
{
    struct sockaddr_un *sun = (void *)&a->at;
    size_t n = strlen(path);
    if (!n || n >= sizeof sun->sun_path)
        return false;
    sun->sun_family = AF_UNIX;
    memcpy(sun->sun_path, path, n);
    if (*path == '@')
        sun->sun_path[0] = 0;
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path != '@'));
    return true;
}

static bool parse_port(const char *text, in_port_t *port)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *port = htons((uint16_t)number);
    return *text >= '0' && *text <= '9' && !*end && number && number <= 65535;
}

bool load_address_parse(struct load_address *a, const char *text)
{
    struct sockaddr_in *sin = (void *)&a->at;
    struct sockaddr_in6 *sin6 = (void *)&a->at;
    const char *colon = strrchr(text, ':');
    char host[64];
    bool v6 = *text == '[';
    in_port_t port;
    memset(a, 0, sizeof *a);
    if (!strncmp(text, "unix:", 5))
        return parse_unix(a, text + 5);
    size_t n = colon ? (size_t)(colon - text) - 2 * v6 : sizeof host;
    if (!colon || colon < text + 2 * v6 || n >= sizeof host || (v6 && colon[-1] != ']') ||
        !parse_port(colon + 1, &port))
        return false;
    memcpy(host, text + v6, n);
    host[n] = 0;
    a->len = v6 ? sizeof *sin6 : sizeof *sin;
    if (v6) {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = port;
        return inet_pton(AF_INET6, host, &sin6->sin6_addr) == 1;
    }
    sin->sin_family = AF_INET;
    sin->sin_port = port;
    return inet_pton(AF_INET, host, &sin->sin_addr) == 1;
}

bool load_address_is_loopback(const struct load_address *a)
{
    const struct sockaddr_in *sin = (const void *)&a->at;
    const struct sockaddr_in6 *sin6 = (const void *)&a->at;
    switch (a->at.ss_family) {
    case AF_INET: return ntohl(sin->sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
    default: return a->at.ss_family == AF_UNIX;
    }
}
