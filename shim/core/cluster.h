/* cluster.h: what node's cluster says where the primary accepts and hands each connection to a worker (SCHED_RR): lines of
 * JSON on a unix socket between the two. A connection comes with
 *   {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"127.0.0.1:80:4:-1:0","seq":7}}
 * and a worker that says, for this key, what its own server.close() would say, is handed no more of them.
 * Source: node, lib/internal/cluster/round_robin_handle.js (handoff, remove), primary.js (close), utils.js (sendHelper),
 * lib/internal/child_process.js (_send).
 *
 * Pure. One thread reads the socket; the others may look. */
#ifndef LASTCALL_CLUSTER_H
#define LASTCALL_CLUSTER_H

#include "base.h"

enum { CLUSTER_KEYS = 8, CLUSTER_KEY_MAX = 120, CLUSTER_CLOSE_MAX = CLUSTER_KEYS * (CLUSTER_KEY_MAX + 64) };

/* The listeners that this worker is handed connections of. One with a long or strange name, or one too many, is not
 * noted. */
struct cluster {
    struct cluster_key {
        uint8_t len;
        char text[CLUSTER_KEY_MAX]; /* as it stands in the JSON */
    } key[CLUSTER_KEYS];
    uint32_t keys; /* an entry is complete before it counts */
};

/* The socket of a process that is such a worker and speaks JSON, as its first environment says; -1: it is none. */
int cluster_socket(const char *const *environment);

/* The primary has sent these bytes. True: a connection was handed over. */
bool cluster_received(struct cluster *c, const char *bytes, size_t n);

/* Write the lines that end it for all keys into out, CLUSTER_CLOSE_MAX bytes. Returns their length. */
size_t cluster_close(const struct cluster *c, char *out);

/* A number that two workers have in common if they are handed connections of the same listeners; 0: of none. */
uint32_t cluster_sum(const struct cluster *c);

#endif
