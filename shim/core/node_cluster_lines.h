/* node_cluster_lines.h: what node's cluster says where the primary accepts and hands each connection to a worker
 * (SCHED_RR): lines of JSON on a unix socket between the two. A connection comes with
 *   {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"127.0.0.1:80:4:-1:0","seq":7}}
 * and a worker that says, for this key, what its own server.close() would say, is handed no more connections of the
 * key. Source: node, lib/internal/cluster/round_robin_handle.js (handoff, remove), primary.js (close), utils.js
 * (sendHelper), lib/internal/child_process.js (_send).
 *
 * Pure. One thread reads the socket; the others may look. */
#ifndef LASTCALL_NODE_CLUSTER_LINES_H
#define LASTCALL_NODE_CLUSTER_LINES_H

#include "base.h"

enum {
    NODE_CLUSTER_KEYS = 8,
    NODE_CLUSTER_KEY_MAX = 120,
    NODE_CLUSTER_CLOSE_MAX = NODE_CLUSTER_KEYS * (NODE_CLUSTER_KEY_MAX + 64)
};

/* The listeners that this worker is handed connections of, by their keys. A listener with a long or strange key, or one
 * too many, is not noted. */
struct node_cluster_lines {
    struct node_cluster_key {
        uint8_t len;
        char text[NODE_CLUSTER_KEY_MAX]; /* as it stands in the JSON */
    } key[NODE_CLUSTER_KEYS];
    uint32_t keys; /* an entry is complete before it counts */
};

/* The socket to the primary, if the process is such a worker and speaks JSON, as its first environment says; else
 * -1. */
int node_cluster_lines_socket(const char *const *environment);

/* The primary has sent these bytes. True: a connection was handed over. */
bool node_cluster_lines_received(struct node_cluster_lines *c, const char *bytes, size_t n);

/* The primary: are these bytes, which are sent with a descriptor, the line that hands a connection over? */
bool node_cluster_lines_hand_over(const char *bytes, size_t n);
/* A worker has sent these bytes, and perhaps more of the same line. False: certainly it refuses no connection in them.
 * The answer to a connection is {"cmd":"NODE_CLUSTER","ack":7,"accepted":true,"seq":3} */
bool node_cluster_lines_may_refuse(const char *bytes, size_t n);

/* Write the lines that end the handing over, for all keys, into out, NODE_CLUSTER_CLOSE_MAX bytes. Returns their
 * length. */
size_t node_cluster_lines_close(const struct node_cluster_lines *c, char *out);

/* A number that two workers have in common if they are handed connections of the same listeners; 0: of none. */
uint32_t node_cluster_lines_sum(const struct node_cluster_lines *c);

#endif
