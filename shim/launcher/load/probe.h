/* probe.h: one GET on a connection of its own, to see what a server answers. */
#ifndef LASTCALL_LAUNCHER_LOAD_PROBE_H
#define LASTCALL_LAUNCHER_LOAD_PROBE_H

#include "launcher/load/url.h"

struct probe {
    int status;
    char *body; /* the caller's: the first `room` bytes */
    size_t room;
    uint64_t length; /* of the whole body */
    nsec_t duration;
};

/* 0, or -errno: -ECONNREFUSED (-ENOENT: no such socket) no process listens, -ECONNRESET the connection ended without
 * a whole response, -EPROTO the response is no HTTP/1, -ETIMEDOUT, -EINTR stop_fd became readable. */
int probe_get(struct probe *p, const struct url *u, const char *path, nsec_t timeout, int stop_fd);

/* Does a process accept connections at this URL? */
bool probe_listens(const struct url *u);

#endif
